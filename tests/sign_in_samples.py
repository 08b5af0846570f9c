"""The pages of the first step with sample data."""

from typing import Any

from gateway.portal.rendering.texts import WRONG_PASSWORD

LOGIN: dict[str, Any] = {"csrf_token": "t", "rd": "/", "username": "", "passkeys": True, "can_reset": True}
SIGN_IN_SAMPLES: dict[str, tuple[str, dict[str, Any]]] = {
    "login-app": (
        "login.html",
        LOGIN | {"app_name": "Tide tables", "way_back": "https://tide.harbour.example/"},
    ),
    "login": ("login.html", LOGIN),
    "login-error": ("login.html", LOGIN | {"username": "mira", "error": WRONG_PASSWORD}),
    "login-providers": ("login.html", LOGIN | {"providers": [("google", "Google"), ("corp", "Corp")]}),
    "login-keep": (
        "login.html",
        LOGIN | {"keep_for": 30 * 86400.0, "keep_token": "k", "providers": [("google", "Google")]},
    ),
    "login-notice": ("login.html", LOGIN | {"notice": "Your session has ended."}),
    "passkey": ("passkey.html", {"csrf_token": "t", "rd": "/", "options": "{}"}),
    "passkey-keep": (
        "passkey.html",
        {"csrf_token": "t", "rd": "/", "options": "{}", "keep_for": 30 * 86400.0, "keep": True},
    ),
}
