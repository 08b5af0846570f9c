"""Session records in SQL. What ends a session publishes a Change in the same transaction.

Also the feed of changes, which every worker polls.
"""

import builtins
import json
from collections.abc import Sequence

from sqlalchemy import ColumnElement, Row, bindparam, delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from sqlalchemy.sql.dml import ReturningDelete

from gateway.clock import Clock
from gateway.model import SessionRecord, shown_id
from gateway.stores.protocols.core import CHANGES_AT_ONCE, Change
from gateway.stores.sql.oidc import end_with_sessions
from gateway.stores.sql.purge import delete_in_batches, expired_share
from gateway.stores.sql.schema import changes, sessions
from gateway.stores.sql.transactions import in_order, reading, writing, writing_once
from gateway.stores.sql.upserts import Insert, Upsert

_LOCK = 0x61757468_0002
FIELDS = [column for column in sessions.c if column.name != "shown"]
"""The columns that make a session."""
_DEVICE = ("device_id", "device_key", "device_at")
_Gone = tuple[str, str, float, str, str, float]
"""What is still known of a session that was just deleted."""


async def publish(connection: AsyncConnection, now: float, *published: Change) -> None:
    """Add changes to the running transaction. It must be its last statement (see `in_order`)."""
    if published:
        await in_order(connection, _LOCK)
        rows = [{"kind": change.kind, "subject": change.subject, "at": now} for change in published]
        await connection.execute(insert(changes), rows)


class SqlChanges:
    """The feed of changes in the database."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def latest(self) -> int:
        async with reading(self._engine) as connection:
            return await connection.scalar(select(func.max(changes.c.id))) or 0

    async def since(self, cursor: int) -> tuple[int, Sequence[Change]]:
        async with reading(self._engine) as connection:
            rows = (await connection.execute(_CHANGES.limit(CHANGES_AT_ONCE), {"cursor": cursor})).all()
        return (rows[-1].id if rows else cursor), [Change(row.kind, row.subject) for row in rows]

    async def purge(self, now: float, keep: float = 86400.0) -> int:
        """Drop what is older than `keep` seconds; every worker has read it long ago. Returns how many."""
        return await delete_in_batches(self._engine, changes, changes.c.at < now - keep)


# Made once, as they are asked for at each sign-in, and by each worker twice a second.
_CHANGES = (
    select(changes.c.id, changes.c.kind, changes.c.subject)
    .where(changes.c.id > bindparam("cursor"))
    .order_by(changes.c.id)
)
_ALL = select(*FIELDS).order_by(sessions.c.created_at, sessions.c.sid)
_ONE = select(*FIELDS).where(sessions.c.sid == bindparam("wanted"))
_TOUCH = (
    update(sessions)
    .where(sessions.c.sid == bindparam("wanted"), sessions.c.last_seen < bindparam("seen"))
    .values(last_seen=bindparam("seen"))
)


def _replaced(fresh: Insert) -> Insert:
    row = {column.name: fresh.excluded[column.name] for column in sessions.c if column.name != "sid"}
    return fresh.on_conflict_do_update(index_elements=["sid"], set_=row)


_PUT = Upsert(sessions, _replaced)


class SqlSessions:
    """Sessions in the database."""

    def __init__(self, engine: AsyncEngine, clock: Clock) -> None:
        self._engine = engine
        self._clock = clock

    async def get(self, sid: str) -> SessionRecord | None:
        async with reading(self._engine) as connection:
            row = (await connection.execute(_ONE, {"wanted": sid})).one_or_none()
        return session_record(row) if row else None

    async def put(self, record: SessionRecord, *, instead_of: str = "") -> bool:
        row, now = _row(record), self._clock()
        if not instead_of:
            async with writing_once(self._engine) as connection:
                await connection.execute(_PUT.of(connection), row)
            return True
        async with writing(self._engine) as connection:
            gone = await _ended(connection, instead_of)
            if gone is None:
                return False
            if gone.device_id and gone.username == record.username:
                # The browser may have registered its key since `record` was made of what was read of the old one.
                row |= {name: getattr(gone, name) for name in _DEVICE}
            await connection.execute(_PUT.of(connection), row)
            # What hangs on it goes on under the new id (end_with_sessions).
            await publish(connection, now, Change("session", instead_of))
        return True

    async def bind(self, sid: str, device_id: str, device_key: str) -> bool:
        now = self._clock()
        unbound = (sessions.c.sid == sid) & (sessions.c.device_id == "")
        values = {"device_id": device_id, "device_key": device_key, "device_at": now}
        async with writing(self._engine) as connection:
            done = await connection.execute(update(sessions).where(unbound).values(values))
            if done.rowcount != 1:
                return False
            await publish(connection, now, Change("binding", sid))
        return True

    async def bound_to(self, device_id: str) -> SessionRecord | None:
        query = select(*FIELDS).where(sessions.c.device_id == device_id)
        async with reading(self._engine) as connection:
            row = (await connection.execute(query)).one_or_none() if device_id else None
        return session_record(row) if row else None

    async def touch(self, sid: str, last_seen: float) -> None:
        """Never move `last_seen` (Unix time) back: workers report in any order."""
        async with writing_once(self._engine) as connection:
            await connection.execute(_TOUCH, {"wanted": sid, "seen": last_seen})

    async def delete(self, sid: str) -> bool:
        now = self._clock()
        async with writing(self._engine) as connection:
            gone = await _ended(connection, sid)
            if gone is None:
                return False
            await end_with_sessions(connection, now, gone.username, gone.created_at)
            await publish(connection, now, Change("session", sid))
        return True

    async def delete_for_user(self, username: str, *, keep: str = "") -> int:
        now = self._clock()
        async with writing(self._engine) as connection:
            ended = await end_sessions_of(connection, now, username, keep=keep)
            await publish(connection, now, *ended)
        return len(ended)

    async def list(self, username: str | None = None) -> Sequence[SessionRecord]:
        query = _ALL if username is None else _ALL.where(sessions.c.username == username)
        async with reading(self._engine) as connection:
            return [session_record(row) for row in await connection.execute(query)]

    async def purge(self, now: float, idle_timeout: float) -> int:
        return await delete_in_batches(self._engine, sessions, *_over(now, idle_timeout))

    async def share(self, now: float, idle_timeout: float) -> tuple[int, int]:
        """Return how many have expired, also by `idle_timeout` seconds without use, and how many there are."""
        return await expired_share(self._engine, sessions, *_over(now, idle_timeout))


def _over(now: float, idle_timeout: float) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    unused = (sessions.c.last_seen <= now - idle_timeout) & sessions.c.kept.is_(False)
    return sessions.c.expires_at <= now, unused


async def end_sessions_of(
    connection: AsyncConnection, now: float, username: str, *, keep: str = ""
) -> builtins.list[Change]:
    """Inside a running transaction: all of a user's sessions but `keep`, and what hangs on those that are gone.

    The caller publishes the changes that come back.
    """
    mine = (sessions.c.username == username) & (sessions.c.sid != keep)
    gone = []
    # PostgreSQL's first look waits for a session that gets a new id just now, but only a second one sees the new id.
    for _ in range(2):
        gone += [Change("session", row.sid) for row in await connection.execute(_deleted(mine))]
    await end_with_sessions(connection, now, username, None)
    return gone


async def _ended(connection: AsyncConnection, sid: str) -> Row[_Gone] | None:
    return (await connection.execute(_deleted(sessions.c.sid == sid))).one_or_none()


def _deleted(which: ColumnElement[bool]) -> ReturningDelete[_Gone]:
    table = sessions.c
    return (
        delete(sessions)
        .where(which)
        .returning(
            table.sid, table.username, table.created_at, table.device_id, table.device_key, table.device_at
        )
    )


def _row(record: SessionRecord) -> dict[str, object]:
    return {
        "sid": record.sid,
        "username": record.username,
        "amr": json.dumps(record.amr),
        "proven_at": json.dumps(record.proven_at),
        "created_at": record.created_at,
        "last_seen": record.last_seen,
        "expires_at": record.expires_at,
        "ip": record.ip,
        "user_agent": record.user_agent.replace("\0", ""),  # PostgreSQL text holds no NUL
        "step_up": record.step_up,
        "shown": shown_id(record.sid),
        **{name: getattr(record, name) for name in _DEVICE},
        "key_models": json.dumps(record.key_models),
        "kept": record.kept,
        "provider_groups": json.dumps(record.provider_groups),
    }


def session_record(row: Row[tuple[object, ...]]) -> SessionRecord:
    """Return the session of a row."""
    fields = dict(row._mapping)
    fields["amr"] = tuple(json.loads(fields["amr"]))
    fields["proven_at"] = json.loads(fields["proven_at"])
    fields["provider_groups"] = tuple(json.loads(fields["provider_groups"]))
    fields["key_models"] = json.loads(fields["key_models"])
    return SessionRecord(**fields)
