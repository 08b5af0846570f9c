"""Bypass codes: an administrator hands one to a user who has lost every second factor. It works once, for a short
time.

It stands for a second factor, so the password is still asked for. Only a keyed hash of it is kept; a new one voids
the old.
"""

import hmac
from collections.abc import Callable, Mapping, Sequence
from hashlib import sha256

from gateway.authn.factors.base import Attempt, Outcome, Prompt
from gateway.authn.factors.challenge import Tries
from gateway.authn.factors.recovery import normal_code, random_code, spelled
from gateway.model import User
from gateway.stores.protocols.ledger import Ledger

Keys = Callable[[], Sequence[bytes]]
"""Hash keys, newest first; older ones keep codes good across a key rotation."""


class Bypasses:
    """The bypass codes that can still be used, at most one for each user."""

    def __init__(self, ledger: Ledger, keys: Keys, *, new_code: Callable[[], str] = random_code) -> None:
        self._ledger, self._keys, self._new_code = ledger, keys, new_code

    async def issue(self, username: str, lifetime: float) -> str:
        """Make a code for this user, good for `lifetime` seconds, and return it; the one before ends."""
        code = self._new_code()
        await self._ledger.put(_slot(username), _hash(self._keys()[0], username, code), lifetime)
        return spelled(code)

    async def revoke(self, username: str) -> bool:
        """End this user's code; True if there was one."""
        return await self._ledger.take(_slot(username)) is not None

    async def is_out(self, username: str) -> bool:
        """Tell whether this user has a code that still works."""
        return await self._ledger.get(_slot(username)) is not None

    async def use(self, username: str, code: str) -> bool:
        """Consume the code if it is right. Of two requests with the same code, exactly one gets True."""
        kept = await self._ledger.get(_slot(username))
        if kept is None:
            return False
        given = [_hash(key, username, normal_code(code)) for key in self._keys()]
        if not any(hmac.compare_digest(kept, one) for one in given):
            return False
        return await self._ledger.take(_slot(username)) == kept


class BypassFactor:
    """The factor `bypass`: offered only to users who have a code."""

    name = "bypass"

    def __init__(self, bypasses: Bypasses, ledger: Ledger) -> None:
        self._bypasses, self._tries = bypasses, Tries(self.name, ledger)

    async def enrolled(self, user: User) -> bool:
        return await self._bypasses.is_out(user.username)

    async def begin(self, attempt: Attempt, *, again: bool = False) -> Prompt:
        await self._tries.check(attempt)
        return Prompt()

    async def verify(self, attempt: Attempt, form: Mapping[str, str]) -> Outcome:
        """Judge a code, and use it up if it is right."""
        if await self._tries.spent(attempt):
            return Outcome.EXHAUSTED
        if await self._bypasses.use(attempt.user.username, form.get("code", "")):
            await self._tries.forget(attempt)
            return Outcome.RIGHT
        return Outcome.WRONG


def _slot(username: str) -> str:
    return f"bypass:{username}"


def _hash(key: bytes, username: str, code: str) -> bytes:
    return hmac.new(key, f"bypass\0{username}\0{code}".encode(), sha256).digest()
