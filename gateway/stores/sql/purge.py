"""Deletes what has expired, some rows at a time, so that nobody waits long for the rows or for SQLite's one writer."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Table, delete, func, or_, select, tuple_
from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.stores.sql.transactions import reading, writing

BATCH = 500
"""Rows in one transaction: a few milliseconds."""
AUDIT_ROWS = "audit rows"
PAUSE = 0.01
"""Seconds between two transactions, in which others get their turn."""


@dataclass(frozen=True, slots=True)
class Purge:
    """One kind of rows that expire.

    `run` deletes what has expired by a time and tells how many. `share` tells how many have expired, and of how
    many rows; None where it is usual that most of them have.
    """

    what: str
    run: Callable[[float], Awaitable[int]]
    share: Callable[[float], Awaitable[tuple[int, int]]] | None = None


async def delete_in_batches(engine: AsyncEngine, table: Table, *over: ColumnElement[bool]) -> int:
    """Delete the rows that any of `over` is true of; returns how many. An index should serve each of them."""
    return sum([await _delete(engine, table, one) for one in over])


async def _delete(engine: AsyncEngine, table: Table, over: ColumnElement[bool]) -> int:
    key = list(table.primary_key.columns)
    which = tuple_(*key) if len(key) > 1 else key[0]
    some = select(*key).where(over).limit(BATCH).with_for_update(skip_locked=True)
    total = 0
    while True:
        async with writing(engine) as connection:
            # `over` again: a row may have been used or replaced since it was chosen
            gone = (await connection.execute(delete(table).where(which.in_(some), over))).rowcount
        total += gone
        if gone < BATCH:
            return total
        await asyncio.sleep(PAUSE)


async def expired_share(engine: AsyncEngine, table: Table, *over: ColumnElement[bool]) -> tuple[int, int]:
    """How many rows any of `over` is true of, and how many there are."""
    async with reading(engine) as connection:
        expired = await connection.scalar(select(func.count()).select_from(table).where(or_(*over)))
        every = await connection.scalar(select(func.count()).select_from(table)) if expired else 0
    return expired or 0, every or 0
