"""The feed of changes in SQL: written in the same transaction as what changed, polled by every worker."""

from collections.abc import Sequence

from sqlalchemy import func, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from gateway.stores.protocols.core import Change
from gateway.stores.sql.engine import in_order, reading
from gateway.stores.sql.purge import delete_in_batches
from gateway.stores.sql.schema import changes

_LOCK = 0x61757468_0002


async def publish(connection: AsyncConnection, now: float, *published: Change) -> None:
    """Add changes to the running transaction. It must be its last statement (see engine.in_order)."""
    if published:
        await in_order(connection, _LOCK)
        rows = [{"kind": change.kind, "subject": change.subject, "at": now} for change in published]
        await connection.execute(insert(changes), rows)


class SqlChanges:
    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def latest(self) -> int:
        async with reading(self._engine) as connection:
            return await connection.scalar(select(func.max(changes.c.id))) or 0

    async def since(self, cursor: int) -> tuple[int, Sequence[Change]]:
        query = select(changes.c.id, changes.c.kind, changes.c.subject)
        async with reading(self._engine) as connection:
            rows = (await connection.execute(query.where(changes.c.id > cursor).order_by(changes.c.id))).all()
        return (rows[-1].id if rows else cursor), [Change(row.kind, row.subject) for row in rows]

    async def purge(self, now: float, keep: float = 86400.0) -> int:
        """Drop what is older than `keep` seconds; every worker has read it long ago. Returns how many."""
        return await delete_in_batches(self._engine, changes, changes.c.at < now - keep)
