"""INSERT with ON CONFLICT, which both databases have but SQLAlchemy spells per dialect."""

from collections.abc import Callable
from typing import Any

from sqlalchemy import Table
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql.dml import ReturningInsert

Insert = sqlite.Insert | postgresql.Insert
Finished = Insert | ReturningInsert[Any]
"""With or without RETURNING."""


def upsert(connection: AsyncConnection, table: Table) -> Insert:
    """Begin such a statement for the database of `connection`."""
    return sqlite.insert(table) if connection.dialect.name == "sqlite" else postgresql.insert(table)


class Upsert:
    """Such a statement that is asked for at each request: made once, since to make it costs more than to run it."""

    def __init__(self, table: Table, finish: Callable[[Insert], Finished]) -> None:
        """`finish` says what becomes of a row that is there already."""
        self._by_dialect: dict[str, Finished] = {
            "sqlite": finish(sqlite.insert(table)),
            "postgresql": finish(postgresql.insert(table)),
        }

    def of(self, connection: AsyncConnection) -> Finished:
        """Return it for the database of `connection`."""
        return self._by_dialect[connection.dialect.name]
