"""Counters, single-use claims and short-lived values in SQL.

Each method is one statement (`hit_all` one transaction), so races have one winner.
Expired rows count as absent everywhere; `purge` only frees their space.
"""

from collections.abc import Sequence
from hashlib import blake2b

from sqlalchemy import ColumnElement, case, delete, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from gateway.clock import Clock
from gateway.stores.protocols.ledger import Hit
from gateway.stores.sql.purge import delete_in_batches
from gateway.stores.sql.schema import ledger
from gateway.stores.sql.transactions import reading, upsert, writing


def digest(key: str) -> str:
    """Return the digest under which a key is stored: it bounds what visitors typed, and keeps phone numbers off the
    disk.
    """
    return blake2b(key.encode(errors="surrogatepass"), digest_size=32).hexdigest()


class SqlLedger:
    """The ledger in the database, for gateways without Redis."""

    def __init__(self, engine: AsyncEngine, clock: Clock) -> None:
        self._engine = engine
        self._clock = clock

    async def hit(self, key: str, window: float, amount: int = 1) -> int:
        now = self._clock()
        row = {"key": digest(key), "amount": amount, "expires_at": now + window, "value": None}
        async with writing(self._engine) as connection:
            statement = _counted(connection, now).returning(ledger.c.amount)
            return int((await connection.execute(statement, row)).scalar_one())

    async def count(self, key: str) -> tuple[int, float]:
        query = select(ledger.c.amount, ledger.c.expires_at).where(self._live(key))
        async with reading(self._engine) as connection:
            row = (await connection.execute(query)).one_or_none()
        return (row.amount, row.expires_at - self._clock()) if row else (0, 0.0)

    async def claim_once(self, key: str, ttl: float) -> bool:
        now = self._clock()
        async with writing(self._engine) as connection:
            fresh = upsert(connection, ledger).values(key=digest(key), amount=1, expires_at=now + ttl)
            statement = fresh.on_conflict_do_update(
                index_elements=["key"],
                set_={"amount": 1, "value": None, "expires_at": fresh.excluded.expires_at},
                where=ledger.c.expires_at <= now,
            )
            return (await connection.execute(statement.returning(ledger.c.key))).first() is not None

    async def put(self, key: str, value: bytes, ttl: float) -> None:
        row = {"key": digest(key), "amount": 0, "value": value, "expires_at": self._clock() + ttl}
        async with writing(self._engine) as connection:
            statement = upsert(connection, ledger).values(row)
            await connection.execute(statement.on_conflict_do_update(index_elements=["key"], set_=row))

    async def get(self, key: str) -> bytes | None:
        async with reading(self._engine) as connection:
            return await connection.scalar(select(ledger.c.value).where(self._live(key)))

    async def take(self, key: str) -> bytes | None:
        statement = (
            delete(ledger).where(self._live(key), ledger.c.value.is_not(None)).returning(ledger.c.value)
        )
        async with writing(self._engine) as connection:
            return (await connection.execute(statement)).scalar_one_or_none()

    async def hit_all(self, hits: Sequence[Hit]) -> Sequence[int] | None:
        now = self._clock()
        rows = [
            {"key": digest(hit.key), "amount": 1, "expires_at": now + hit.window, "value": None}
            for hit in hits
        ]
        try:
            async with writing(self._engine) as connection:
                found = await connection.execute(
                    _counted(connection, now).returning(ledger.c.key, ledger.c.amount), rows
                )
                counts = {row.key: int(row.amount) for row in found}
                ordered = [counts[str(row["key"])] for row in rows]
                if any(count > hit.limit for count, hit in zip(ordered, hits, strict=True)):
                    raise _Full  # takes all of it back
                return ordered
        except _Full:
            return None

    async def delete(self, *keys: str) -> None:
        async with writing(self._engine) as connection:
            await connection.execute(delete(ledger).where(ledger.c.key.in_([digest(key) for key in keys])))

    async def purge(self, now: float) -> int:
        """Drop what has expired; returns how many."""
        return await delete_in_batches(self._engine, ledger, ledger.c.expires_at <= now)

    def _live(self, key: str) -> ColumnElement[bool]:
        return (ledger.c.key == digest(key)) & (ledger.c.expires_at > self._clock())


class _Full(Exception):
    """A counter was full already."""


def _counted(connection: AsyncConnection, now: float) -> sqlite.Insert | postgresql.Insert:
    """The statement that adds to a counter, or begins one where the last has ended."""
    ended = ledger.c.expires_at <= now
    fresh = upsert(connection, ledger)
    return fresh.on_conflict_do_update(
        index_elements=["key"],
        set_={
            "amount": case((ended, fresh.excluded.amount), else_=ledger.c.amount + fresh.excluded.amount),
            "expires_at": case((ended, fresh.excluded.expires_at), else_=ledger.c.expires_at),
            "value": case((ended, None), else_=ledger.c.value),
        },
    )
