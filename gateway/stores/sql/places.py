"""Where users signed in from, in SQL."""

from collections.abc import Sequence
from dataclasses import asdict

from sqlalchemy import bindparam, select
from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.stores.protocols.core import Place
from gateway.stores.sql.purge import delete_in_batches
from gateway.stores.sql.schema import places
from gateway.stores.sql.transactions import reading, writing_once
from gateway.stores.sql.upserts import Insert, Upsert

_NEWEST = 100


class SqlPlaces:
    """Places of sign-ins in the database."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def of(self, username: str) -> Sequence[Place]:
        async with reading(self._engine) as connection:
            rows = await connection.execute(_RECENT, {"of": username})
            return [Place(**row._mapping) for row in rows]

    async def put(self, username: str, place: Place) -> None:
        async with writing_once(self._engine) as connection:
            await connection.execute(_PUT.of(connection), {"username": username, **asdict(place)})

    async def purge(self, before: float) -> int:
        return await delete_in_batches(self._engine, places, places.c.seen_at < before)


_FACTS = [column for column in places.c if column.name != "username"]
_RECENT = (
    select(*_FACTS)
    .where(places.c.username == bindparam("of"))
    .order_by(places.c.seen_at.desc())
    .limit(_NEWEST)
)


def _replaced(fresh: Insert) -> Insert:
    seen = {column.name: fresh.excluded[column.name] for column in _FACTS}
    return fresh.on_conflict_do_update(index_elements=["username", "network", "device"], set_=seen)


_PUT = Upsert(places, _replaced)
