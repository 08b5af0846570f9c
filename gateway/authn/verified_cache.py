"""Remembers for a minute which credentials were right, so that a program does not cost Argon2 at each request.

Only a keyed hash of a credential is kept, under a key that this process alone has. A change forgets what it is about
at once, also checks that were under way when it came. Wrong credentials are never remembered.
"""

import asyncio
import hmac
import secrets
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from gateway.clock import Clock

T = TypeVar("T")
LIFETIME = 60.0
SIZE = 10_000


class VerifiedCache(Generic[T]):
    """Credential -> what its check found."""

    def __init__(
        self,
        clock: Clock,
        *,
        lifetime: float = LIFETIME,
        size: int = SIZE,
        new_key: Callable[[], bytes] = lambda: secrets.token_bytes(32),
    ) -> None:
        """What was verified is remembered for `lifetime` seconds, and of the most recent `size` entries."""
        self._clock, self._lifetime, self._size = clock, lifetime, size
        self._key = new_key()
        self._known: OrderedDict[str, tuple[float, T]] = OrderedDict()
        self._running: dict[tuple[str, str], asyncio.Task[T]] = {}
        self._age = 0
        """Counts what was forgotten: a check that is older than that must not be remembered."""

    async def get(self, credential: str, who: str, check: Callable[[], Awaitable[T]]) -> T:
        """Return what `check` found, now or within the last minute; equal requests of `who` at one time share one
        check.
        """
        slot = self.slot_of(credential)
        if (found := self._fresh(slot)) is not None:
            return found[1]
        task = self._running.get((slot, who))
        if task is None:
            task = asyncio.get_running_loop().create_task(self._check(slot, check, self._age))
            self._running[slot, who] = task
            task.add_done_callback(lambda done: self._end((slot, who), done))
        return await asyncio.shield(task)  # who leaves does not take the answer from those who wait

    def known(self, slot: str) -> T | None:
        """Return what the check of a credential with this `slot_of` found within the last minute, None if there was
        none; waits for nothing.
        """
        found = self._fresh(slot)
        return found[1] if found else None

    def forget(self, is_gone: Callable[[T], bool]) -> None:
        """Forget the results for which `is_gone` is true, also of checks under way."""
        self._age += 1
        self._running.clear()
        for slot in [slot for slot, (_, value) in self._known.items() if is_gone(value)]:
            del self._known[slot]

    def slot_of(self, credential: str) -> str:
        """Return the keyed hash of a credential."""
        return hmac.digest(self._key, credential.encode(errors="surrogatepass"), "sha256").hex()

    def _fresh(self, slot: str) -> tuple[float, T] | None:
        found = self._known.get(slot)
        return found if found and 0 <= self._clock() - found[0] < self._lifetime else None

    async def _check(self, slot: str, check: Callable[[], Awaitable[T]], age: int) -> T:
        at = self._clock()
        value = await check()
        if age == self._age:
            self._known[slot] = (at, value)
            self._known.move_to_end(slot)
            if len(self._known) > self._size:
                self._known.popitem(last=False)
        return value

    def _end(self, key: tuple[str, str], done: asyncio.Task[T]) -> None:
        if self._running.get(key) is done:
            del self._running[key]
        if not done.cancelled():
            done.exception()  # everybody who asked may have left
