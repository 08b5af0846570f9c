"""Which budgets are spent, in SQL, even where the ledger is in Redis: few are at a time, and the ledger has the truth.

What is written is sealed: a name that somebody typed may be a password in the wrong field.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict

from sqlalchemy import delete, select, update
from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.clock import Clock
from gateway.stores.protocols.ledger import Spent
from gateway.stores.sql.ledger import digest
from gateway.stores.sql.purge import delete_in_batches
from gateway.stores.sql.schema import spent_budgets as table
from gateway.stores.sql.transactions import reading, writing
from gateway.stores.sql.upserts import upsert

Seal = Callable[[bytes], bytes]
MOST = 1000
"""Rows that are listed. More come only from an attack with many names or addresses."""


class SqlSpentBudgets:
    """The list of what is blocked, in the database and sealed. `seal` and `open` are the key ring's; `open` raises
    ValueError for what no key opens.
    """

    def __init__(self, engine: AsyncEngine, clock: Clock, seal: Seal, open: Seal) -> None:
        self._engine, self._clock = engine, clock
        self._seal, self._open = seal, open

    async def put(self, spent: Spent, ttl: float) -> None:
        sealed = self._seal(json.dumps(asdict(spent)).encode())
        row = {"key": _key(spent), "spent": sealed, "expires_at": self._clock() + ttl}
        async with writing(self._engine) as connection:
            statement = upsert(connection, table).values(row)
            await connection.execute(statement.on_conflict_do_update(index_elements=["key"], set_=row))

    async def list(self) -> Sequence[Spent]:
        query = select(table.c.spent).where(table.c.expires_at > self._clock())
        async with reading(self._engine) as connection:
            rows = await connection.scalars(
                query.order_by(table.c.expires_at.desc(), table.c.key).limit(MOST)
            )
        return [spent for sealed in rows if (spent := self._opened(sealed))]

    async def delete(self, spent: Spent) -> None:
        async with writing(self._engine) as connection:
            await connection.execute(delete(table).where(table.c.key == _key(spent)))

    async def reseal(self) -> None:
        """Seal with the newest key, so that older keys may go: locks last for a year."""
        async with writing(self._engine) as connection:
            rows = (await connection.execute(select(table.c.key, table.c.spent).with_for_update())).all()
            for row in rows:
                if spent := self._opened(row.spent):
                    sealed = self._seal(json.dumps(asdict(spent)).encode())
                    await connection.execute(update(table).where(table.c.key == row.key).values(spent=sealed))

    async def purge(self, now: float) -> int:
        """Drop what has expired; returns how many."""
        return await delete_in_batches(self._engine, table, table.c.expires_at <= now)

    def _opened(self, sealed: bytes) -> Spent | None:
        # This is a list to look at: what can't be read is missing there, and blocks as ever.
        try:
            return Spent(**json.loads(self._open(sealed)))
        except ValueError:
            return None


def _key(spent: Spent) -> str:
    return digest(f"{spent.budget}:{spent.subject}")
