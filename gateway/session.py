"""Cookie <-> session record <-> principal. Hides aiohttp-session from the rest.

The cookie is opaque: an encrypted session id and csrf token. The truth (both expiries, revocation, what was proven)
is in the Sessions store; a bounded cache in front of it makes the hot path free of I/O. The cache forgets within
a second what another worker or replica revoked (`follow_changes`). Proxied responses never carry our Set-Cookie.
"""

import asyncio
import logging
import math
import re
import secrets
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import aiohttp_session
from aiohttp import web
from aiohttp_session.cookie_storage import EncryptedCookieStorage
from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from gateway.clock import Clock
from gateway.config.schema import Session as SessionConfig
from gateway.directory.base import Directory
from gateway.errors import StoreUnavailable, UserUnknown
from gateway.model import Principal, SessionRecord, User
from gateway.policy import SECOND_FACTORS
from gateway.stores.base import Change, Changes, Sessions

log = logging.getLogger("gateway.session")

_CACHE_SIZE = 50_000
_RECHECK_AFTER = 60.0  # a cached principal is read again after this many seconds, in case a change was missed
_MAX_COOKIE = 4096
_LONG_AGO = 86400.0  # seconds after its end for which a cookie still tells whose session it was
_SEALED = re.compile(r"[A-Za-z0-9_-]+={0,2}")  # one spelling only: decoders skip what follows the padding

Granted = Callable[[str, float], Awaitable[Sequence[tuple[str, float]]]]
"""Of a user name and the time now: the groups lent to that user, each with the time when that ends."""


class RingCookieStorage(EncryptedCookieStorage):
    """aiohttp-session's encrypted cookie, opened by any key of the ring and sealed by the newest."""

    def __init__(self, fernet: Callable[[], MultiFernet], **params: object) -> None:
        super().__init__(Fernet(Fernet.generate_key()), **params)  # type: ignore[arg-type]
        self._ring = fernet

    def open(self, cookie: str) -> dict[str, object] | None:
        """The mapping in the cookie, or None for anything that we did not seal."""
        if not _SEALED.fullmatch(cookie):
            return None
        try:
            sealed = self._decoder(self._ring().decrypt(cookie.encode("ascii")).decode())
        except (InvalidToken, ValueError):
            return None
        mapping = sealed.get("session") if isinstance(sealed, dict) else None
        return mapping if isinstance(mapping, dict) else None

    async def save_session(
        self, request: web.Request, response: web.StreamResponse, session: aiohttp_session.Session
    ) -> None:
        if session.empty:
            self.save_cookie(response, "")
        else:
            sealed = self._ring().encrypt(self._encoder(self._get_session_data(session)).encode())
            self.save_cookie(response, sealed.decode())


@dataclass(slots=True)
class _Cached:
    principal: Principal
    csrf: str
    read_at: float
    seen_at: float
    touched_at: float


@dataclass(frozen=True, slots=True)
class Visit:
    """What a browser brought along: its csrf token ("" if it has no cookie of ours) and who it is, if anyone."""

    csrf: str
    principal: Principal | None


class SessionLayer:
    """Opens, starts, raises and ends sessions. One per worker."""

    def __init__(
        self,
        config: SessionConfig,
        *,
        secure: bool,
        fernet: Callable[[], MultiFernet],
        sessions: Sessions,
        directory: Directory,
        changes: Changes,
        granted: Granted,
        clock: Clock,
        token: Callable[[], str] = secrets.token_urlsafe,
        csrf: Callable[[], str] = secrets.token_urlsafe,
    ) -> None:
        self.new_token = csrf
        self.cookie_name = cookie_name(config, secure)
        cookie: dict[str, object] = {
            "cookie_name": self.cookie_name, "path": "/", "secure": secure, "httponly": True, "samesite": "Lax",
        }  # fmt: skip
        self._storage = RingCookieStorage(fernet, domain=config.domain, **cookie)
        self._of_one_host = RingCookieStorage(fernet, domain=None, **cookie)
        self._config, self._clock, self._token = config, clock, token
        self._sessions, self._directory, self._changes = sessions, directory, changes
        self._granted = granted
        self._cache: OrderedDict[str, _Cached] = OrderedDict()
        self._touches: set[asyncio.Task[None]] = set()
        self._heard = 0
        """Counts changes: what was read before one came may be out of date already and is not remembered."""
        self.on_change: list[Callable[[Change], None]] = []
        """Called with each change that this worker hears of."""

    # -- reading -------------------------------------------------------------------------------------------------

    def cached(self, value: str) -> Principal | None:
        """The principal if a cookie of this value was opened before and is still good; never does I/O."""
        entry = self._cache.get(value)
        return self._use(entry, self._clock()) if entry else None

    async def load(self, cookie_header: str) -> Principal | None:
        """The principal of the request, or None. Raises StoreUnavailable if it must be read and can't be."""
        return (await self.visit(cookie_header)).principal

    async def visit(self, cookie_header: str) -> Visit:
        value = cookie_value(cookie_header, self.cookie_name)
        if not value or len(value) > _MAX_COOKIE:
            return Visit("", None)
        entry = self._cache.get(value)
        principal = self._use(entry, self._clock()) if entry else None
        if entry and principal:
            return Visit(entry.csrf, principal)
        return await self._read(value, entry)

    def _use(self, entry: _Cached, now: float) -> Principal | None:
        principal = entry.principal
        if now - entry.read_at > _RECHECK_AFTER or now >= principal.granted_until:
            return None
        if not self._alive(principal.session, entry.seen_at, now):
            return None
        entry.seen_at = now
        if now - entry.touched_at > min(60.0, self._config.idle_timeout / 10):
            entry.touched_at = now
            self._touch_soon(principal.session.sid, now)
        return principal

    async def _read(self, value: str, stale: _Cached | None) -> Visit:
        sealed = self._storage.open(value)
        if sealed is None:
            return Visit("", None)
        csrf, sid = str(sealed.get("csrf", "")), str(sealed.get("sid", ""))
        if not sid:
            return Visit(csrf, None)
        now, heard = self._clock(), self._heard
        try:
            principal = await self._principal(sid, now, stale.seen_at if stale else 0.0)
        except StoreUnavailable:
            if stale and self._alive(stale.principal.session, stale.seen_at, now):
                stale.seen_at = now  # a session that we know goes on while the database is away
                return Visit(stale.csrf, stale.principal)
            raise
        if principal is None:
            self._cache.pop(value, None)
            return Visit(csrf, None)
        if heard != self._heard:
            return Visit(csrf, principal)
        entry = _Cached(principal, csrf, now, now, principal.session.last_seen)
        self._cache[value] = entry
        self._cache.move_to_end(value)
        if len(self._cache) > _CACHE_SIZE:
            self._cache.popitem(last=False)
        self._use(entry, now)
        return Visit(csrf, principal)

    async def _principal(self, sid: str, now: float, seen: float) -> Principal | None:
        """Read and judge a session. `seen` is when this worker last saw it used, which the store may not know yet."""
        record = await self._sessions.get(sid)
        if record is None:
            return None
        user = await self._directory.get(record.username)
        if not self._alive(record, max(seen, record.last_seen), now):
            await self._sessions.purge(now, self._config.idle_timeout)  # not deleted: nobody ended it
            return None
        if user is None or user.disabled:
            await self._sessions.delete_for_user(record.username)
            return None
        if user.password_changed_at > record.proven_at.get("password", now):
            await self._sessions.delete(sid)  # proven with a password that is no longer the user's
            return None
        return await self._with_grants(user, record)

    async def _with_grants(self, user: User, record: SessionRecord) -> Principal:
        grants = await self._granted(user.username, self._clock())
        until = min((end for _, end in grants), default=math.inf)
        return Principal(user, record, tuple(group for group, _ in grants), until)

    def _alive(self, record: SessionRecord, seen: float, now: float) -> bool:
        return now < record.expires_at and now - seen < self._config.idle_timeout

    def _touch_soon(self, sid: str, now: float) -> None:
        task = asyncio.get_running_loop().create_task(self._touch(sid, now))
        self._touches.add(task)
        task.add_done_callback(self._touches.discard)

    async def _touch(self, sid: str, now: float) -> None:
        try:
            await self._sessions.touch(sid, now)
        except StoreUnavailable:
            log.warning("session not touched: store is away")

    def could_end_at(self, record: SessionRecord) -> float:
        """Until then the session has not expired, as far as this record tells; uses are noted a little late."""
        idle = self._config.idle_timeout
        return min(record.expires_at, record.last_seen + idle + min(60.0, idle / 10))

    async def look_up(self, record: SessionRecord) -> Principal | None:
        """Who a session stands for now, None if it has ended. Asks the store. Raises StoreUnavailable."""
        return await self._principal(record.sid, self._clock(), 0.0)

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

        `step_up` asks for a second factor whatever the route; only a real one settles that.
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
            expires_at=old.expires_at if old else now + self._config.absolute_timeout,
            ip=ip,
            user_agent=user_agent[:300],
            step_up=(step_up or (old is not None and old.step_up)) and factor not in SECOND_FACTORS,
        )
        await self._sessions.put(record)
        if principal is not None:
            await self.end(principal.session.sid)
        return record

    async def end(self, sid: str) -> None:
        await self._sessions.delete(sid)
        self._forget(Change("session", sid))

    async def end_others(self, username: str, keep: str) -> int:
        """End all sessions of a user but `keep`, on this worker at once; returns how many."""
        count = await self._sessions.delete_for_user(username, keep=keep)
        for _, entry in list(self._matching(Change("user", username))):
            if entry.principal.session.sid != keep:
                self._forget(Change("session", entry.principal.session.sid))
        return count

    async def principal_of(self, record: SessionRecord) -> Principal:
        """Who a record just made stands for. Raises UserUnknown if the user vanished meanwhile."""
        user = await self._directory.get(record.username)
        if user is None:
            raise UserUnknown(f"{record.username} is gone")
        return await self._with_grants(user, record)

    async def with_lent_groups(self, user: User) -> User:
        """The user with the groups that somebody lent them for now, for who asks without a session."""
        lent = await self._granted(user.username, self._clock())
        return replace(user, groups=(*user.groups, *(group for group, _ in lent))) if lent else user

    async def attach(
        self,
        request: web.BaseRequest,
        response: web.StreamResponse,
        sid: str | None,
        *,
        csrf: str = "",
        host_only: bool = False,
    ) -> None:
        """Put a cookie for `sid` (None: a visitor) on the response, with a new csrf token unless one is given.

        It also says whose session it is and how long: when it has ended, the store knows nothing of it any more.
        `host_only` is for hosts outside `session.domain`.
        """
        data = {"csrf": csrf or self.new_token()}
        record = await self._sessions.get(sid) if sid is not None else None
        if record is not None:
            data |= {"sid": record.sid, "user": record.username, "until": str(int(record.expires_at))}
        await self._save(request, response, data, host_only)

    def ended(self, cookie_header: str) -> str:
        """The user whose session this cookie stood for, "" if it was none or it has ended long ago. No I/O."""
        value = cookie_value(cookie_header, self.cookie_name)
        sealed = self._storage.open(value) if 0 < len(value) <= _MAX_COOKIE else None
        until = str((sealed or {}).get("until", ""))
        if not sealed or not until.isdecimal() or self._clock() > int(until) + _LONG_AGO:
            return ""
        return str(sealed.get("user", ""))

    async def detach(
        self, request: web.BaseRequest, response: web.StreamResponse, *, host_only: bool = False
    ) -> None:
        """Clear our cookie."""
        await self._save(request, response, {}, host_only)

    async def _save(
        self, request: web.BaseRequest, response: web.StreamResponse, data: dict[str, str], host_only: bool
    ) -> None:
        session = aiohttp_session.Session(None, data=None, new=True)
        session.update(data)
        storage = self._of_one_host if host_only else self._storage
        await storage.save_session(request, response, session)  # type: ignore[arg-type]

    # -- hearing of changes ----------------------------------------------------------------------------------------

    async def follow_changes(self, interval: float = 0.5) -> None:
        """Forget what other workers and replicas changed, until cancelled. `interval` is in seconds."""
        cursor: int | None = None
        while True:
            try:
                if cursor is None:
                    cursor = await self._changes.latest()
                    self.forget_all()
                cursor, changes = await self._changes.since(cursor)
                for change in changes:
                    self._forget(change)
            except StoreUnavailable as error:
                log.warning("revocations can't be read: %s", error.detail)
            await asyncio.sleep(interval)

    def forget_all(self) -> None:
        """Read every session again at its next request, and whatever others remember: some changes were not heard."""
        self._heard += 1
        for hear in self.on_change:
            hear(Change("all", ""))
        for entry in self._cache.values():
            entry.read_at = float("-inf")

    def forget_user(self, username: str) -> None:
        """Read this user's sessions again at their next request, and end what hangs on them."""
        self._forget(Change("user", username))

    def _forget(self, change: Change) -> None:
        self._heard += 1
        for hear in self.on_change:
            hear(change)
        for value, _ in list(self._matching(change)):
            del self._cache[value]

    def _matching(self, change: Change) -> Iterable[tuple[str, _Cached]]:
        for value, entry in self._cache.items():
            session = entry.principal.session
            if change.subject == (session.sid if change.kind == "session" else session.username):
                yield value, entry

    def now(self) -> float:
        return self._clock()

    def age(self, principal: Principal) -> float:
        """Seconds since the user last proved anything."""
        return self._clock() - principal.session.auth_time


def cookie_name(config: SessionConfig, secure: bool) -> str:
    """RFC 6265bis §4.1.3: the prefix makes browsers refuse the cookie from other hosts and plain http."""
    if not secure:
        return config.cookie_name
    return ("__Secure-" if config.domain else "__Host-") + config.cookie_name


def cookie_value(header: str, name: str) -> str:
    """The first value of cookie `name` in a Cookie header, "" if there is none."""
    start = 0
    while True:
        start = header.find(name, start)
        if start < 0:
            return ""
        before = header[:start].rstrip(" \t")
        after = start + len(name)
        if (not before or before.endswith(";")) and header[after : after + 1] == "=":
            return header[after + 1 :].partition(";")[0].strip().strip('"')
        start = after
