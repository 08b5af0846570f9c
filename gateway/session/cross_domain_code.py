"""The one-time code by which a host of another domain gets the session that began at the portal.

It is bound to that host and to the browser that asked there (a nonce in a cookie of that host), so that neither a
code that leaked nor one that an attacker made for a session of their own is of any use elsewhere. What is handed over
is the same session: ending it anywhere ends it everywhere, and policy is asked on the other host as ever.
"""

import hmac
import json
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256

from gateway.keyring import KeyRing
from gateway.model import Target
from gateway.stores.protocols.core import Ledger

GOOD_FOR = 60.0


@dataclass(frozen=True, slots=True)
class HandedOver:
    sid: str
    uri: str


class HandOffs:
    def __init__(
        self, ledger: Ledger, ring: KeyRing, token: Callable[[], str] = secrets.token_urlsafe
    ) -> None:
        self._ledger, self._ring, self._token = ledger, ring, token

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


def _key(code: str) -> str:
    """The store never sees a code that is still good."""
    return f"handoff:{sha256(code.encode(errors='surrogatepass')).hexdigest()}"
