"""How a host of another domain gets the session that began at the portal: what it asks with, and the code it is given.

The host itself begins (`begin`): it seals which page it wants, which browser asked and from where. The portal hands
over for nothing else. The code is bound to that host and to the browser that asked there (a nonce in a cookie of that
host), so that neither a code that leaked nor one that an attacker made for a session of their own is of any use
elsewhere. What the host gets is the same session, by a cookie that counts at that host alone: ending it anywhere ends
it everywhere, and policy is asked on the other host as ever. docs/threat-model.md has the attacks.
"""

import hmac
import json
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256

from gateway.clock import Clock
from gateway.keyring import KeyRing
from gateway.model import Target
from gateway.stores.protocols.ledger import Ledger

GOOD_FOR = 60.0
BEGUN_FOR = 600.0
"""Seconds for which the portal goes on with what a host has begun."""


@dataclass(frozen=True, slots=True)
class HandedOver:
    """What a code stands for: the session, and the page to go to."""

    sid: str
    uri: str


@dataclass(frozen=True, slots=True)
class HandOffRequest:
    """What a host asked for. `client` stands for the browser that asked there; `nonce_digest` for its nonce."""

    nonce_digest: str
    client: str
    expired: bool

    def is_of(self, network: str, user_agent: str) -> bool:
        """Whether who is here now looks like who asked there."""
        return hmac.compare_digest(self.client, _client(network, user_agent))


class HandOffs:
    """Makes codes at the portal and takes them at the other host."""

    def __init__(
        self,
        ledger: Ledger,
        ring: KeyRing,
        clock: Clock,
        *,
        token: Callable[[], str] = secrets.token_urlsafe,
    ) -> None:
        self._ledger, self._ring, self._clock, self._token = ledger, ring, clock, token

    def begin(self, destination: Target, nonce: str, *, network: str, user_agent: str) -> str:
        """At the host that wants the session: what it sends the browser to the portal with."""
        asked = [_page(destination), digest(nonce), _client(network, user_agent), self._clock()]
        return self._ring.seal(json.dumps(asked).encode()).decode()

    def begun(self, sealed: str, destination: Target) -> HandOffRequest | None:
        """At the portal: what the destination's host began. None if no host of ours asked for just this page."""
        try:
            page, nonce_digest, client, at = json.loads(self._ring.open(sealed.encode("ascii")))
        except ValueError:
            return None
        if not hmac.compare_digest(page, _page(destination)):
            return None
        return HandOffRequest(nonce_digest, client, expired=abs(self._clock() - at) > BEGUN_FOR)

    async def issue(self, sid: str, destination: Target, nonce_digest: str) -> str:
        """A code for this session, good once, on this host, in the browser that has the nonce."""
        code = self._token()
        ticket = json.dumps([sid, destination.authority, destination.uri, nonce_digest])
        await self._ledger.put(_key(code), self._ring.seal(ticket.encode()), GOOD_FOR)
        return code

    async def redeem(self, code: str, here: Target, nonce: str) -> HandedOver | None:
        """What the code stands for. Whoever shows it, rightly or not, uses it up."""
        sealed = await self._ledger.take(_key(code)) if code else None
        try:
            ticket = json.loads(self._ring.open(sealed)) if sealed is not None else None
        except ValueError:
            return None
        if ticket is None:
            return None
        sid, authority, uri, nonce_digest = ticket
        if not nonce or not hmac.compare_digest(digest(nonce), nonce_digest):
            return None
        return HandedOver(sid, uri) if authority == here.authority else None


def digest(nonce: str) -> str:
    return sha256(nonce.encode()).hexdigest()


def _page(destination: Target) -> str:
    return sha256(destination.url.encode()).hexdigest()


def _client(network: str, user_agent: str) -> str:
    return sha256(f"{network}\n{user_agent}".encode(errors="surrogatepass")).hexdigest()


def _key(code: str) -> str:
    """The store never sees a code that is still good."""
    return f"handoff:{sha256(code.encode(errors='surrogatepass')).hexdigest()}"
