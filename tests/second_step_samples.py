"""The pages of the second step and of adding a factor, with sample data."""

from typing import Any

from gateway.authn.factors.base import Prompt, Setup
from gateway.authn.factors.totp import qr_image
from gateway.i18n.text import N_, joined
from gateway.portal.rendering.texts import FACTOR_LABELS

VERIFY: dict[str, Any] = {
    "csrf_token": "t",
    "rd": "/",
    "factor": "sms",
    "masked": "+49•••••678",
    "options": "",
    "code_length": 6,
    "can_remember": True,
    "remember_days": 30,
    "others": [(kind, FACTOR_LABELS[kind]) for kind in ("totp", "recovery")],
    "resend_after": 0,
    "send_failed": False,
    "problem": [],
}
CHOICES = [(kind, FACTOR_LABELS[kind]) for kind in ("totp", "webauthn", "sms", "email")]
ENROL: dict[str, Any] = {"csrf_token": "t", "rd": "/", "factor": "", "setup": None, "choices": CHOICES}
URI = "otpauth://totp/Harbour:mira?secret=JBSWY3DPEHPK3PXP&issuer=Harbour"
APP = Setup(Prompt(), "JBSW Y3DP EHPK 3PXP", URI, qr_image(URI))
SECOND_STEP_SAMPLES: dict[str, tuple[str, dict[str, Any]]] = {
    "verify": ("verify.html", VERIFY),
    "verify-error": (
        "verify.html",
        VERIFY | {"error": N_("That code is not right."), "resend_after": 25, "can_remember": False},
    ),
    "verify-delivery": (
        "verify.html",
        VERIFY
        | {
            "delivery": N_("Sent. It should arrive in a moment."),
            "delivery_final": False,
            "can_call": True,
            "cooling": True,
            "other_number": "+49•••••679",
        },
    ),
    "verify-called": (
        "verify.html",
        VERIFY
        | {
            "called": True,
            "delivery": joined([N_("Our call did not reach you."), N_("Nobody answered.")]),
            "delivery_final": True,
        },
    ),
    "verify-send-failed": (
        "verify.html",
        VERIFY
        | {
            "send_failed": True,
            "problem": [N_("Please use another way below.")],
            "other_number": "+49•••••679",
        },
    ),
    "verify-totp": ("verify.html", VERIFY | {"factor": "totp", "masked": "", "can_remember": False}),
    "verify-recovery": (
        "verify.html",
        VERIFY | {"factor": "recovery", "others": [("sms", FACTOR_LABELS["sms"])]},
    ),
    "verify-bypass": ("verify.html", VERIFY | {"factor": "bypass", "can_remember": False}),
    "approval": ("approval.html", VERIFY | {"factor": "approval", "number": "42"}),
    "approval-pending": (
        "approval.html",
        VERIFY
        | {"factor": "approval", "number": "42", "others": [], "notice": N_("Nobody has answered yet.")},
    ),
    "enrol": ("enrol.html", ENROL),
    "enrol-totp": ("enrol.html", ENROL | {"factor": "totp", "setup": APP}),
    "enrol-webauthn": ("enrol.html", ENROL | {"factor": "webauthn", "setup": Setup()}),
    "enrol-sms": (
        "enrol.html",
        ENROL
        | {
            "factor": "sms",
            "setup": Setup(needs_address=True),
            "error": N_("Please check what you entered."),
        },
    ),
    "enrol-second-phone": (
        "enrol.html",
        ENROL | {"rd": "/_auth/account", "factor": "second_phone", "setup": Setup(needs_address=True)},
    ),
    "enrol-email": (
        "enrol.html",
        ENROL | {"factor": "email", "setup": Setup(Prompt("m•••••@harbour.example"))},
    ),
}
