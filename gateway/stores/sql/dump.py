"""All rows of the database as text, and back: the same for SQLite and PostgreSQL, so that one restores the other."""

import base64
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any

from sqlalchemy import Table, func, insert, select, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from gateway.stores.sql.migrate import SCHEMA_ROWS
from gateway.stores.sql.schema import installation
from gateway.stores.sql.schema_oidc import metadata
from gateway.stores.sql.transactions import no_statement_timeout, writing

ROWS = 1000
"""In one piece, so that memory stays flat however many there are."""
_KEPT = frozenset({installation.name})
"""Tables whose rows an empty place may have: facts about itself."""

Piece = dict[str, Any]


async def dump(engine: AsyncEngine) -> AsyncIterator[Piece]:
    """Yield the rows of all tables as they were at one moment. Raises StoreUnavailable."""
    async with writing(engine, "DEFERRED") as connection:
        if connection.dialect.name == "postgresql":
            await connection.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY"))
        await no_statement_timeout(connection)
        for table in metadata.sorted_tables:
            found = await connection.stream(select(table).order_by(*table.primary_key.columns))
            async for rows in found.partitions(ROWS):
                yield {
                    "table": table.name,
                    "columns": [column.name for column in table.columns],
                    "rows": [[_told(value) for value in row] for row in rows],
                }


def _told(value: object) -> object:
    return {"base64": base64.b64encode(value).decode()} if isinstance(value, bytes) else value


def _meant(value: object) -> object:
    return base64.b64decode(value["base64"]) if isinstance(value, dict) else value


async def tables_in_use(engine: AsyncEngine) -> Sequence[str]:
    """The tables that have rows, beside what every new database has."""
    async with writing(engine, "DEFERRED") as connection:
        return [
            table.name
            for table in metadata.sorted_tables
            if table.name not in _KEPT
            and (await connection.execute(select(table).limit(1))).first() is not None
        ]


async def load(connection: AsyncConnection, pieces: Iterator[Piece]) -> int:
    """Write the rows into the empty tables of the running transaction; returns how many."""
    await connection.execute(installation.delete().where(installation.c.name.not_in(SCHEMA_ROWS)))
    total = 0
    for piece in pieces:
        table = metadata.tables[piece["table"]]
        rows = [dict(zip(piece["columns"], map(_meant, row), strict=True)) for row in piece["rows"]]
        if table is installation:  # what it says of the schema is true of the place that it came from
            rows = [row for row in rows if row["name"] not in SCHEMA_ROWS]
        if rows:
            await connection.execute(insert(table), rows)
        total += len(rows)
    if connection.dialect.name == "postgresql":
        for table in metadata.sorted_tables:
            await _go_on_counting(connection, table)
    return total


async def _go_on_counting(connection: AsyncConnection, table: Table) -> None:
    """Rows came with their numbers; PostgreSQL's next number must be above them."""
    for column in table.primary_key.columns:
        if column.autoincrement is True:
            sequence = func.pg_get_serial_sequence(table.name, column.name)
            highest = select(func.coalesce(func.max(column), 0) + 1).scalar_subquery()
            await connection.execute(select(func.setval(sequence, highest, False)))
