"""What apps call users by, in SQL."""

import secrets
from collections.abc import Callable

from sqlalchemy import delete, select, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from gateway.stores.sql.engine import reading, upsert, writing
from gateway.stores.sql.schema import subjects as table


class SqlSubjects:
    """The subjects of users towards apps, in the database."""

    def __init__(
        self, engine: AsyncEngine, *, token: Callable[[], str] = lambda: secrets.token_hex(16)
    ) -> None:
        self._engine, self._token = engine, token

    async def of(self, username: str, directory_id: str) -> str:
        query = select(table.c.subject, table.c.directory_id).where(table.c.username == username)
        while True:
            async with reading(self._engine) as connection:
                row = (await connection.execute(query)).one_or_none()
            if row is None:
                await self._add(username, directory_id)
            elif directory_id in ("", row.directory_id):
                return str(row.subject)
            else:
                # The first id that is seen belongs to who was here before; another one is another person.
                subject = str(row.subject) if not row.directory_id else self._token()
                await self._change(username, row.directory_id, directory_id, subject)

    async def _add(self, username: str, directory_id: str) -> None:
        values = {"username": username, "subject": self._token(), "directory_id": directory_id}
        async with writing(self._engine) as connection:
            await connection.execute(upsert(connection, table).values(values).on_conflict_do_nothing())

    async def _change(self, username: str, before: str, directory_id: str, subject: str) -> None:
        """Of several who see the change at once, one writes it."""
        same = (table.c.username == username) & (table.c.directory_id == before)
        step = update(table).where(same).values(directory_id=directory_id, subject=subject)
        async with writing(self._engine) as connection:
            await connection.execute(step)


async def forget_subject(connection: AsyncConnection, username: str) -> None:
    """Delete what apps call a user by, inside a running transaction: the name's next owner is somebody else."""
    await connection.execute(delete(table).where(table.c.username == username))
