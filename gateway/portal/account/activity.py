"""Recent events of one's own account in words. Events that have none here are not for users' eyes."""

from collections.abc import Sequence
from dataclasses import dataclass

from gateway.i18n.text import N_
from gateway.portal.rendering.texts import FACTOR_LABELS
from gateway.stores.protocols.core import AuditLog, AuditRow

_SHOWN = 15
_READ = 100
WORDS = {
    "login": N_("Signed in"),
    "login_refused": N_("An unusual sign-in was refused"),
    "logout": N_("Signed out"),
    "password_failed": N_("Wrong password"),
    "code_failed": N_("Second factor failed"),
    "locked": N_("Locked for a while after too many attempts"),
    "unlocked": N_("An administrator lifted the lock"),
    "approval_given": N_("Sign-in approved on another device"),
    "approval_refused": N_("Sign-in refused on another device"),
    "bypass_issued": N_("An administrator made a one-time code"),
    "factor_added": N_("Second factor added"),
    "factor_removed": N_("Second factor removed"),
    "recovery_renewed": N_("New recovery codes"),
    "password_changed": N_("Password changed"),
    "password_reset": N_("Password reset"),
    "reset_asked": N_("Password reset asked for"),
    "session_revoked": N_("Sessions ended"),
    "device_remembered": N_("Device remembered"),
    "device_revoked": N_("Device forgotten"),
    "token_added": N_("Access token made"),
    "token_revoked": N_("Access token ended"),
    "access_requested": N_("Access asked for"),
    "access_granted": N_("Access granted"),
    "access_refused": N_("Access refused"),
    "access_ended": N_("Access ended"),
    "risk_signal": N_("Unusual sign-in noticed"),
}


@dataclass(frozen=True, slots=True)
class Event:
    """One event of an account in words. `at` is a Unix time."""

    at: float
    what: str
    ip: str


async def recent_activity(log: AuditLog, username: str) -> Sequence[Event]:
    """Newest first."""
    rows = [row for row in await log.tail(_READ, username=username) if row.event in WORDS]
    return [Event(row.at, _sentence(row), row.ip) for row in reversed(rows)][:_SHOWN]


def _sentence(row: AuditRow) -> str:
    factor, what = FACTOR_LABELS.get(str(row.data.get("factor", ""))), WORDS[row.event]
    return N_("%(event)s: %(factor)s", event=what, factor=factor) if factor else what
