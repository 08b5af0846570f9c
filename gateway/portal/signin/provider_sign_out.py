"""Signing out at the provider, too (OpenID Connect RP-Initiated Logout 1.0): the browser goes there and comes back.

The session here has ended before: a provider that is away, or never sends the browser back, keeps nobody signed in.
"""

import hashlib
import logging
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from gateway.authn.federation.base import ProviderUnavailable
from gateway.authn.federation.openid import OpenIdProvider
from gateway.authn.federation.openid_logout import OpenIdLogout
from gateway.config.schema import OidcProvider
from gateway.model import Principal
from gateway.portal.request import PortalRequest
from gateway.portal.services import Services
from gateway.stores.protocols.ledger import Ledger
from gateway.stores.protocols.provider_sign_ins import ProviderSignIn, ProviderSignIns

log = logging.getLogger("gateway.federation")
_LIFETIME = 600.0
"""Seconds that the provider has to send the browser back; later it stays at our page."""


@dataclass(frozen=True, slots=True)
class ProviderSignOut:
    """Leads browsers to the end of their provider's session. `providers` are those with `logout: true`."""

    providers: Mapping[str, OpenIdLogout]
    sign_ins: ProviderSignIns
    ledger: Ledger
    unseal: Callable[[bytes], bytes]
    page: str
    """Our page of who has signed out, which providers know as `post_logout_redirect_uri`."""

    @classmethod
    def of(cls, services: Services) -> "ProviderSignOut":
        """Make it for the providers that are configured so."""
        asked: dict[str, OpenIdLogout] = {}
        for one in services.config.identity_providers:
            provider = services.providers[one.name]
            if isinstance(one, OidcProvider) and one.logout and isinstance(provider, OpenIdProvider):
                asked[one.name] = OpenIdLogout(config=one, provider=provider, clock=services.clock)
        return cls(
            providers=asked,
            sign_ins=services.stores.provider_sign_ins,
            ledger=services.stores.ledger,
            unseal=services.ring.open,
            page=f"{services.pages_url}/logout",
        )

    async def sign_in_of(self, principal: Principal) -> ProviderSignIn | None:
        """Return where this session began, to be asked before it ends; None if there is nothing to end there.

        Raises StoreUnavailable.
        """
        if not self.providers:
            return None
        session = principal.session
        found = await self.sign_ins.of_session(session.username, session.created_at)
        return next((one for one in found if one.provider in self.providers), None)

    async def onward(self, request: PortalRequest, sign_in: ProviderSignIn | None, wanted: str) -> str:
        """Return the address at the provider, "" if the browser has nothing to do there.

        `wanted` is where it goes when it is back, "" for our page. Raises StoreUnavailable.
        """
        if sign_in is None:
            return ""
        state = secrets.token_urlsafe(32)
        try:
            address = await self.providers[sign_in.provider].end_session(
                back=self.page, state=state, hint=self._hint(sign_in)
            )
        except ProviderUnavailable as error:
            log.warning("nobody is signed out at their provider: %s", error.detail)
            return ""
        here = request.target
        whole = f"{here.scheme}://{here.authority}{wanted}" if wanted.startswith("/") else wanted
        if address:
            await self.ledger.put(_key(state), whole.encode(), _LIFETIME)
        return address

    def _hint(self, sign_in: ProviderSignIn) -> str:
        try:
            return self.unseal(sign_in.id_token).decode() if sign_in.id_token else ""
        except ValueError:
            return ""  # sealed with a key that is gone: the provider asks its user

    async def back(self, state: str) -> str:
        """Return where a browser wanted to go that comes back with `state`, "" for our page: only what `onward` was
        told counts, once.
        """
        kept = await self.ledger.take(_key(state)) if self.providers and state else None
        return kept.decode() if kept else ""


def _key(state: str) -> str:
    return f"signed-out:{hashlib.sha256(state.encode(errors='surrogatepass')).hexdigest()}"
