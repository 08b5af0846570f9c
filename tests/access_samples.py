"""Sample data for the pages of access requests, and for the one that leads away from SMS."""

from dataclasses import replace
from datetime import date
from typing import Any

from gateway.portal.access_requests.requests import Pending
from gateway.portal.rendering.texts import FACTOR_LABELS
from gateway.stores.protocols.core import AccessAsked

NOW = 1_800_000_000.0
ACCESS: dict[str, Any] = {
    "csrf_token": "t",
    "rd": "/edit",
    "page": "https://wiki.example.com/edit",
    "groups": ["wiki-editors"],
    "done": "",
}
ASKED = AccessAsked(
    "a1",
    "mira",
    "wiki-editors",
    "https://wiki.example.com/edit?page=Start",
    "To correct the phone list.",
    "asked",
    NOW,
    NOW + 600_000,
)
APPROVALS: dict[str, Any] = {
    "csrf_token": "t",
    "settled": "",
    "pending": [
        Pending(ASKED, (1800.0, 3600.0, 86400.0)),
        Pending(replace(ASKED, id="a2", state="granted", decided_by="ada"), (3600.0,)),
    ],
}
SMS_MIGRATION = {
    "rd": "/",
    "deadline": date(2027, 4, 1),
    "overdue": False,
    "ended": False,
    "choices": [(name, FACTOR_LABELS[name]) for name in ("webauthn", "totp")],
}
