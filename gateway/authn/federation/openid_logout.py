"""The end of sessions at an OpenID provider: what it says of it, and where a browser is sent for it."""

from dataclasses import dataclass
from urllib.parse import urlsplit

from gateway.authn.federation.base import ProviderUnavailable
from gateway.authn.federation.end_session import end_session_address
from gateway.authn.federation.logout_token import LogoutNotice, read_notice
from gateway.authn.federation.openid import OpenIdProvider
from gateway.clock import Clock
from gateway.config.sections.identity_providers import OidcProvider


@dataclass(frozen=True, slots=True)
class OpenIdLogout:
    """Logout of one provider."""

    config: OidcProvider
    provider: OpenIdProvider
    clock: Clock

    @property
    def origin(self) -> str:
        """Where the provider's own pages are, as browsers write it."""
        parts = urlsplit(self.config.issuer)
        return f"{parts.scheme}://{parts.netloc}"

    async def may_be_issuer(self, name: str) -> bool:
        """Tell whether a page of the provider may call itself so (OpenID Connect Front-Channel Logout 1.0 §3)."""
        if name == self.config.issuer or not self.config.tenants:
            return name == self.config.issuer
        try:
            await self.provider.discovered()
        except ProviderUnavailable:
            return False
        return name in [self.provider.expected_issuer({"tid": one}) for one in self.config.tenants]

    async def notice(self, token: str) -> LogoutNotice:
        """Return whose sessions end, by a token of the provider. Raises NotSignedIn and ProviderUnavailable."""
        header, claims = await self.provider.opened(token)
        issuer, id = self.provider.expected_issuer(claims), self.config.client_id
        return read_notice(header, claims, issuer=issuer, client_id=id, now=self.clock())

    async def end_session(self, *, back: str, state: str, hint: str) -> str:
        """Return where a browser signs out at the provider, "" if nowhere. Raises ProviderUnavailable.

        `back` is where it comes back to with `state`; `hint` is the ID token of its sign-in.
        """
        found = await self.provider.discovered()
        id, issuer = self.config.client_id, self.config.issuer
        return end_session_address(found, issuer=issuer, client_id=id, back=back, state=state, hint=hint)
