"""What this worker remembers of sessions, and how it fills that from the store.

An entry goes as soon as a change of its session or user is heard of (`follow` in reading.py), and the oldest when
there are too many. Reads don't wait for each other's turn: a database that is far away answers few at a time, so a
hundred requests of one page cost one read (`SharedReads`), and what only brings the cache up to date never takes more
than a few of the database's connections (`Behind`).
"""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Coroutine, Hashable, Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

from gateway.directory.base import Directory
from gateway.errors import StoreUnavailable
from gateway.model import Principal, SessionRecord, User
from gateway.stores.protocols.core import Change, SessionStore

T = TypeVar("T")
_SIZE = 50_000
PATIENCE = 6.0
"""Seconds that one request waits for the store."""
AT_ONCE = 4
"""Works behind the scenes that may be with the store at a time, of the 10 to 15 connections of a worker."""


@dataclass(slots=True)
class CachedSession:
    """One session as it was read. Times are Unix times by our clock."""

    principal: Principal
    csrf: str
    read_at: float
    """Minus infinity where it must be read again before it counts."""
    seen_at: float
    touched_at: float
    """When the store was last told that the session is in use."""
    host: str = ""
    """The only host where the cookie counts (`Content.host`)."""


class SessionCache:
    """Cookie value -> session, at most 50,000, the oldest first to go."""

    def __init__(self) -> None:
        self.entries: OrderedDict[str, CachedSession] = OrderedDict()
        """What is remembered, by cookie value. Whether it still counts says `SessionReader`."""
        # The cookie values of each session and each user: a change must cost the same however many are signed in.
        self._of_session: dict[str, set[str]] = {}
        self._of_user: dict[str, set[str]] = {}
        self.heard = 0
        """Counts changes: what was read before one came may be out of date already and is not remembered."""

    def put(self, value: str, entry: CachedSession, heard: int) -> bool:
        """Remember what was read while `heard` changes were known; False, and nothing kept, if another came
        meanwhile.
        """
        if heard != self.heard:
            return False
        self.drop(value)
        self.entries[value] = entry
        session = entry.principal.session
        self._of_session.setdefault(session.sid, set()).add(value)
        self._of_user.setdefault(session.username, set()).add(value)
        if len(self.entries) > _SIZE:
            self.drop(next(iter(self.entries)))
        return True

    def drop(self, value: str) -> None:
        """Forget one cookie value."""
        entry = self.entries.pop(value, None)
        if entry is not None:
            session = entry.principal.session
            _remove(self._of_session, session.sid, value)
            _remove(self._of_user, session.username, value)

    def forget(self, change: Change) -> None:
        """Drop the entries that a change of a session or user makes out of date."""
        self.heard += 1
        of = self._of_session if change.kind in ("session", "binding") else self._of_user
        for value in tuple(of.get(change.subject, ())):
            self.drop(value)

    def distrust(self) -> None:
        """Have every session read again at its next use, since changes may have been missed."""
        self.heard += 1
        for entry in self.entries.values():
            entry.read_at = float("-inf")

    def sids_of(self, username: str) -> Iterable[str]:
        """Return the ids of this user's sessions that are remembered here."""
        return [self.entries[value].principal.session.sid for value in self._of_user.get(username, ())]


def _remove(index: dict[str, set[str]], key: str, value: str) -> None:
    index[key].discard(value)
    if not index[key]:
        del index[key]


class SessionJudge:
    """Asks the store and the directory whose a session is, and ends what may not go on.

    `alive` is that of `Expiry`. Methods raise StoreUnavailable.
    """

    def __init__(
        self,
        sessions: SessionStore,
        directory: Directory,
        alive: Callable[[SessionRecord, float, float], bool],
    ) -> None:
        self._sessions, self._directory, self._alive = sessions, directory, alive

    async def found(self, sid: str, now: float, seen: float) -> tuple[User, SessionRecord] | None:
        """Return whose session it is and what it has proven, None if it has ended.

        `seen` is when this worker last saw it used (Unix time), which the store may not know yet.
        """
        record = await self._sessions.get(sid)
        if record is None:
            return None
        user = await self._directory.get(record.username)
        if not self._alive(record, max(seen, record.last_seen), now):
            return None  # not deleted: nobody ended it, and this machine's clock is not everybody's
        if user is None or user.disabled:
            await self._sessions.delete_for_user(record.username)
            return None
        if user.password_changed_at > record.proven_at.get("password", now):
            await self._sessions.delete(sid)  # proven with a password that is no longer the user's
            return None
        return user, record


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
