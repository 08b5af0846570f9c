"""Where users signed in from, in SQL."""

from collections.abc import Sequence
from dataclasses import asdict

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.stores.protocols.core import Place
from gateway.stores.sql.purge import delete_in_batches
from gateway.stores.sql.schema import places
from gateway.stores.sql.transactions import reading, upsert, writing

_NEWEST = 100


class SqlPlaces:
    """Places of sign-ins in the database."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def of(self, username: str) -> Sequence[Place]:
        columns = [column for column in places.c if column.name != "username"]
        query = select(*columns).where(places.c.username == username)
        async with reading(self._engine) as connection:
            rows = await connection.execute(query.order_by(places.c.seen_at.desc()).limit(_NEWEST))
            return [Place(**row._mapping) for row in rows]

    async def put(self, username: str, place: Place) -> None:
        row = {"username": username, **asdict(place)}
        async with writing(self._engine) as connection:
            statement = upsert(connection, places).values(row)
            key = ["username", "network", "device"]
            await connection.execute(statement.on_conflict_do_update(index_elements=key, set_=row))

    async def purge(self, before: float) -> int:
        return await delete_in_batches(self._engine, places, places.c.seen_at < before)
