"""Links that work once: a random token in a mail, its digest in the ledger, and whom it is for.

Looking at a link does not use it up (mail scanners do that); taking does, and of two takers one gets it.
"""

import json
import secrets
from collections.abc import Callable
from hashlib import sha256

from gateway.clock import Clock
from gateway.stores.protocols.ledger import Ledger

_LONGEST = 128


class Links:
    """Links that are sent to a user and work once.

    Args:
        kind: part of the key, so that a link for one purpose is worth nothing for another.
        lifetime: seconds.
    """

    def __init__(
        self,
        kind: str,
        ledger: Ledger,
        clock: Clock,
        *,
        lifetime: float,
        token: Callable[[], str] = secrets.token_urlsafe,
    ) -> None:
        self._kind, self._ledger, self._clock, self._token = kind, ledger, clock, token
        self.lifetime = lifetime

    async def issue(self, username: str) -> str:
        """Make a token for this user and return it; the one before it ends.

        Of several that are made at once the last one lives: a link is good only while its user's entry names it.
        """
        token = self._token()
        value = json.dumps({"user": username, "at": self._clock()})
        await self._ledger.put(self._slot(token), value.encode(), self.lifetime)
        await self._ledger.put(self._owner(username), self._slot(token).encode(), self.lifetime)
        return token

    async def look(self, token: str) -> str | None:
        """Return whom the link is for, None if it works no more."""
        return await self._living(token, await self._ledger.get(self._slot(token)))

    async def take(self, token: str) -> str | None:
        """Use the link up and return whom it was for, None if it did not work any more."""
        return await self._living(token, await self._ledger.take(self._slot(token)))

    async def revoke(self, username: str) -> bool:
        """End the link that this user has; True if there was one."""
        slot = await self._ledger.take(self._owner(username))
        return slot is not None and await self._ledger.take(slot.decode()) is not None

    async def _living(self, token: str, value: bytes | None) -> str | None:
        username = _user(value)
        if username is None:
            return None
        named = await self._ledger.get(self._owner(username))
        return username if named == self._slot(token).encode() else None

    def _slot(self, token: str) -> str:
        return f"link:{self._kind}:{sha256(token[:_LONGEST].encode()).hexdigest()}"

    def _owner(self, username: str) -> str:
        return f"link-of:{self._kind}:{username}"


def _user(value: bytes | None) -> str | None:
    return str(json.loads(value)["user"]) if value is not None else None
