"""Ends sessions because a provider says so (OpenID Connect Back-Channel Logout 1.0): it posts a token that it signed.

Neither cookie nor token of ours is in it: the provider's signature says who asks, and the token whose sessions end.
"""

import hashlib
from dataclasses import dataclass

from aiohttp import web

from gateway.authn.federation.base import NotSignedIn, ProviderUnavailable
from gateway.authn.federation.logout_token import LogoutNotice
from gateway.authn.federation.openid import OpenIdProvider
from gateway.clock import Clock
from gateway.errors import StoreUnavailable
from gateway.observability.audit import Audit
from gateway.portal.forms import URLENCODED, Encoding, posted_by_anyone
from gateway.portal.request import PortalRequest
from gateway.rate_limits import Budget, RateLimits
from gateway.session import Sessions
from gateway.stores.protocols.ledger import Ledger
from gateway.stores.protocols.provider_sign_ins import ProviderSignIns

REFUSED_PER_IP = Budget(name="provider-logout-ip", limit=60, window=600, about="address")
"""Counts what is refused alone: a provider that ends all its sessions at once posts thousands of good tokens."""
_FORM = Encoding(URLENCODED.content_type, 16 * 1024, URLENCODED.parse)
_NO_STORE = {"Cache-Control": "no-store"}


@dataclass(frozen=True, slots=True)
class BackchannelLogoutView:
    """The address at which one provider says that sessions of its users have ended."""

    name: str
    provider: OpenIdProvider
    sign_ins: ProviderSignIns
    sessions: Sessions
    ledger: Ledger
    limits: RateLimits
    audit: Audit
    clock: Clock

    async def submit(self, request: PortalRequest) -> web.StreamResponse:
        """Take a logout token and end the sessions that it names (§2.5, §2.6): 200, or 400 if it is not accepted."""
        client = request.client
        await self.limits.check(REFUSED_PER_IP, client.network)
        form = await posted_by_anyone(request, _FORM)
        try:
            notice = await self.provider.logout_notice(form.get("logout_token", ""))
            await self._once(notice, client.ip)
        except (NotSignedIn, ProviderUnavailable) as error:
            await self.limits.spend(REFUSED_PER_IP, client.network)
            self.audit.record(
                "provider_logout_refused", "", client.ip, provider=self.name, cause=error.detail[:300]
            )
            # §2.8. Which check failed is for the log.
            return web.json_response({"error": "invalid_request"}, status=400, headers=_NO_STORE)
        return web.Response(status=200, headers=_NO_STORE)

    async def _once(self, notice: LogoutNotice, ip: str) -> None:
        """End the sessions, unless this very token has been taken before. Raises NotSignedIn."""
        key = f"logout-token:{self.name}:{hashlib.sha256(notice.id.encode()).hexdigest()}"
        if not await self.ledger.claim_once(key, max(1.0, notice.until - self.clock())):
            raise NotSignedIn("the logout token has been used")
        try:
            await self._end(notice, ip)
        except StoreUnavailable:
            await self.ledger.delete(key)  # the provider tries again
            raise

    async def _end(self, notice: LogoutNotice, ip: str) -> None:
        for session in await self.sign_ins.sessions(self.name, subject=notice.subject, sid=notice.sid):
            await self.sessions.end(session.sid)
            self.audit.record(
                "provider_logout", session.username, ip, provider=self.name, sid=session.sid[:8]
            )
