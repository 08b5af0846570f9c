"""Accounts elsewhere and the users they belong to, in SQL."""

from sqlalchemy import delete, insert, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from gateway.stores.sql.schema import federated_accounts as table
from gateway.stores.sql.transactions import reading, writing


class SqlFederatedAccounts:
    """Linked accounts in the database."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def username(self, provider: str, subject: str) -> str | None:
        query = select(table.c.username).where(table.c.provider == provider, table.c.subject == subject)
        async with reading(self._engine) as connection:
            name: str | None = await connection.scalar(query)
        return name

    async def link(self, provider: str, subject: str, username: str, now: float) -> bool:
        values = {"provider": provider, "subject": subject, "username": username, "linked_at": now}
        try:
            async with writing(self._engine) as connection:
                await connection.execute(insert(table).values(values))
        except IntegrityError:
            return False
        return True

    async def of(self, username: str) -> list[str]:
        query = select(table.c.provider).where(table.c.username == username).order_by(table.c.provider)
        async with reading(self._engine) as connection:
            return list(await connection.scalars(query))

    async def unlink(self, provider: str, username: str) -> bool:
        own = (table.c.provider == provider) & (table.c.username == username)
        async with writing(self._engine) as connection:
            return (await connection.execute(delete(table).where(own))).rowcount == 1


async def forget_accounts(connection: AsyncConnection, username: str) -> None:
    """Delete a user's links inside a running transaction."""
    await connection.execute(delete(table).where(table.c.username == username))
