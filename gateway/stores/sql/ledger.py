"""Counters, single-use claims and short-lived values in SQL.

Each method is one statement or one transaction, so races have one winner.
Expired rows count as absent everywhere; `purge` only frees their space.
"""

from collections.abc import Sequence
from hashlib import blake2b

from sqlalchemy import ColumnElement, bindparam, case, delete, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from gateway.clock import Clock
from gateway.stores.protocols.ledger import Hit, Value
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
        async with writing(self._engine) as connection:
            await _put(connection, Value(key, value, ttl), self._clock())

    async def get(self, key: str) -> bytes | None:
        async with reading(self._engine) as connection:
            return await connection.scalar(select(ledger.c.value).where(self._live(key)))

    async def take(self, key: str) -> bytes | None:
        statement = (
            delete(ledger).where(self._live(key), ledger.c.value.is_not(None)).returning(ledger.c.value)
        )
        async with writing(self._engine) as connection:
            return (await connection.execute(statement)).scalar_one_or_none()

    async def consume(self, key: str, value: bytes, *counters: str) -> bool:
        same = delete(ledger).where(self._live(key), ledger.c.value == value).returning(ledger.c.key)
        async with writing(self._engine) as connection:
            if (await connection.execute(same)).first() is None:
                return False
            await _drop(connection, counters)
        return True

    async def hit_all(self, hits: Sequence[Hit], keep: Value | None = None) -> Sequence[int] | None:
        now = self._clock()
        rows = [
            {"key": digest(hit.key), "amount": hit.amount, "expires_at": now + hit.window, "value": None}
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
                if keep is not None:
                    await _put(connection, keep, now)
                return ordered
        except _Full:
            return None

    async def settle(self, back: Sequence[str], drop: Sequence[str]) -> None:
        # Locks are taken in the order of `hit_all`: what is counted first there comes first here.
        running = (ledger.c.expires_at > self._clock()) & (ledger.c.amount > 0)
        less = update(ledger).where(ledger.c.key == bindparam("entry"), running)
        async with writing(self._engine) as connection:
            if back:
                rows = [{"entry": digest(key)} for key in back]
                await connection.execute(less.values(amount=ledger.c.amount - 1), rows)
            await _drop(connection, drop)

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


async def _put(connection: AsyncConnection, value: Value, now: float) -> None:
    """Put a value inside a running transaction."""
    row = {"key": digest(value.key), "amount": 0, "value": value.value, "expires_at": now + value.ttl}
    statement = upsert(connection, ledger).values(row)
    await connection.execute(statement.on_conflict_do_update(index_elements=["key"], set_=row))


async def _drop(connection: AsyncConnection, keys: Sequence[str]) -> None:
    """Drop entries inside a running transaction, one after the other: so their locks are taken in this order."""
    if keys:
        rows = [{"entry": digest(key)} for key in keys]
        await connection.execute(delete(ledger).where(ledger.c.key == bindparam("entry")), rows)


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
