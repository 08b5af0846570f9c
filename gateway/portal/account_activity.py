"""Recent events of one's own account in words. Events that have none here are not for users' eyes."""

from collections.abc import Sequence
from dataclasses import dataclass

from gateway.portal.words import FACTOR_LABELS
from gateway.stores.base import AuditLog, AuditRow

_SHOWN = 15
_READ = 100
WORDS = {
    "login": "Signed in",
    "login_refused": "An unusual sign-in was refused",
    "logout": "Signed out",
    "password_failed": "Wrong password",
    "code_failed": "Second factor failed",
    "locked": "Locked for a while after too many attempts",
    "factor_added": "Second factor added",
    "factor_removed": "Second factor removed",
    "recovery_renewed": "New recovery codes",
    "password_changed": "Password changed",
    "password_reset": "Password reset",
    "reset_asked": "Password reset asked for",
    "session_revoked": "Sessions ended",
    "device_remembered": "Device remembered",
    "device_revoked": "Device forgotten",
    "access_requested": "Access asked for",
    "access_granted": "Access granted",
    "access_refused": "Access refused",
    "access_ended": "Access ended",
    "risk_signal": "Unusual sign-in noticed",
}


@dataclass(frozen=True, slots=True)
class Event:
    at: float
    what: str
    ip: str


async def recent_activity(log: AuditLog, username: str) -> Sequence[Event]:
    """Newest first."""
    rows = [row for row in await log.tail(_READ, username=username) if row.event in WORDS]
    return [Event(row.at, _sentence(row), row.ip) for row in reversed(rows)][:_SHOWN]


def _sentence(row: AuditRow) -> str:
    factor = FACTOR_LABELS.get(str(row.data.get("factor", "")), "")
    return f"{WORDS[row.event]}: {factor}" if factor else WORDS[row.event]
