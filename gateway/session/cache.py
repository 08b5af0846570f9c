"""What this worker remembers of sessions, how it fills that from the store, and how it hears what is out of date.

Most requests are answered by `SessionCache`, without I/O; the others by `SessionJudge`. An entry goes as soon as a
change of its session or user is heard of (`follow`), and the oldest when there are too many. Reads don't wait for each
other's turn: a database that is far away answers few at a time, so a hundred requests of one page cost one read
(`SharedReads`), and what only brings the cache up to date never takes more than a few of the database's connections
(`Behind`).
"""

import asyncio
import logging
import math
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Coroutine, Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from gateway.clock import Clock
from gateway.config.schema import Session as SessionConfig
from gateway.directory.base import Directory
from gateway.errors import StoreUnavailable
from gateway.model import Principal, SessionRecord, User
from gateway.stores.protocols.core import CHANGES_AT_ONCE, Change, Changes, SessionStore

log = logging.getLogger("gateway.session")
T = TypeVar("T")
_SIZE = 50_000
PATIENCE = 6.0
"""Seconds that one request waits for the store."""
AT_ONCE = 4
"""Works behind the scenes that may be with the store at a time, of the 10 to 15 connections of a worker."""
Granted = Callable[[str, float], Awaitable[Sequence[tuple[str, float]]]]
"""Of a user name and the time now: the groups lent to that user, each with the time when that ends."""


@dataclass(slots=True)
class CachedSession:
    """One session as it was read. Times are Unix times by our clock."""

    principal: Principal
    csrf: str
    read_at: float
    seen_at: float
    touched_at: float
    """When the store was last told that the session is in use."""
    host: str = ""
    """The only host where the cookie counts (`Content.host`)."""

    @property
    def distrusted(self) -> bool:
        """Whether it must be read again before it counts."""
        return self.read_at == float("-inf")


@dataclass(frozen=True, slots=True)
class Visit:
    """What a browser's cookie stands for: its csrf token ("" without a cookie of ours), and who is signed in."""

    csrf: str
    principal: Principal | None


class Expiry:
    """Knows when a session expires: after a time without use, and at a fixed time after its beginning."""

    def __init__(self, config: SessionConfig) -> None:
        self.idle, self.absolute = config.idle_timeout, config.absolute_timeout
        self.noted_after = min(60.0, self.idle / 10)
        """Seconds of use after which the store is told of it: it may be that late in knowing the last one."""

    def alive(self, record: SessionRecord, seen: float, now: float) -> bool:
        """Tell whether a session that was last used at `seen` is good at `now` (Unix seconds)."""
        return now < record.expires_at and now - seen < self.idle

    def could_end_at(self, record: SessionRecord) -> float:
        """Return the Unix time until which the session has not expired, as far as this record tells."""
        return min(record.expires_at, record.last_seen + self.idle + self.noted_after)


class SessionCache:
    """Cookie value -> session, at most 50,000, the oldest first to go."""

    def __init__(self) -> None:
        self._entries: OrderedDict[str, CachedSession] = OrderedDict()
        # The cookie values of each session and each user: a change must cost the same however many are signed in.
        self._of_session: dict[str, set[str]] = {}
        self._of_user: dict[str, set[str]] = {}
        self.heard = 0
        """Counts changes: what was read before one came may be out of date already and is not remembered."""

    def get(self, value: str) -> CachedSession | None:
        """Return what is remembered of a cookie value; the caller still asks `Expiry`."""
        return self._entries.get(value)

    def put(self, value: str, entry: CachedSession, heard: int) -> bool:
        """Remember what was read while `heard` changes were known; False, and nothing kept, if another came
        meanwhile.
        """
        if heard != self.heard:
            return False
        self.drop(value)
        self._entries[value] = entry
        session = entry.principal.session
        self._of_session.setdefault(session.sid, set()).add(value)
        self._of_user.setdefault(session.username, set()).add(value)
        if len(self._entries) > _SIZE:
            self.drop(next(iter(self._entries)))
        return True

    def drop(self, value: str) -> None:
        """Forget one cookie value."""
        entry = self._entries.pop(value, None)
        if entry is not None:
            session = entry.principal.session
            _remove(self._of_session, session.sid, value)
            _remove(self._of_user, session.username, value)

    def forget(self, change: Change) -> None:
        """Drop the entries that a change of a session or user makes out of date."""
        self.heard += 1
        of = self._of_session if change.kind == "session" else self._of_user
        for value in tuple(of.get(change.subject, ())):
            self.drop(value)

    def distrust(self) -> None:
        """Have every session read again at its next use, since changes may have been missed."""
        self.heard += 1
        for entry in self._entries.values():
            entry.read_at = float("-inf")

    def sids_of(self, username: str) -> Iterable[str]:
        """Return the ids of this user's sessions that are remembered here."""
        return [self._entries[value].principal.session.sid for value in self._of_user.get(username, ())]


def _remove(index: dict[str, set[str]], key: str, value: str) -> None:
    index[key].discard(value)
    if not index[key]:
        del index[key]


async def follow(
    changes: Changes, *, interval: float, start: Callable[[], None], hear: Callable[[Change], None]
) -> None:
    """Call `start` once the feed can be read, then `hear` for each change, until cancelled.

    `interval` is the pause between two looks, in seconds.
    """
    cursor: int | None = None
    while True:
        more = False
        try:
            if cursor is None:
                cursor = await changes.latest()
                start()
            cursor, heard = await changes.since(cursor)
            for change in heard:
                hear(change)
            more = len(heard) == CHANGES_AT_ONCE
        except StoreUnavailable as error:
            log.warning("revocations can't be read: %s", error.detail)
        await asyncio.sleep(0 if more else interval)


class SessionJudge:
    """Asks the store and the directory whom a session stands for, and ends what may not go on.

    Methods raise StoreUnavailable.
    """

    def __init__(
        self,
        sessions: SessionStore,
        directory: Directory,
        granted: Granted | None,
        expiry: Expiry,
        clock: Clock,
    ) -> None:
        self._sessions, self._directory = sessions, directory
        self._granted, self._expiry, self._clock = granted, expiry, clock

    async def principal(self, sid: str, now: float, seen: float) -> Principal | None:
        """Return whom a session stands for, None if it has ended.

        `seen` is when this worker last saw it used (Unix time), which the store may not know yet.
        """
        record = await self._sessions.get(sid)
        if record is None:
            return None
        user = await self._directory.get(record.username)
        if not self._expiry.alive(record, max(seen, record.last_seen), now):
            return None  # not deleted: nobody ended it, and this machine's clock is not everybody's
        if user is None or user.disabled:
            await self._sessions.delete_for_user(record.username)
            return None
        if user.password_changed_at > record.proven_at.get("password", now):
            await self._sessions.delete(sid)  # proven with a password that is no longer the user's
            return None
        return await self.with_grants(user, record)

    async def with_grants(self, user: User, record: SessionRecord) -> Principal:
        """Return the principal with the groups that are lent to this user now."""
        grants = await self._granted(user.username, self._clock()) if self._granted else ()
        until = min((end for _, end in grants), default=math.inf)
        return Principal(user, record, tuple(group for group, _ in grants), granted_until=until)


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
