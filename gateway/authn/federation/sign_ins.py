"""Notes which session began at which provider: the provider may end it, and it may end the provider's."""

from collections.abc import Callable
from dataclasses import dataclass

from gateway.authn.federation.base import ProviderAccount
from gateway.clock import Clock
from gateway.model import Principal
from gateway.stores.protocols.provider_sign_ins import ProviderSignIn, ProviderSignIns


@dataclass(frozen=True, slots=True)
class NotedSignIns:
    """Keeps what a provider said of a sign-in; the ID token is sealed with the key ring."""

    store: ProviderSignIns
    seal: Callable[[bytes], bytes]
    clock: Clock

    async def note(self, principal: Principal, provider: str, account: ProviderAccount) -> None:
        """Keep it for as long as the session lasts. Raises StoreUnavailable."""
        session = principal.session
        await self.store.put(
            ProviderSignIn(
                username=session.username,
                session_started=session.created_at,
                provider=provider,
                subject=account.subject,
                provider_sid=account.sid,
                id_token=self.seal(account.id_token.encode()) if account.id_token else b"",
                at=self.clock(),
            )
        )
