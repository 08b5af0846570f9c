"""Changes of users' numbers, in SQL. The directory notes them inside the transaction that changes a user."""

from collections.abc import Sequence

from sqlalchemy import delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from gateway.stores.protocols.sms import PhoneChange
from gateway.stores.sql.engine import reading, writing
from gateway.stores.sql.purge import delete_in_batches
from gateway.stores.sql.schema import phone_changes as table


class SqlPhoneChanges:
    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def of(self, username: str, since: float) -> Sequence[PhoneChange]:
        mine = (table.c.username == username) & (table.c.at > since)
        async with reading(self._engine) as connection:
            rows = await connection.execute(select(table).where(mine).order_by(table.c.id.desc()))
            return [PhoneChange(**row._mapping) for row in rows]

    async def waive(self, username: str) -> int:
        mine = update(table).where(table.c.username == username, ~table.c.waived)
        async with writing(self._engine) as connection:
            return (await connection.execute(mine.values(waived=True))).rowcount

    async def purge(self, before: float) -> int:
        return await delete_in_batches(self._engine, table, table.c.at < before)


async def note_phone(connection: AsyncConnection, username: str, before: str, at: float) -> None:
    """Note the number before a change, inside a running transaction."""
    await connection.execute(insert(table).values(username=username, before=before, at=at))


async def forget_phones(connection: AsyncConnection, username: str) -> int:
    """Delete a user's changes inside a running transaction; return how many."""
    return (await connection.execute(delete(table).where(table.c.username == username))).rowcount
