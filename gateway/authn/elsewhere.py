"""Tells of a cookie that turned up where its session does not belong, or without the key that it is bound to: to the
operator, and once to its owner.
"""

from gateway.errors import StoreUnavailable
from gateway.i18n.text import N_
from gateway.messaging.notices import Notices
from gateway.model import IPAddress, Principal, SessionRecord
from gateway.observability.audit import Audit
from gateway.rate_limits import network_of
from gateway.stores.protocols.ledger import Ledger

_TOLD = 86400.0
"""Seconds for which one network is told of once, and the owner once for the session."""


class ElsewhereNotices:
    """Audits each network that tries a session which is bound elsewhere; the first one is mailed to the owner."""

    def __init__(self, ledger: Ledger, audit: Audit, notices: Notices) -> None:
        self._ledger, self._audit, self._notices = ledger, audit, notices

    async def tell(self, principal: Principal, client: IPAddress | None, differs: tuple[str, ...]) -> None:
        """Tell it unless it was told. An outage of the store is no reason to fail: the cookie was refused."""
        session, user = principal.session, principal.user
        ip = str(client) if client is not None else ""
        untold, first = await once_for(self._ledger, "elsewhere", session.sid, ip)
        if not untold:
            return
        self._audit.record(
            "session_elsewhere",
            user.username,
            ip,
            sid=session.sid[:8],
            proven_at=session.ip,
            differs=list(differs),
        )
        if not first:
            return
        brand = self._notices.brand
        subject = N_("%(brand)s: your session was used elsewhere", brand=brand)
        text = N_(
            "Somebody used your session at %(brand)s from another place (IP address %(ip)s) than where you signed "
            "in (%(before)s). It was refused there.\n\nIf that was you, sign in again at the new place. If not, "
            "somebody has a copy of your session: sign out everywhere on your account page and tell your "
            "administrator.\n",
            brand=brand,
            ip=ip or "-",
            before=session.ip or "-",
        )
        self._notices.mail(user.username, user.email, subject, text, about="session_elsewhere")


class BoundSessionNotices:
    """Tells of sessions that are bound to a key of their browser: that they are, and what came without that key."""

    def __init__(self, ledger: Ledger, audit: Audit, notices: Notices) -> None:
        self._ledger, self._audit, self._notices = ledger, audit, notices

    def bound(self, session: SessionRecord, ip: str, algorithm: str) -> None:
        """Note that a browser has registered its key."""
        self._audit.record("session_bound", session.username, ip, sid=session.sid[:8], algorithm=algorithm)

    async def wrong_proof(self, principal: Principal, client: IPAddress | None, door: str) -> None:
        """Note a proof that is not the session's key's, once for each network and day."""
        session, ip = principal.session, str(client) if client is not None else ""
        untold, _ = await once_for(self._ledger, f"wrong-proof:{door}", session.sid, ip)
        if untold:
            self._audit.record("session_key_wrong", session.username, ip, sid=session.sid[:8], door=door)

    async def keyless(self, principal: Principal, client: IPAddress | None) -> None:
        """Tell that a bound session's cookie came without the cookie that shows the key, and was refused."""
        session, user = principal.session, principal.user
        ip = str(client) if client is not None else ""
        untold, first = await once_for(self._ledger, "keyless", session.sid, ip)
        if not untold:
            return
        self._audit.record(
            "session_key_missing", user.username, ip, sid=session.sid[:8], proven_at=session.ip
        )
        if not first:
            return
        brand = self._notices.brand
        subject = N_("%(brand)s: your session was used without the key of your browser", brand=brand)
        text = N_(
            "Your session at %(brand)s is bound to a key of the browser that you signed in with (from IP address "
            "%(before)s). Somebody used it without that key (from IP address %(ip)s), and was refused.\n\nIf your own "
            "browser asked you to sign in again just now, it may have lost the key. If not, somebody has a copy of "
            "your session: sign out everywhere on your account page and tell your administrator.\n",
            brand=brand,
            ip=ip or "-",
            before=session.ip or "-",
        )
        self._notices.mail(user.username, user.email, subject, text, about="session_key_missing")


async def once_for(ledger: Ledger, what: str, sid: str, ip: str) -> tuple[bool, bool]:
    """Whether nobody was told of this session and network today, and whether of this session at all.

    An outage of the ledger counts as told.
    """
    try:
        network = network_of(ip) if ip else "-"
        if not await ledger.claim_once(f"{what}:{sid}:{network}", _TOLD):
            return False, False
        return True, await ledger.claim_once(f"{what}:{sid}", _TOLD)
    except StoreUnavailable:
        return False, False
