"""Tells of a cookie that turned up where its session does not belong: to the operator, and once to its owner."""

from gateway.errors import StoreUnavailable
from gateway.i18n.text import N_
from gateway.messaging.notices import Notices
from gateway.model import IPAddress, Principal
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
        try:
            network = network_of(ip) if ip else "-"
            if not await self._ledger.claim_once(f"elsewhere:{session.sid}:{network}", _TOLD):
                return
            first = await self._ledger.claim_once(f"elsewhere:{session.sid}", _TOLD)
        except StoreUnavailable:
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
