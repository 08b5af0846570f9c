"""Says whom a cookie stands for: nearly always from memory, else as store and directory say.

What is remembered goes within a second after another worker or replica has revoked it (`follow`).
"""

import asyncio
import logging
import math
import secrets
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

from cryptography.fernet import MultiFernet

from gateway.clock import Clock
from gateway.config.schema import Session as SessionConfig
from gateway.directory.base import Directory
from gateway.errors import StoreUnavailable
from gateway.model import Principal, SessionRecord, User
from gateway.request.target import cookie_value
from gateway.session.binding import Client, SessionBinding
from gateway.session.cache import Behind, CachedSession, SessionCache, SessionJudge, SharedReads
from gateway.session.cookie import Content, SessionCookie, Visit
from gateway.session.device_binding import DeviceBinding
from gateway.stores.protocols.core import CHANGES_AT_ONCE, Change, Changes, SessionStore

log = logging.getLogger("gateway.session")

_RECHECK_AFTER = 60.0  # seconds after which a cached session is read again, in case a change was missed
_AGAIN_AFTER = 5.0  # seconds until that is tried again if the store did not answer
Granted = Callable[[str, float], Awaitable[Sequence[tuple[str, float]]]]
"""Of a user name and the time now: the groups lent to that user, each with the time when that ends."""


def counts_everywhere(host: str) -> str:
    """Where a cookie must be made for to count at `host`, when no domain is remote: the portal's counts anywhere."""
    return ""


class Expiry:
    """Knows when a session expires: after a fixed time, and one that is not kept after a time without use, too."""

    def __init__(self, config: SessionConfig) -> None:
        self.lifetimes = config.lifetimes
        self.noted_after = min(60.0, config.idle_timeout / 10)
        """Seconds of use after which the store is told of it: it may be that late in knowing the last one."""

    def alive(self, record: SessionRecord, seen: float, now: float) -> bool:
        """Tell whether a session that was last used at `seen` is good at `now` (Unix seconds)."""
        return self.lifetimes.alive(record, seen, now)

    def could_end_at(self, record: SessionRecord) -> float:
        """Return the Unix time until which the session has not expired, as far as this record tells."""
        return self.lifetimes.ends_at(record, record.last_seen + self.noted_after)


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


class SessionReader:
    """Opens sessions; the half of `Sessions` that each request needs. One per worker. `bound_to` is that of `Domains`,
    `path` that of our cookies.

    `behind_for` is for how many seconds a session may go on while it is read again: 0 where changes of users are
    seen only by reading them.
    """

    def __init__(
        self,
        config: SessionConfig,
        *,
        secure: bool,
        fernet: Callable[[], MultiFernet],
        sessions: SessionStore,
        directory: Directory,
        changes: Changes,
        granted: Granted | None,
        clock: Clock,
        devices: DeviceBinding,
        behind_for: float = 0.0,
        bound_to: Callable[[str], str] = counts_everywhere,
        binding: SessionBinding | None = None,
        csrf: Callable[[], str] = secrets.token_urlsafe,
        path: str = "/",
    ) -> None:
        self.new_csrf, self._bound_to, self.binding, self.devices = csrf, bound_to, binding, devices
        self._cookie = SessionCookie(config, secure=secure, fernet=fernet, path=path)
        self.cookie_name = self._cookie.name
        self.expiry, self._clock = Expiry(config), clock
        self._sessions, self._directory, self._changes = sessions, directory, changes
        self._granted, self._behind_for = granted, behind_for
        self._judge = SessionJudge(sessions, directory, self.expiry.alive)
        self._cache = SessionCache()
        self._reads: SharedReads[Visit] = SharedReads()
        self._behind = Behind()
        self.on_change: list[Callable[[Change], None]] = []
        """Called with each change that this worker hears of."""

    # -- reading -------------------------------------------------------------------------------------------------

    def cached(
        self, value: str, host: str, client: Client = None, agent: str = "", bound: str = ""
    ) -> Principal | None:
        """Return the principal if this cookie value was read before and counts at `host` for this client, beside this
        `bound` cookie (`devices`); no I/O.
        """
        entry = self._cache.entries.get(value)
        if entry is None or entry.host != self._bound_to(host):
            return None
        session = entry.principal.session
        if session.device_id and not self.devices.holds(session, bound):
            return None
        if self.binding is not None and self.binding.differs(session, client, agent):
            return None
        return self._use(value, entry, self._clock())

    async def load(self, cookies: str, host: str, client: Client = None, agent: str = "") -> Principal | None:
        """Whom a request for `host` comes from, or None. Raises StoreUnavailable."""
        return (await self.visit(cookies, host, client, agent)).principal

    async def visit(self, cookies: str, host: str, client: Client = None, agent: str = "") -> Visit:
        """Return what the cookie of a browser that asks for `host` stands for there. Raises StoreUnavailable.

        `client` and `agent` are its address and User-Agent, which a session may be bound to (`session.bind`).
        """
        if not (value := cookie_value(cookies, self.cookie_name)):
            return Visit("", None)
        if (entry := self._cache.entries.get(value)) and entry.host != self._bound_to(host):
            return Visit("", None)
        bound = cookie_value(cookies, self.devices.cookie_name)
        if entry and (principal := self.cached(value, host, client, agent, bound)):
            return Visit(entry.csrf, principal)
        read = await self._read(value, entry, host)
        if read.principal is not None and read.principal.session.device_id:
            read = await self.devices.checked(read, bound, client)
        return await self.binding.checked(read, client, agent) if self.binding else read

    def _use(self, value: str, entry: CachedSession, now: float) -> Principal | None:
        principal = entry.principal
        age = now - entry.read_at
        if age > _RECHECK_AFTER + self._behind_for or now >= principal.granted_until:
            return None
        if not self.expiry.alive(principal.session, entry.seen_at, now):
            return None
        entry.seen_at = now
        if now - entry.touched_at > self.expiry.noted_after:
            entry.touched_at = now
            sid = principal.session.sid
            self._behind.start(("touch", sid), lambda: self.touch(sid, now))
        if age > _RECHECK_AFTER:  # changes are heard within a second; this is for one that was not
            self._behind.start(value, lambda: self._refresh(value, entry))
        return principal

    async def _refresh(self, value: str, entry: CachedSession) -> None:
        """Read a session again that goes on meanwhile."""
        content = self._cookie.open(value)
        if content is None or not content.sid:
            self._cache.drop(value)
            return
        try:
            await self._read_stored(value, content, entry, used=False)
        except StoreUnavailable:
            entry.read_at = self._clock() - _RECHECK_AFTER + _AGAIN_AFTER

    async def _read(self, value: str, stale: CachedSession | None, host: str) -> Visit:
        content = self._cookie.open(value)
        if content is None or not content.sid:
            return Visit(content.csrf if content else "", None)
        if content.host != self._bound_to(host):  # a cookie that was made for another host is none
            return Visit("", None)
        now, heard = self._clock(), self._cache.heard
        try:
            # With `heard`: who comes after a change must not get what was read before it.
            return await self._reads.get(
                (value, heard), lambda: self._read_stored(value, content, stale, used=True)
            )
        except StoreUnavailable:
            if stale and self.expiry.alive(stale.principal.session, stale.seen_at, now):
                stale.seen_at = now  # a session that we know goes on while the database is away
                return Visit(stale.csrf, stale.principal)
            raise

    async def _read_stored(
        self, value: str, content: Content, known: CachedSession | None, *, used: bool
    ) -> Visit:
        """Read a session and remember it; `used` says whether somebody asks for it. Raises StoreUnavailable."""
        now, heard = self._clock(), self._cache.heard
        found = await self._judge.found(content.sid, now, known.seen_at if known else 0.0)
        if found is None:
            self._cache.drop(value)
            return Visit(content.csrf, None)
        principal = await self.with_grants(*found)
        noted = principal.session.last_seen
        seen = now if used or known is None else known.seen_at
        entry = CachedSession(principal, content.csrf, now, seen_at=seen, touched_at=noted, host=content.host)
        if self._cache.put(value, entry, heard) and used:
            self._use(value, entry, now)
        elif used:
            await self.touch(principal.session.sid, now)  # nothing here remembers this use
        return Visit(content.csrf, principal)

    async def touch(self, sid: str, now: float) -> None:
        """Note that a session was used at `now` (Unix seconds)."""
        try:
            await self._sessions.touch(sid, now)
        except StoreUnavailable:
            log.warning("session not touched: store is away")

    async def look_up(self, sid: str) -> Principal | None:
        """Whom a session stands for now, None if it has ended. Asks the store. Raises StoreUnavailable."""
        found = await self._judge.found(sid, self._clock(), 0.0)
        return await self.with_grants(*found) if found else None

    async def with_grants(self, user: User, record: SessionRecord) -> Principal:
        """Return whom a record stands for, with the groups that are lent to this user now."""
        grants = await self._granted(user.username, self._clock()) if self._granted else ()
        until = min((end for _, end in grants), default=math.inf)
        return Principal(
            user, record, (*(group for group, _ in grants), *record.provider_groups), granted_until=until
        )

    async def with_lent_groups(self, user: User) -> User:
        """Return the user with the groups that are lent to them for now, for requests without a session."""
        lent = await self._granted(user.username, self._clock()) if self._granted else ()
        return replace(user, groups=(*user.groups, *(group for group, _ in lent))) if lent else user

    # -- hearing of changes ----------------------------------------------------------------------------------------

    async def follow_changes(self, interval: float = 0.5) -> None:
        """Forget what other workers and replicas changed, until cancelled. `interval` is in seconds."""
        await follow(self._changes, interval=interval, start=self.forget_all, hear=self._forget)

    def forget_all(self) -> None:
        """Read every session again at its next request: some changes were not heard."""
        for hear in self.on_change:
            hear(Change("all", ""))
        self._cache.distrust()

    def forget_user(self, username: str) -> None:
        """Read this user's sessions again at their next request, and check what hangs on them."""
        self._forget(Change("user", username))

    def _forget(self, change: Change) -> None:
        for hear in self.on_change:
            hear(change)
        self._cache.forget(change)

    def now(self) -> float:
        return self._clock()

    def age(self, principal: Principal) -> float:
        """Return the seconds since the user last proved anything."""
        return self._clock() - principal.session.auth_time
