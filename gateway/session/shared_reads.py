"""Reads of sessions that don't wait for each other's turn: one for many who want the same, and some behind the scenes.

A database that is far away answers few reads at a time. So a hundred requests of one page cost one read, and what
only brings the cache up to date never takes more than a few of the database's connections.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Hashable
from typing import Generic, TypeVar

from gateway.errors import StoreUnavailable

T = TypeVar("T")
PATIENCE = 6.0
"""Seconds that one request waits for the store."""
AT_ONCE = 4
"""Works behind the scenes that may be with the store at a time, of the 10 to 15 connections of a worker."""


class SharedReads(Generic[T]):
    """At most one read for each key at a time; all who ask meanwhile get its outcome."""

    def __init__(self) -> None:
        self._running: dict[Hashable, asyncio.Task[T]] = {}

    async def get(self, key: Hashable, read: Callable[[], Coroutine[object, object, T]]) -> T:
        """Return what `read` returns. Raises what it raises, and StoreUnavailable if it takes too long.

        A caller that gives up leaves the read to the others, and to the cache.
        """
        task = self._running.get(key)
        if task is None:
            task = self._running[key] = asyncio.get_running_loop().create_task(read())
            task.add_done_callback(lambda done: self._end(key, done))
        try:
            async with asyncio.timeout(PATIENCE):
                return await asyncio.shield(task)
        except TimeoutError:
            raise StoreUnavailable(f"a session could not be read in {PATIENCE:g} s") from None

    def _end(self, key: Hashable, task: asyncio.Task[T]) -> None:
        del self._running[key]
        if not task.cancelled():
            task.exception()  # who waited has it; if nobody did, it is nobody's


class Behind:
    """Works that nobody waits for, one for each key at a time."""

    def __init__(self) -> None:
        self._running: dict[Hashable, asyncio.Task[None]] = {}
        self._turns = asyncio.Semaphore(AT_ONCE)

    def start(self, key: Hashable, work: Callable[[], Awaitable[None]]) -> None:
        """Do it soon, unless it is under way. `work` handles its own errors."""
        if key in self._running:
            return
        task = self._running[key] = asyncio.get_running_loop().create_task(self._run(work))
        task.add_done_callback(lambda _: self._running.pop(key, None))

    async def finish(self) -> None:
        """Wait for all that is under way."""
        await asyncio.gather(*self._running.values())

    async def _run(self, work: Callable[[], Awaitable[None]]) -> None:
        async with self._turns:
            await work()
