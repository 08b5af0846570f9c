"""Every page with sample data, as a small application: for tests in a browser and for docs/screenshots.py."""

from typing import Any

from aiohttp import web

from gateway.portal.render import Pages

REQUEST_ID = "01JD7Q4ZK3"
LOGIN: dict[str, Any] = {"csrf_token": "t", "rd": "/", "username": "", "passkeys": True}
VERIFY: dict[str, Any] = {
    "csrf_token": "t",
    "rd": "/",
    "factor": "sms",
    "masked": "+49•••••678",
    "options": "",
    "code_length": 6,
    "can_remember": True,
    "remember_days": 30,
    "options": "",
    "others": [("totp", "Authenticator app"), ("recovery", "Recovery code")],
    "resend_after": 0,
    "send_failed": False,
}
SAMPLES: dict[str, tuple[str, dict[str, Any]]] = {
    "login": ("login.html", LOGIN),
    "login-error": ("login.html", LOGIN | {"username": "mira", "error": "Wrong username or password."}),
    "login-notice": ("login.html", LOGIN | {"notice": "Your session has ended."}),
    "verify": ("verify.html", VERIFY),
    "verify-error": (
        "verify.html",
        VERIFY
        | {"error": "That code is not right. 3 tries left.", "resend_after": 25, "can_remember": False},
    ),
    "verify-send-failed": ("verify.html", VERIFY | {"send_failed": True}),
    "verify-totp": ("verify.html", VERIFY | {"factor": "totp", "masked": "", "can_remember": False}),
    "verify-recovery": ("verify.html", VERIFY | {"factor": "recovery", "others": [("sms", "Code by SMS")]}),
    "logout": ("logout.html", {"csrf_token": "t", "done": False}),
    "logout-done": ("logout.html", {"csrf_token": "", "done": True}),
}
ERRORS: dict[str, dict[str, Any]] = {
    "error-403": {
        "status": 403,
        "reason": "group_required",
        "actions": [("Use another account", "/_auth/logout")],
    },
    "error-404": {"status": 404},
    "error-429": {"status": 429, "retry_after": 540, "reason": "too_many_codes"},
    "error-502": {"status": 502, "actions": [("Try again", "/"), ("Sign out", "/_auth/logout")]},
}
NAMES = (*SAMPLES, *ERRORS)


def sample(pages: Pages, name: str) -> web.Response:
    if name in SAMPLES:
        template, context = SAMPLES[name]
        return pages.render(template, request_id=REQUEST_ID, **context)
    return pages.error(request_id=REQUEST_ID, **ERRORS[name])


def application(pages: Pages) -> web.Application:
    """Serves each sample at /show/{name}, with the assets in their place."""

    async def show(request: web.Request) -> web.Response:
        return sample(pages, request.match_info["name"])

    app = web.Application()
    app.add_routes([*pages.static_routes(), web.get("/show/{name}", show)])
    return app
