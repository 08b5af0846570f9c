"""Counters, single-use claims and short-lived values in SQL.

Each method is one statement or one transaction, so races have one winner.
Expired rows count as absent everywhere; `purge` only frees their space.
"""

from collections.abc import Sequence
from hashlib import blake2b

from sqlalchemy import ColumnElement, bindparam, case, delete, select, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from gateway.clock import Clock
from gateway.stores.protocols.ledger import Hit, Value
from gateway.stores.sql.purge import delete_in_batches
from gateway.stores.sql.schema import ledger
from gateway.stores.sql.transactions import reading, writing, writing_once
from gateway.stores.sql.upserts import Finished, Insert, Upsert, upsert


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
        row = {"key": digest(key), "amount": amount, "expires_at": now + window, "value": None, "now": now}
        async with writing_once(self._engine) as connection:
            return int((await connection.execute(_HIT.of(connection), row)).scalar_one())

    async def count(self, key: str) -> tuple[int, float]:
        async with reading(self._engine) as connection:
            row = (await connection.execute(_COUNT, self._live(key))).one_or_none()
        return (row.amount, row.expires_at - self._clock()) if row else (0, 0.0)

    async def claim_once(self, key: str, ttl: float) -> bool:
        now = self._clock()
        row = {"key": digest(key), "amount": 1, "expires_at": now + ttl, "value": None, "now": now}
        async with writing_once(self._engine) as connection:
            return (await connection.execute(_CLAIM.of(connection), row)).first() is not None

    async def put(self, key: str, value: bytes, ttl: float) -> None:
        async with writing_once(self._engine) as connection:
            await _put(connection, Value(key, value, ttl), self._clock())

    async def get(self, key: str) -> bytes | None:
        async with reading(self._engine) as connection:
            return await connection.scalar(_VALUE, self._live(key))

    async def take(self, key: str) -> bytes | None:
        async with writing_once(self._engine) as connection:
            return (await connection.execute(_TAKE, self._live(key))).scalar_one_or_none()

    async def consume(self, key: str, value: bytes, *counters: str) -> bool:
        async with writing(self._engine) as connection:
            if (await connection.execute(_CONSUME, {**self._live(key), "same": value})).first() is None:
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
                counted = _counted(upsert(connection, ledger), ledger.c.expires_at <= now)
                found = await connection.execute(counted.returning(ledger.c.key, ledger.c.amount), rows)
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
        async with writing(self._engine) as connection:
            if back:
                await connection.execute(_LESS, [self._live(key) for key in back])
            await _drop(connection, drop)

    async def delete(self, *keys: str) -> None:
        async with writing_once(self._engine) as connection:
            await connection.execute(delete(ledger).where(ledger.c.key.in_([digest(key) for key in keys])))

    async def purge(self, now: float) -> int:
        """Drop what has expired; returns how many."""
        return await delete_in_batches(self._engine, ledger, ledger.c.expires_at <= now)

    def _live(self, key: str) -> dict[str, object]:
        """The parameters of _LIVE."""
        return {"entry": digest(key), "now": self._clock()}


class _Full(Exception):
    """A counter was full already."""


async def _put(connection: AsyncConnection, value: Value, now: float) -> None:
    """Put a value inside a running transaction."""
    row = {"key": digest(value.key), "amount": 0, "value": value.value, "expires_at": now + value.ttl}
    await connection.execute(_PUT.of(connection), row)


async def _drop(connection: AsyncConnection, keys: Sequence[str]) -> None:
    """Drop entries inside a running transaction, one after the other: so their locks are taken in this order."""
    if keys:
        await connection.execute(_DROP, [{"entry": digest(key)} for key in keys])


# The statements, made once: each sign-in asks the ledger some thirty times.

_ENTRY, _NOW = bindparam("entry", type_=ledger.c.key.type), bindparam("now", type_=ledger.c.expires_at.type)
_LIVE = (ledger.c.key == _ENTRY) & (ledger.c.expires_at > _NOW)
_COUNT = select(ledger.c.amount, ledger.c.expires_at).where(_LIVE)
_VALUE = select(ledger.c.value).where(_LIVE)
_TAKE = delete(ledger).where(_LIVE, ledger.c.value.is_not(None)).returning(ledger.c.value)
_CONSUME = delete(ledger).where(_LIVE, ledger.c.value == bindparam("same")).returning(ledger.c.key)
_LESS = update(ledger).where(_LIVE, ledger.c.amount > 0).values(amount=ledger.c.amount - 1)
_DROP = delete(ledger).where(ledger.c.key == _ENTRY)


def _counted(fresh: Insert, ended: ColumnElement[bool]) -> Insert:
    """The statement that adds to a counter, or begins one where the last has ended."""
    return fresh.on_conflict_do_update(
        index_elements=["key"],
        set_={
            "amount": case((ended, fresh.excluded.amount), else_=ledger.c.amount + fresh.excluded.amount),
            "expires_at": case((ended, fresh.excluded.expires_at), else_=ledger.c.expires_at),
            "value": case((ended, None), else_=ledger.c.value),
        },
    )


def _claimed(fresh: Insert) -> Finished:
    """The statement that returns a row to whoever comes first."""
    taken = fresh.on_conflict_do_update(
        index_elements=["key"],
        set_={name: fresh.excluded[name] for name in ("amount", "value", "expires_at")},
        where=ledger.c.expires_at <= _NOW,
    )
    return taken.returning(ledger.c.key)


def _replaced(fresh: Insert) -> Insert:
    """The statement that puts a value in the place of any before it."""
    row = {name: fresh.excluded[name] for name in ("amount", "value", "expires_at")}
    return fresh.on_conflict_do_update(index_elements=["key"], set_=row)


_HIT = Upsert(ledger, lambda fresh: _counted(fresh, ledger.c.expires_at <= _NOW).returning(ledger.c.amount))
_CLAIM = Upsert(ledger, _claimed)
_PUT = Upsert(ledger, _replaced)
