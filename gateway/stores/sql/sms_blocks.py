"""Blocked ranges of numbers, in SQL."""

from collections.abc import Sequence
from dataclasses import asdict

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.stores.protocols.sms import SmsBlock
from gateway.stores.sql.engine import reading, upsert, writing
from gateway.stores.sql.purge import delete_in_batches
from gateway.stores.sql.schema import sms_blocks as table


class SqlSmsBlocks:
    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def get(self, range: str) -> SmsBlock | None:
        async with reading(self._engine) as connection:
            row = (await connection.execute(select(table).where(table.c.range == range))).one_or_none()
        return SmsBlock(**row._mapping) if row else None

    async def put(self, block: SmsBlock) -> None:
        async with writing(self._engine) as connection:
            statement = upsert(connection, table).values(asdict(block))
            changed = statement.on_conflict_do_update(index_elements=["range"], set_=asdict(block))
            await connection.execute(changed)

    async def list(self, now: float) -> Sequence[SmsBlock]:
        query = select(table).where(table.c.until > now).order_by(table.c.range)
        async with reading(self._engine) as connection:
            return [SmsBlock(**row._mapping) for row in await connection.execute(query)]

    async def purge(self, before: float) -> int:
        """Drop blocks that ended and were lifted before; returns how many."""
        over = (table.c.until < before) & (table.c.since < before)
        return await delete_in_batches(self._engine, table, over)
