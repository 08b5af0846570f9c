"""Reads whom a session stands for, and ends what may not go on."""

import math
from collections.abc import Awaitable, Callable, Sequence

from gateway.clock import Clock
from gateway.directory.base import Directory
from gateway.model import Principal, SessionRecord, User
from gateway.session.cache import Expiry
from gateway.stores.protocols.core import SessionStore

Granted = Callable[[str, float], Awaitable[Sequence[tuple[str, float]]]]
"""Of a user name and the time now: the groups lent to that user, each with the time when that ends."""


class SessionJudge:
    """Asks the store and the directory. Methods raise StoreUnavailable."""

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
