"""The seam of providers: where the browser is sent, and what an answer says of who came back."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from gateway.errors import GatewayError
from gateway.i18n.text import N_


class ProviderUnavailable(GatewayError):
    """The provider does not answer, or not as it should. The sign-in can be tried again, or another way taken."""

    status = 503
    public = N_(
        "That way to sign in does not work right now. Please try again, or sign in with your password."
    )


class NotSignedIn(GatewayError):
    """The provider, or our checks of its answer, say no. `detail` is for the log."""

    status = 403
    public = N_("That sign-in did not work. Please try again.")


@dataclass(frozen=True, slots=True)
class ProviderLogin:
    """One journey to a provider and back. `verifier` is PKCE's (RFC 7636), `nonce` OpenID Connect's."""

    state: str
    nonce: str
    verifier: str
    redirect_uri: str


@dataclass(frozen=True, slots=True)
class ProviderAccount:
    """Who came back. `subject` never changes and is never given to somebody else; `email` is "" unless verified."""

    subject: str
    username: str = ""
    email: str = ""
    name: str = ""
    mfa: bool = False


class FederationProvider(Protocol):
    async def address(self, attempt: ProviderLogin) -> str:
        """Where to send the browser. Raises ProviderUnavailable."""
        ...

    async def account(self, attempt: ProviderLogin, answer: Mapping[str, str]) -> ProviderAccount:
        """Who the callback's query speaks of. Raises NotSignedIn and ProviderUnavailable."""
        ...

    async def close(self) -> None: ...
