"""What apps call users by, in SQL, and which person has a name in a directory elsewhere."""

import secrets
from collections.abc import Callable

from sqlalchemy import delete, select, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from gateway.clock import Clock, system_clock
from gateway.stores.protocols.core import Change
from gateway.stores.sql.belongings import pass_on
from gateway.stores.sql.schema import installation
from gateway.stores.sql.schema import subjects as table
from gateway.stores.sql.sessions import publish
from gateway.stores.sql.transactions import reading, writing
from gateway.stores.sql.upserts import upsert

_PAIRWISE = "pairwise subjects"


class SqlSubjects:
    """The subjects of users towards apps, in the database."""

    def __init__(
        self,
        engine: AsyncEngine,
        clock: Clock = system_clock,
        *,
        token: Callable[[], str] = lambda: secrets.token_hex(16),
    ) -> None:
        self._engine, self._clock, self._token = engine, clock, token

    async def of(self, username: str, directory_id: str) -> str:
        return (await self._settled(username, directory_id))[0]

    async def passes(self, username: str, directory_id: str) -> bool:
        """Whether the name passes to another person with this question; then what it had here is taken from it.

        Raises StoreUnavailable.
        """
        return (await self._settled(username, directory_id))[1]

    async def secret(self) -> bytes:
        # In the database and not in a key file: it must outlive every rotation, since apps know users by what was made
        # with it. It keeps apps from each other; who reads the database sees there who is who in any case.
        query = select(installation.c.value).where(installation.c.name == _PAIRWISE)
        async with reading(self._engine) as connection:
            known = await connection.scalar(query)
        if known is None:
            async with writing(self._engine) as connection:
                first = upsert(connection, installation).values(name=_PAIRWISE, value=secrets.token_hex(32))
                await connection.execute(first.on_conflict_do_nothing())  # of several at once, one counts
                known = await connection.scalar(query)
        return bytes.fromhex(str(known))

    async def _settled(self, username: str, directory_id: str) -> tuple[str, bool]:
        """The subject, and whether the name passed on."""
        passed = False
        query = select(table.c.subject, table.c.directory_id).where(table.c.username == username)
        while True:
            async with reading(self._engine) as connection:
                row = (await connection.execute(query)).one_or_none()
            if row is None:
                await self._add(username, directory_id)
            elif directory_id in ("", row.directory_id):
                return str(row.subject), passed
            else:
                # The first id that is seen belongs to who was here before; another one is another person.
                subject = str(row.subject) if not row.directory_id else self._token()
                changed = await self._change(username, row.directory_id, directory_id, subject)
                passed = passed or (changed and bool(row.directory_id))

    async def _add(self, username: str, directory_id: str) -> None:
        values = {"username": username, "subject": self._token(), "directory_id": directory_id}
        async with writing(self._engine) as connection:
            await connection.execute(upsert(connection, table).values(values).on_conflict_do_nothing())

    async def _change(self, username: str, before: str, directory_id: str, subject: str) -> bool:
        """Of several who see the change at once, one writes it."""
        same = (table.c.username == username) & (table.c.directory_id == before)
        step = update(table).where(same).values(directory_id=directory_id, subject=subject)
        async with writing(self._engine) as connection:
            if (await connection.execute(step)).rowcount == 0:
                return False
            if before:
                now = self._clock()
                ended = await pass_on(connection, username, before, directory_id, now)
                await publish(connection, now, *ended, Change("user", username))
        return True


async def forget_subject(connection: AsyncConnection, username: str) -> None:
    """Delete what apps call a user by, inside a running transaction: the name's next owner is somebody else."""
    await connection.execute(delete(table).where(table.c.username == username))
