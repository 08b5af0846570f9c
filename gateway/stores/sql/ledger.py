"""Counters, single-use claims and short-lived values in SQL.

Each method is one statement, so races have one winner.
Expired rows count as absent everywhere; `purge` only frees their space.
"""

from sqlalchemy import ColumnElement, case, delete, select
from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.clock import Clock
from gateway.stores.ledger_keys import digest
from gateway.stores.sql.engine import reading, upsert, writing
from gateway.stores.sql.purge import delete_in_batches
from gateway.stores.sql.schema import ledger


class SqlLedger:
    def __init__(self, engine: AsyncEngine, clock: Clock) -> None:
        self._engine = engine
        self._clock = clock

    async def hit(self, key: str, window: float, amount: int = 1) -> int:
        now = self._clock()
        ended = ledger.c.expires_at <= now
        async with writing(self._engine) as connection:
            fresh = upsert(connection, ledger).values(key=digest(key), amount=amount, expires_at=now + window)
            statement = fresh.on_conflict_do_update(
                index_elements=["key"],
                set_={
                    "amount": case(
                        (ended, fresh.excluded.amount), else_=ledger.c.amount + fresh.excluded.amount
                    ),
                    "expires_at": case((ended, fresh.excluded.expires_at), else_=ledger.c.expires_at),
                    "value": case((ended, None), else_=ledger.c.value),
                },
            )
            return int((await connection.execute(statement.returning(ledger.c.amount))).scalar_one())

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

    async def delete(self, key: str) -> None:
        async with writing(self._engine) as connection:
            await connection.execute(delete(ledger).where(ledger.c.key == digest(key)))

    async def purge(self, now: float) -> int:
        """Drop what has expired; returns how many."""
        return await delete_in_batches(self._engine, ledger, ledger.c.expires_at <= now)

    def _live(self, key: str) -> ColumnElement[bool]:
        return (ledger.c.key == digest(key)) & (ledger.c.expires_at > self._clock())
