"""The Protocol of identity providers: where the browser is sent, and what an answer says of who came back."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from gateway.errors import GatewayError
from gateway.i18n.text import N_


class ProviderUnavailable(GatewayError):
    """The provider does not answer, or not as it should. The user may try again, or sign in another way."""

    status = 503
    public = N_(
        "That way to sign in does not work right now. Please try again, or sign in with your password."
    )


class NotSignedIn(GatewayError):
    """The provider, or our checks of its answer, refuse. `detail` is for the log."""

    status = 403
    public = N_("That sign-in did not work. Please try again.")


@dataclass(frozen=True, slots=True)
class ProviderLogin:
    """One sign-in at a provider. `verifier` is PKCE's (RFC 7636 §4.1), `nonce` OpenID Connect's (Core §3.1.2.1)."""

    state: str
    nonce: str
    verifier: str
    redirect_uri: str


@dataclass(frozen=True, slots=True)
class ProviderHints:
    """What makes the provider's page shorter, and proves nothing: `login` is who wants to sign in, "" where nobody
    said it, `language` the one of the page before.
    """

    login: str = ""
    language: str = ""


NO_HINTS = ProviderHints()


@dataclass(frozen=True, slots=True)
class ProviderAccount:
    """Who came back. `subject` never changes and is never given to somebody else; `email` is "" unless verified."""

    subject: str
    username: str = ""
    email: str = ""
    name: str = ""
    mfa: bool = False
    groups: tuple[str, ...] = ()
    """As the provider writes them, nothing where the configuration does not ask."""
    sid: str = ""
    """What the provider calls its own session (OpenID Connect Back-Channel Logout 1.0 §2.1); "" where it does not."""
    id_token: str = ""
    """The token that said so, as it came; "" where there is none, or nobody needs it later."""


class FederationProvider(Protocol):
    """One configured provider."""

    async def address(self, attempt: ProviderLogin, hints: ProviderHints = NO_HINTS) -> str:
        """Return the URL to send the browser to. Raises ProviderUnavailable."""
        ...

    async def account(self, attempt: ProviderLogin, answer: Mapping[str, str]) -> ProviderAccount:
        """Return whom the callback's query speaks of. Raises NotSignedIn and ProviderUnavailable."""
        ...

    async def close(self) -> None: ...
