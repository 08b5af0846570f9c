"""The audit table. Rows arrive ready and redacted from gateway.observability.audit; nothing is ever changed in them."""

import json
from collections.abc import Sequence

from sqlalchemy import Row, Select, func, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from gateway.stores.protocols.core import AuditRow
from gateway.stores.sql.schema import audit
from gateway.stores.sql.schema_sign_ins import sign_ins
from gateway.stores.sql.transactions import in_order, reading, writing
from gateway.stores.sql.upserts import Insert, Upsert

_LOCK = 0x61757468_0003
_Query = Select[tuple[object, ...]]
_SIGNED_IN = "login"


def _later(fresh: Insert) -> Insert:
    at = fresh.excluded["at"]
    return fresh.on_conflict_do_update(index_elements=["username"], set_={"at": at}, where=sign_ins.c.at < at)


_NOTE = Upsert(sign_ins, _later)


class SqlAuditLog:
    """The audit log in the database."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def append(self, rows: Sequence[AuditRow]) -> None:
        """Add rows. Who signed in is noted in the same transaction, which no sign-in waits for."""
        if rows:
            last = {row.username: row.at for row in rows if row.event == _SIGNED_IN and row.username}
            async with writing(self._engine) as connection:
                for username in sorted(last):  # in order: two workers would wait for each other
                    await connection.execute(
                        _NOTE.of(connection), {"username": username, "at": last[username]}
                    )
                await in_order(connection, _LOCK)
                await connection.execute(insert(audit), [_row(row) for row in rows])

    async def tail(
        self, limit: int, *, username: str | None = None, event: str | None = None, until: int | None = None
    ) -> Sequence[AuditRow]:
        """Return the newest rows, oldest first; `until` is a cursor after which nothing is returned."""
        query = _only(select(audit), username, event).order_by(audit.c.id.desc()).limit(limit)
        if until is not None:
            query = query.where(audit.c.id <= until)
        async with reading(self._engine) as connection:
            return [audit_row(row) for row in reversed((await connection.execute(query)).all())]

    async def latest(self) -> int:
        """The cursor that stands after all rows so far."""
        async with reading(self._engine) as connection:
            return await connection.scalar(select(func.max(audit.c.id))) or 0

    async def since(
        self, cursor: int, *, username: str | None = None, event: str | None = None
    ) -> tuple[int, Sequence[AuditRow]]:
        """The rows after `cursor`, and the new cursor."""
        query = _only(select(audit), username, event).where(audit.c.id > cursor).order_by(audit.c.id)
        async with reading(self._engine) as connection:
            rows = (await connection.execute(query)).all()
        return (rows[-1].id if rows else cursor), [audit_row(row) for row in rows]

    async def share(self, before: float) -> tuple[int, int]:
        """About how many rows are older than `before`, and how many there are: ids tell without counting millions."""
        kept = select(audit.c.id).where(audit.c.at >= before).order_by(audit.c.at).limit(1)
        async with reading(self._engine) as connection:
            first, last = await first_and_last(connection)
            if not last:
                return 0, 0
            boundary = await connection.scalar(kept)
        every = last - first + 1
        return every if boundary is None else max(0, boundary - first), every


async def first_and_last(connection: AsyncConnection) -> tuple[int, int]:
    """Return the smallest and the largest id, (0, 0) of an empty table.

    Asked one by one: SQLite finds each in its index, but both in one statement by reading ten million rows.
    """
    first = await connection.scalar(select(func.min(audit.c.id)))
    return first or 0, (await connection.scalar(select(func.max(audit.c.id))) or 0) if first else 0


def _only(query: _Query, username: str | None, event: str | None) -> _Query:
    if username is not None:
        query = query.where(audit.c.username == username)
    if event is not None:
        query = query.where(audit.c.event == event)
    return query


def _row(row: AuditRow) -> dict[str, object]:
    username = row.username.replace("\0", "")  # what a visitor typed; PostgreSQL text holds no NUL
    return {
        "at": row.at,
        "event": row.event,
        "username": username,
        "ip": row.ip,
        "data": json.dumps(row.data, default=str),
    }


def audit_row(row: Row[tuple[object, ...]]) -> AuditRow:
    return AuditRow(at=row.at, event=row.event, username=row.username, ip=row.ip, data=json.loads(row.data))
