"""Who wants to sign in, for the page of the provider that was chosen: as the address says, or the session before.

It goes to that provider alone, and into no log.
"""

from dataclasses import dataclass

from gateway.config.sections.identity_providers import IdentityProvider
from gateway.directory.base import Directory
from gateway.portal.request import PortalRequest
from gateway.portal.signin.provider_ways import hint_of
from gateway.session import Sessions
from gateway.stores.protocols.core import FederatedAccounts


@dataclass(frozen=True, slots=True)
class LoginHints:
    """Finds the hint for a provider."""

    sessions: Sessions
    accounts: FederatedAccounts
    directory: Directory

    async def of(self, request: PortalRequest, provider: IdentityProvider) -> str:
        """Return what to tell the provider, "" for nothing. Raises StoreUnavailable."""
        if not provider.login_hint:
            return ""
        return hint_of(request) or await self._remembered(request, provider)

    async def _remembered(self, request: PortalRequest, provider: IdentityProvider) -> str:
        """Whose session this browser had, as the provider knows them: nobody else's name is told to it."""
        username = self.sessions.ended(request.client.cookies)
        if not username or provider.name not in await self.accounts.of(username):
            return ""
        user = await self.directory.get(username)
        if user is None or user.disabled:
            return ""
        return user.email if provider.match == "email" else user.username
