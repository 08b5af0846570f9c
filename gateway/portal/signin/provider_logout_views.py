"""Ends sessions because a provider says so: by a token that it signed and posts (OpenID Connect Back-Channel Logout
1.0), or in a frame of its page, in the browser whose session it is (Front-Channel Logout 1.0).

In the first neither cookie nor token of ours is seen: the signature says who asks, and the token whose sessions end. In
the second our cookie and the name of the provider's session must belong together.
"""

import hashlib
import hmac
from dataclasses import dataclass

from aiohttp import web

from gateway.authn.federation.base import NotSignedIn, ProviderUnavailable
from gateway.authn.federation.logout_token import LogoutNotice
from gateway.authn.federation.openid_logout import OpenIdLogout
from gateway.clock import Clock
from gateway.errors import StoreUnavailable
from gateway.model import Principal
from gateway.observability.audit import Audit
from gateway.portal.forms import URLENCODED, Encoding, posted_by_anyone
from gateway.portal.request import PortalRequest, Views
from gateway.portal.services import Services
from gateway.rate_limits import Budget, RateLimits
from gateway.session import Sessions
from gateway.stores.protocols.ledger import Ledger
from gateway.stores.protocols.provider_sign_ins import ProviderSignIns

REFUSED_PER_IP = Budget(name="provider-logout-ip", limit=60, window=600, about="address")
"""Counts what is refused alone: a provider that ends all its sessions at once posts thousands of good tokens."""
_FORM = Encoding(URLENCODED.content_type, 16 * 1024, URLENCODED.parse)
_NO_STORE = {"Cache-Control": "no-store"}


def provider_logout_pages(services: Services, provider: OpenIdLogout) -> Views:
    """Pages of one provider by path, below the prefix."""
    name, sign_ins = provider.config.name, services.stores.provider_sign_ins
    told = BackchannelLogoutView(
        name=name,
        provider=provider,
        sign_ins=sign_ins,
        sessions=services.sessions,
        ledger=services.stores.ledger,
        limits=services.limits,
        audit=services.audit,
        clock=services.clock,
    )
    framed = FrontchannelLogoutView(
        name=name, provider=provider, sign_ins=sign_ins, sessions=services.sessions, audit=services.audit
    )
    return {
        f"/federated/{name}/backchannel-logout": {"POST": told.submit},
        f"/federated/{name}/frontchannel-logout": {"GET": framed.page},
    }


@dataclass(frozen=True, slots=True)
class BackchannelLogoutView:
    """The address at which one provider says that sessions of its users have ended."""

    name: str
    provider: OpenIdLogout
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
            notice = await self.provider.notice(form.get("logout_token", ""))
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


_EMPTY = "<!doctype html>\n<title>auth-gateway</title>\n"


@dataclass(frozen=True, slots=True)
class FrontchannelLogoutView:
    """The address that one provider shows in a frame when its session ends."""

    name: str
    provider: OpenIdLogout
    sign_ins: ProviderSignIns
    sessions: Sessions
    audit: Audit

    async def page(self, request: PortalRequest) -> web.StreamResponse:
        """End this browser's session if it began in the provider's session that is named (§3), and answer the same
        where it did not: an address alone, which any page can write, signs nobody out.
        """
        response = web.Response(text=_EMPTY, content_type="text/html", headers=self._headers())
        principal = request.visit.principal
        if principal is not None and await self._is_of(request, principal):
            sid = principal.session.sid
            await self.sessions.end(sid)
            await self.sessions.detach(request.http, response)
            self.audit.record(
                "provider_logout", principal.username, request.client.ip, provider=self.name, sid=sid[:8]
            )
        return response

    async def _is_of(self, request: PortalRequest, principal: Principal) -> bool:
        issuer, sid = request.http.query.get("iss", ""), request.http.query.get("sid", "")
        if not sid or not await self.provider.may_be_issuer(issuer):
            return False
        session = principal.session
        found = await self.sign_ins.of_session(session.username, session.created_at)
        return any(
            one.provider == self.name and hmac.compare_digest(one.provider_sid.encode(), sid.encode())
            for one in found
        )

    def _headers(self) -> dict[str, str]:
        """Only the provider's pages may frame it."""
        policy = f"default-src 'none'; frame-ancestors {self.provider.origin}"
        fixed = {"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer"}
        return {**_NO_STORE, **fixed, "Content-Security-Policy": policy}
