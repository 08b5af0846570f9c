"""What time it is for the database, which all replicas share.

SQLite has the clock of the machine that it is on, so there is nothing to compare.
"""

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.clock import Clock, SharedClock, steady_clock
from gateway.stores.sql.schema import installation
from gateway.stores.sql.transactions import reading, writing
from gateway.stores.sql.upserts import upsert

_NOW = text("SELECT extract(epoch FROM clock_timestamp())::float8")


class DatabaseClock:
    """Tells the database's time. Where a test moves the time by hand, its clock counts."""

    def __init__(self, engine: AsyncEngine, clock: Clock) -> None:
        self._engine, self._clock = engine, clock
        self.shared = clock if isinstance(clock, SharedClock) and engine.dialect.name != "sqlite" else None

    async def try_writing(self) -> None:
        """Note in the database when it was last found to take writes. Raises StoreUnavailable."""
        row = {"name": "last write", "value": str(int(self._clock()))}
        async with writing(self._engine) as connection:
            statement = upsert(connection, installation).values(row)
            await connection.execute(statement.on_conflict_do_update(index_elements=["name"], set_=row))

    async def now(self) -> float:
        """The database's time, which `clock` is compared with on the way. Raises StoreUnavailable."""
        if self.shared is None:
            return self._clock()
        async with reading(self._engine) as connection:
            asked_at = steady_clock()
            database = float((await connection.execute(_NOW)).scalar_one())
            self.shared.compare(database, asked_at, steady_clock())
        return database
