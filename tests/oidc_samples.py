"""The pages of the OpenID provider with sample data; page_samples has them among all pages."""

from typing import Any

from gateway.i18n.text import N_
from gateway.oidc.user_pages import Shared

NOW = 1_800_000_000.0
SCOPES = [N_("Know who you are"), N_("See your name and username"), N_("Keep its access while you are away")]
DEVICE: dict[str, Any] = {
    "csrf_token": "t",
    "step": "type",
    "typed": "",
    "app": "Television",
    "username": "mira",
    "scopes": SCOPES,
}
GRANTS = [
    Shared("grafana", "Grafana", SCOPES, NOW - 9000, NOW + 9000),
    Shared("wiki", "Wiki", SCOPES[:1], NOW, None),
]
SESSION: dict[str, Any] = {
    "claims": {"sub": "9f2c54e1b07d4a6f8c3e5b1a2d7f6e90", "groups": ["staff", "night shift"], "acr": "2fa"},
    "proven": [("password", NOW), ("totp", NOW + 20)],
    "times": {"created_at": NOW, "last_seen": NOW, "expires_at": NOW + 43200},
    "ip": "198.51.100.7",
    "user_agent": "Mozilla/5.0 (X11; Linux x86_64; rv:144.0) Gecko/20100101 Firefox/144.0",
}
OIDC_SAMPLES: dict[str, tuple[str, dict[str, Any]]] = {
    "oidc-consent": (
        "oidc_consent.html",
        {"csrf_token": "t", "sealed": "s", "app": "Grafana", "username": "mira", "scopes": SCOPES},
    ),
    "oidc-consent-unlisted": (
        "oidc_consent.html",
        {
            "csrf_token": "t",
            "sealed": "s",
            "app": "dyn-n0nXq1s0nGTQ3o0QFtWcYh5pK7aB2dE4",
            "username": "mira",
            "scopes": SCOPES,
            "unlisted": "a-very-long-name-of-a-host.of-somebody-whom-nobody-knows.example.com:53682",
        },
    ),
    "oidc-form-post": (
        "oidc_form_post.html",
        {"action": "/show/logout", "fields": {"code": "c"}, "at_once": False},
    ),
    "oidc-device": ("oidc_device.html", DEVICE),
    "oidc-device-confirm": ("oidc_device.html", DEVICE | {"step": "confirm", "typed": "BCDF-GHJK"}),
    "oidc-logout": ("oidc_logout.html", {"csrf_token": "t", "username": "mira", "fields": {"state": "s"}}),
    "oidc-grants": ("oidc_grants.html", {"csrf_token": "t", "here": "/_auth/oidc/grants", "shared": GRANTS}),
    "oidc-diagnostics": ("oidc_diagnostics.html", SESSION),
}
