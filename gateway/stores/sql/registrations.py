"""Who asked for an account, in SQL. A decision is one statement, so it is taken once."""

from collections.abc import Sequence

from sqlalchemy import delete, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.stores.protocols.registrations import Registration
from gateway.stores.sql.purge import delete_in_batches
from gateway.stores.sql.schema import registrations as table
from gateway.stores.sql.transactions import reading, writing

_KEEPS = ("waiting", "refused")
"""States in which an address can't ask again."""


class SqlRegistrations:
    """Requests for accounts in the database."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def add(self, asked: Registration) -> bool:
        same = table.c.address == asked.address
        over = table.c.state.not_in(_KEEPS) | (table.c.expires_at <= asked.asked_at)
        values = {column.name: getattr(asked, column.name) for column in table.c}
        try:
            async with writing(self._engine) as connection:
                await connection.execute(delete(table).where(same, over))
                await connection.execute(insert(table).values(values))
        except IntegrityError:
            return False
        return True

    async def of_address(self, address: str, now: float) -> Registration | None:
        query = select(table).where(table.c.address == address, table.c.expires_at > now)
        async with reading(self._engine) as connection:
            row = (await connection.execute(query)).one_or_none()
        return Registration(**row._mapping) if row else None

    async def get(self, id: str) -> Registration | None:
        async with reading(self._engine) as connection:
            row = (await connection.execute(select(table).where(table.c.id == id))).one_or_none()
        return Registration(**row._mapping) if row else None

    async def decide(self, id: str, before: str, after: str, by: str, now: float, expires_at: float) -> bool:
        open_now = (table.c.id == id) & (table.c.state == before) & (table.c.expires_at > now)
        values = {"state": after, "decided_by": by, "expires_at": expires_at}
        async with writing(self._engine) as connection:
            done = await connection.execute(update(table).where(open_now).values(values))
        return done.rowcount == 1

    async def waiting(self, now: float, *, limit: int) -> Sequence[Registration]:
        query = select(table).where(table.c.state == "waiting", table.c.expires_at > now)
        async with reading(self._engine) as connection:
            rows = await connection.execute(query.order_by(table.c.asked_at, table.c.id).limit(limit))
            return [Registration(**row._mapping) for row in rows]

    async def purge(self, before: float) -> int:
        return await delete_in_batches(self._engine, table, table.c.expires_at <= before)
