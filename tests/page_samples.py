"""Every page with sample data, as a small application: for tests in a browser and for docs/screenshots.py."""

from typing import Any

from aiohttp import web

from gateway.authn.factors.approval_questions import ApprovalQuestion
from gateway.i18n.text import N_
from gateway.model import User
from gateway.portal.account.activity import WORDS, Event
from gateway.portal.account.factors import SYNC, Item
from gateway.portal.account.sessions import OwnSession
from gateway.portal.rendering.render import Pages
from gateway.portal.rendering.texts import FACTOR_LABELS
from gateway.portal.rendering.user_agent import browser_name
from gateway.portal.request import Reader
from gateway.stores.protocols.tokens import ApiToken
from tests.access_samples import ACCESS, APPROVALS, SMS_MIGRATION
from tests.admin_samples import ADMIN_PAGES
from tests.apps_samples import APP_SAMPLES, icon
from tests.oidc_samples import OIDC_SAMPLES
from tests.second_step_samples import CHOICES, SECOND_STEP_SAMPLES, VERIFY
from tests.sign_in_samples import SIGN_IN_SAMPLES

NOW = 1_800_000_000.0
REQUEST_ID = "01JD7Q4ZK3"
CODES = [
    f"{part}-k7m4-wx{number}p" for number, part in enumerate(("h3qd", "9tfw", "m2vc", "zz8k", "p5re") * 2)
]
ITEMS = [
    Item("sms", "sms", FACTOR_LABELS["sms"], "+49•••••678", removable=True),
    Item(
        "c", "second_phone", FACTOR_LABELS["second_phone"], "+49•••••042", NOW, removable=True, cooling=True
    ),
    Item("a", "totp", "Phone in the kitchen", FACTOR_LABELS["totp"], NOW, NOW, named=True, removable=True),
    Item(
        "b",
        "webauthn",
        "Blue key",
        FACTOR_LABELS["webauthn"],
        NOW,
        NOW,
        named=True,
        removable=True,
        sync=SYNC["synced"],
    ),
]
ACCOUNT: dict[str, Any] = {
    "csrf_token": "t",
    "doors": [(N_("Administration"), "/admin"), (N_("Access requests"), "/approvals")],
    "here": "/_auth/account",
    "user": User("mira", "Mira Holm", "mira@harbour.example"),
    "may_change": True,
    "asked": False,
    "items": ITEMS,
    "preferred": "totp",
    "second_phone_addable": True,
    "addable": CHOICES,
    "recovery_left": 8,
    "can_change_password": True,
    "sessions": [
        OwnSession(
            "1", browser_name("Firefox/140.0 (Linux)"), "198.51.100.7", "Cologne, Germany", NOW, NOW, True
        ),
        OwnSession(
            "2",
            browser_name("Safari/605 (iPhone)"),
            "2001:db8::17",
            "",
            NOW,
            NOW - 5000,
            False,
            kept_until=NOW + 30 * 86400.0,
        ),
    ],
    "devices": [
        OwnSession(
            "3", browser_name("Firefox/140.0 (Linux)"), "198.51.100.7", "Cologne, Germany", NOW, NOW, True
        )
    ],
    "activity": [
        Event(NOW, WORDS["login"], "198.51.100.7"),
        Event(NOW - 60, WORDS["code_failed"], "203.0.113.9"),
    ],
}
RESET: dict[str, Any] = {"csrf_token": "t", "step": "ask", "token": "", "ticket": "", "username": ""}
INVITE: dict[str, Any] = {"csrf_token": "t", "token": "t", "username": "mira"}
OWN_TOKEN = ApiToken(
    "t1",
    "t1",
    "",
    (),
    ("wiki", "calendar"),
    ("GET", "HEAD"),
    NOW,
    NOW + 600_000,
    NOW,
    owner="mira",
    title="Backup",
)
TOKENS: dict[str, Any] = {
    "csrf_token": "t",
    "username": "mira",
    "made": "",
    "tokens": [OWN_TOKEN],
    "routes": ["wiki", "calendar"],
    "choices": [7, 30, 90],
}
KEPT: dict[str, Any] = {
    "csrf_token": "t",
    "id": "i",
    "at": "id=i&at=/orders/new",
    "host": "shop.example",
    "path": "/orders/new",
    "size": 1812,
    "upload": True,
    "since": NOW,
}
APPROVE: dict[str, Any] = {
    "csrf_token": "t",
    "here": "/_auth/approve",
    "asked": ApprovalQuestion("a", "s", "42", "", "203.0.113.9", "DE", NOW),
    "browser": "Firefox on Linux",
    "done": "",
    "done_words": "",
}
SAMPLES: dict[str, tuple[str, dict[str, Any]]] = {
    **OIDC_SAMPLES,
    **ADMIN_PAGES,
    **APP_SAMPLES,
    **SIGN_IN_SAMPLES,
    **SECOND_STEP_SAMPLES,
    "nudge": ("nudge.html", {"rd": "/"}),
    "sms_migration": ("sms_migration.html", SMS_MIGRATION),
    "approve": ("approve.html", APPROVE),
    "approve-error": (
        "approve.html",
        APPROVE | {"error": N_("This page had been open for too long. Please try again.")},
    ),
    "approve-nobody": ("approve.html", APPROVE | {"asked": None, "done": "yes", "done_words": "Approved."}),
    "recovery-codes": ("recovery_codes.html", {"codes": CODES, "onward": "/"}),
    "account": ("account.html", ACCOUNT),
    "account-look": (
        "account.html",
        ACCOUNT | {"may_change": False, "asked": True, "notice": N_("The new name is saved.")},
    ),
    "account-new": (
        "account.html",
        ACCOUNT | {"items": [], "preferred": "", "recovery_left": 0, "devices": [], "activity": []},
    ),
    "reset-ask": ("reset.html", RESET),
    "reset-error": (
        "reset.html",
        RESET | {"error": N_("This link was used already or is too old. Please ask for a new one.")},
    ),
    "reset-sent": ("reset.html", RESET | {"step": "sent"}),
    "reset-open": ("reset.html", RESET | {"step": "open", "token": "t"}),
    "reset-verify": (
        "verify.html",
        VERIFY | {"action": "/_auth/reset", "ticket": "t", "can_remember": False},
    ),
    "reset-password": ("reset.html", RESET | {"step": "password", "ticket": "t", "username": "mira"}),
    "reset-done": ("reset.html", RESET | {"step": "done"}),
    "invite": ("invite.html", INVITE),
    "invite-error": (
        "invite.html",
        INVITE
        | {
            "error": N_(
                "This password is easy to guess. Please choose a longer one, for example several words."
            )
        },
    ),
    "access": ("access.html", ACCESS),
    "access-choice": (
        "access.html",
        ACCESS
        | {"groups": ["wiki-editors", "staff"], "error": N_("Too many attempts. Please wait and try again.")},
    ),
    "access-asked": ("access.html", ACCESS | {"done": "asked"}),
    "access-waiting": ("access.html", ACCESS | {"done": "waiting"}),
    "access-nothing": ("access.html", ACCESS | {"groups": []}),
    "approvals": ("approvals.html", APPROVALS),
    "approvals-late": ("approvals.html", APPROVALS | {"pending": [], "settled": "late"}),
    "tokens": ("tokens.html", TOKENS),
    "tokens-made": ("tokens.html", TOKENS | {"made": "agt_0123456789abcdef_" + "s" * 43}),
    "tokens-none": (
        "tokens.html",
        TOKENS
        | {"tokens": [], "routes": [], "error": N_("Choose a name, at least one app and one of the times.")},
    ),
    "kept": ("kept.html", KEPT),
    "across": ("across.html", {"csrf_token": "t", "host": "wiki.other.example", "query": "to=x&begun=y"}),
    "loop": (
        "loop.html",
        {
            "message": N_(
                "Your browser did not send our cookie back. Please allow cookies for this site and try again."
            ),
            "reason": "no_cookie",
            "again": "/",
        },
    ),
    "logout": ("logout.html", {"csrf_token": "t", "done": False}),
    "logout-done": ("logout.html", {"csrf_token": "", "done": True}),
}
ERRORS: dict[str, dict[str, Any]] = {
    "error-403": {
        "status": 403,
        "reason": "group_required",
        "actions": [(N_("Use another account"), "/_auth/logout")],
    },
    "error-404": {"status": 404},
    "error-429": {"status": 429, "retry_after": 540, "reason": "too_many_codes"},
    "error-502": {"status": 502, "actions": [(N_("Try again"), "/"), (N_("Sign out"), "/_auth/logout")]},
}
NAMES = (*SAMPLES, *ERRORS)


ENGLISH = Reader("en", "rd=%2F")


def sample(pages: Pages, name: str, reader: Reader = ENGLISH) -> web.Response:
    if name in SAMPLES:
        template, context = SAMPLES[name]
        return pages.render(template, reader=reader, request_id=REQUEST_ID, **context)
    return pages.error(reader=reader, request_id=REQUEST_ID, **ERRORS[name])


def application(pages: Pages) -> web.Application:
    """Serves each sample at /show/{name}, with the assets in their place."""

    async def show(request: web.Request) -> web.Response:
        return sample(pages, request.match_info["name"], pages.readers.here(request))

    async def options(_: web.Request) -> web.Response:
        return web.json_response({})

    async def wait(_: web.Request) -> web.Response:
        return web.json_response({"changed": False})

    app = web.Application()
    app.add_routes([web.get(f"/_auth/{page}/wait", wait) for page in ("approve", "verify")])
    app.add_routes([web.get("/_auth/icon/{id}", icon)])
    app.add_routes([web.get("/_auth/passkey/options", options)])
    app.add_routes([*pages.static_routes(), web.get("/show/{name}", show)])
    return app
