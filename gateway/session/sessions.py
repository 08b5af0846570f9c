"""Loads, starts, raises and ends sessions. The store has the last word; the cache in front of it spares most I/O and
forgets within a second what another worker or replica revoked. Proxied responses never carry our Set-Cookie."""

import logging
import secrets
from collections.abc import Callable
from dataclasses import replace

from aiohttp import web
from cryptography.fernet import MultiFernet

from gateway.clock import Clock
from gateway.config.schema import Session as SessionConfig
from gateway.directory.base import Directory
from gateway.errors import SessionEnded, StoreUnavailable
from gateway.model import Principal, SessionRecord, User
from gateway.policy.decide import SECOND_FACTORS
from gateway.session.binding import LONGEST_AGENT, Client, SessionBinding
from gateway.session.cache import (
    Behind,
    CachedSession,
    Expiry,
    Granted,
    SessionCache,
    SessionJudge,
    SharedReads,
    Visit,
    follow,
)
from gateway.session.cookie import Content, SessionCookie, counts_everywhere
from gateway.stores.protocols.core import Change, Changes, SessionStore

log = logging.getLogger("gateway.session")

_RECHECK_AFTER = 60.0  # seconds after which a cached session is read again, in case a change was missed
_AGAIN_AFTER = 5.0  # seconds until that is tried again if the store did not answer


class Sessions:
    """Opens, starts, raises and ends sessions. One per worker. `bound_to` is that of `Domains`.

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
        behind_for: float = 0.0,
        bound_to: Callable[[str], str] = counts_everywhere,
        binding: SessionBinding | None = None,
        token: Callable[[], str] = secrets.token_urlsafe,
        csrf: Callable[[], str] = secrets.token_urlsafe,
    ) -> None:
        self.new_csrf, self._bound_to, self.binding = csrf, bound_to, binding
        self._cookie = SessionCookie(config, secure=secure, fernet=fernet)
        self.cookie_name = self._cookie.name
        self.expiry, self._clock, self._token = Expiry(config), clock, token
        self._sessions, self._directory, self._changes = sessions, directory, changes
        self._granted, self._behind_for = granted, behind_for
        self._judge = SessionJudge(
            sessions=sessions, directory=directory, granted=granted, expiry=self.expiry, clock=clock
        )
        self._cache = SessionCache()
        self._reads: SharedReads[Visit] = SharedReads()
        self._behind = Behind()
        self.on_change: list[Callable[[Change], None]] = []
        """Called with each change that this worker hears of."""

    # -- reading -------------------------------------------------------------------------------------------------

    def cached(self, value: str, host: str, client: Client = None, agent: str = "") -> Principal | None:
        """Return the principal if this cookie value was read before and counts at `host` for this client; no I/O."""
        entry = self._cache.get(value)
        if entry is None or entry.host != self._bound_to(host):
            return None
        if self.binding is not None and self.binding.differs(entry.principal.session, client, agent):
            return None
        return self._use(value, entry, self._clock())

    async def load(self, cookies: str, host: str, client: Client = None, agent: str = "") -> Principal | None:
        """Whom a request for `host` comes from, or None. Raises StoreUnavailable."""
        return (await self.visit(cookies, host, client, agent)).principal

    async def visit(self, cookies: str, host: str, client: Client = None, agent: str = "") -> Visit:
        """Return what the cookie of a browser that asks for `host` stands for there. Raises StoreUnavailable.

        `client` and `agent` are its address and User-Agent, which a session may be bound to (`session.bind`).
        """
        if not (value := self._cookie.value(cookies)):
            return Visit("", None)
        if (entry := self._cache.get(value)) and entry.host != self._bound_to(host):
            return Visit("", None)
        if entry and (principal := self.cached(value, host, client, agent)):
            return Visit(entry.csrf, principal)
        read = await self._read(value, entry, host)
        return await self.binding.checked(read, client, agent) if self.binding else read

    def _use(self, value: str, entry: CachedSession, now: float) -> Principal | None:
        principal = entry.principal
        age = now - entry.read_at
        if entry.distrusted or age > _RECHECK_AFTER + self._behind_for or now >= principal.granted_until:
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
        principal = await self._judge.principal(content.sid, now, known.seen_at if known else 0.0)
        if principal is None:
            self._cache.drop(value)
            return Visit(content.csrf, None)
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
        return await self._judge.principal(sid, self._clock(), 0.0)

    # -- changing ------------------------------------------------------------------------------------------------

    async def rise(
        self,
        principal: Principal | None,
        username: str,
        factor: str,
        *,
        ip: str,
        user_agent: str,
        step_up: bool = False,
    ) -> SessionRecord:
        """A factor was proven: a new session id that carries what this user had proven so far; the old one ends.

        Raises SessionEnded if the old one has ended meanwhile: what it had proven counts no more. `step_up` asks
        for a second factor whatever the route; only a real one settles that.
        """
        now = self._clock()
        old = principal.session if principal and principal.username == username else None
        proven = {**(old.proven_at if old else {}), factor: now}
        record = SessionRecord(
            sid=self._token(),
            username=username,
            amr=tuple(dict.fromkeys((*(old.amr if old else ()), factor))),
            proven_at=proven,
            created_at=old.created_at if old else now,
            last_seen=now,
            expires_at=old.expires_at if old else now + self.expiry.absolute,
            ip=ip,
            user_agent=user_agent[:LONGEST_AGENT],
            step_up=(step_up or (old is not None and old.step_up)) and factor not in SECOND_FACTORS,
        )
        if not await self._sessions.put(record, instead_of=old.sid if old else ""):
            raise SessionEnded(f"a session of {username} ended while it was proving {factor}")
        if old is not None:
            self._forget(Change("session", old.sid))
        elif principal is not None:  # somebody else's
            await self.end(principal.session.sid)
        return record

    async def end(self, sid: str) -> None:
        await self._sessions.delete(sid)
        self._forget(Change("session", sid))

    async def end_others(self, username: str, keep: str) -> int:
        """End all sessions of a user but `keep`, on this worker at once; return how many."""
        count = await self._sessions.delete_for_user(username, keep=keep)
        for sid in self._cache.sids_of(username):
            if sid != keep:
                self._forget(Change("session", sid))
        return count

    async def principal_of(self, record: SessionRecord, user: User) -> Principal:
        """Whom a record that was just made for `user` stands for."""
        return await self._judge.with_grants(user, record)

    async def with_lent_groups(self, user: User) -> User:
        """Return the user with the groups that are lent to them for now, for requests without a session."""
        lent = await self._granted(user.username, self._clock()) if self._granted else ()
        return replace(user, groups=(*user.groups, *(group for group, _ in lent))) if lent else user

    async def attach(
        self,
        request: web.BaseRequest,
        response: web.StreamResponse,
        of: str | SessionRecord | None,
        *,
        csrf: str = "",
        host: str = "",
    ) -> None:
        """Put a cookie for a session on the response, with a new csrf token unless one is given.

        `of` is the session's id, its record if it was made for this very request, or None for a visitor.
        It also says whose session it is and how long: when it has ended, the store knows nothing of it any more.
        `host` is the only one where the cookie is to count: a remote host's, outside `session.domain`.
        """
        content = Content(csrf or self.new_csrf(), host=host)
        record = await self._sessions.get(of) if isinstance(of, str) else of
        if record is not None:
            content = replace(content, sid=record.sid, username=record.username, until=int(record.expires_at))
        await self._cookie.write(request, response, content, host_only=bool(host))

    def ended(self, cookie_header: str) -> str:
        """The user whose session this cookie stood for, "" if it was none or ended long ago. Does no I/O."""
        return self._cookie.ended(cookie_header, self._clock())

    async def detach(
        self, request: web.BaseRequest, response: web.StreamResponse, *, host_only: bool = False
    ) -> None:
        """Have the browser forget the cookie; `host_only` is for hosts outside `session.domain`."""
        await self._cookie.write(request, response, None, host_only=host_only)

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
