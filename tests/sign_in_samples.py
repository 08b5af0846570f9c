"""The pages of the first step with sample data."""

from typing import Any

from gateway.authn.factors.base import Prompt, Setup
from gateway.i18n.text import N_
from gateway.portal.rendering.texts import WRONG_PASSWORD

LOGIN: dict[str, Any] = {"csrf_token": "t", "rd": "/", "username": "", "passkeys": True, "can_reset": True}
LINK: dict[str, Any] = {
    "csrf_token": "t",
    "step": "ask",
    "rd": "/",
    "token": "t",
    "username": "mira",
    "app_name": "Tide tables",
    "minutes": 10,
    "keep_for": 30 * 86400.0,
}
REGISTER: dict[str, Any] = {
    "csrf_token": "t",
    "rd": "/",
    "token": "t",
    "address": "mira.lund-with-a-long-name@harbour.example",
    "full_name": "Mira Lund",
    "minutes": 30,
    "setup": Setup(needs_address=True),
    "approval": False,
}
SIGN_IN_SAMPLES: dict[str, tuple[str, dict[str, Any]]] = {
    "login-app": (
        "login.html",
        LOGIN | {"app_name": "Tide tables", "way_back": "https://tide.harbour.example/"},
    ),
    "login": ("login.html", LOGIN),
    "login-error": ("login.html", LOGIN | {"username": "mira", "error": WRONG_PASSWORD}),
    "login-providers": ("login.html", LOGIN | {"providers": [("google", "Google"), ("corp", "Corp")]}),
    "login-hidden": (
        "login.html",
        LOGIN
        | {"providers": [("corp", "Corp")], "password_form": False, "keep_for": 86400.0, "keep_token": "k"},
    ),
    "elsewhere": (
        "elsewhere.html",
        {
            "provider": "corp",
            "label": "Corp",
            "rd": "/",
            "login_hint": "mira@harbour.example",
            "choice": True,
            "at_once": False,
        },
    ),
    "login-keep": (
        "login.html",
        LOGIN | {"keep_for": 30 * 86400.0, "keep_token": "k", "providers": [("google", "Google")]},
    ),
    "login-link": ("login.html", LOGIN | {"email_link": True, "keep_for": 30 * 86400.0, "keep_token": "k"}),
    "login-register": ("login.html", LOGIN | {"can_register": True, "email_link": True}),
    "login-notice": ("login.html", LOGIN | {"notice": N_("Your session has ended. Please sign in again.")}),
    "passkey": ("passkey.html", {"csrf_token": "t", "rd": "/", "options": "{}"}),
    "passkey-keep": (
        "passkey.html",
        {"csrf_token": "t", "rd": "/", "options": "{}", "keep_for": 30 * 86400.0, "keep": True},
    ),
    **{
        f"email-link-{step}": ("email_link.html", LINK | {"step": step})
        for step in ("ask", "sent", "good", "elsewhere", "gone")
    },
    **{
        f"register-{step}": ("register.html", REGISTER | {"step": step})
        for step in ("sent", "phone", "details", "waiting", "elsewhere", "gone")
    },
    "register-ask": ("register.html", REGISTER | {"step": "ask", "token": ""}),
    "register-ask-approval": ("register.html", REGISTER | {"step": "ask", "token": "", "approval": True}),
    "register-code": (
        "register.html",
        REGISTER | {"step": "phone", "setup": Setup(Prompt(hint="+49•••••678", code_length=6))},
    ),
    "register-approval": ("register.html", REGISTER | {"step": "details", "approval": True}),
    "register-error": ("register.html", REGISTER | {"step": "details", "error": WRONG_PASSWORD}),
    "email-link-error": (
        "email_link.html",
        LINK | {"error": N_("This page had been open for too long. Please try again.")},
    ),
}
