"""Keeps sign-ins at providers: begun by one browser, ended there once, forgotten after ten minutes."""

import hashlib
import hmac
import json
import secrets
from collections.abc import Callable
from dataclasses import asdict, dataclass

from gateway.authn.federation.base import ProviderLogin
from gateway.stores.protocols.ledger import Ledger

LIFETIME = 600.0


@dataclass(frozen=True, slots=True)
class Journey:
    """A sign-in that was begun; `rd` is where it leads."""

    provider: str
    attempt: ProviderLogin
    rd: str
    browser: str
    """Digest of the csrf token in the cookie of the browser that set out."""
    keep: bool = False
    """Whether the session is to be kept."""

    def is_of(self, csrf: str) -> bool:
        """Tell whether the browser that came back is the one that began: else somebody could sign others in as
        themselves (RFC 6749 §10.12).
        """
        return bool(csrf) and hmac.compare_digest(self.browser, _digest(csrf))


class LoginStates:
    """The sign-ins under way, in the ledger."""

    def __init__(self, ledger: Ledger, token: Callable[[], str] = lambda: secrets.token_urlsafe(32)) -> None:
        self._ledger, self._token = ledger, token

    async def begin(
        self, provider: str, redirect_uri: str, rd: str, csrf: str, *, keep: bool = False
    ) -> ProviderLogin:
        """Begin a sign-in and return what the provider is to be sent."""
        attempt = ProviderLogin(
            state=self._token(),
            nonce=self._token(),
            verifier=self._token() + self._token(),
            redirect_uri=redirect_uri,
        )
        journey = Journey(provider=provider, attempt=attempt, rd=rd, browser=_digest(csrf), keep=keep)
        await self._ledger.put(_key(attempt.state), json.dumps(asdict(journey)).encode(), LIFETIME)
        return attempt

    async def end(self, provider: str, state: str) -> Journey | None:
        """Take the sign-in that `state` names; None if it is unknown, used or of another provider."""
        kept = await self._ledger.take(_key(state)) if state else None
        if kept is None:
            return None
        values = json.loads(kept)
        journey = Journey(**{**values, "attempt": ProviderLogin(**values["attempt"])})
        return journey if journey.provider == provider else None


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _key(state: str) -> str:
    return f"federated:{_digest(state)}"
