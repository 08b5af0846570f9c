"""An aiosqlite connection that crosses to its thread once a statement, instead of five times.

Each crossing wakes another thread that then fights for the interpreter's lock: they were half of what a sign-in cost.
A transaction's BEGIN goes over together with its first statement, all rows come back with the answer, and a rollback of
nothing stays here.
"""

import sqlite3
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, TypeVar

import aiosqlite

T = TypeVar("T")
Row = tuple[Any, ...]


class OneHopConnection(aiosqlite.Connection):
    """What SQLAlchemy uses of an aiosqlite connection. Other parts of it work, too, at aiosqlite's price."""

    def __init__(self, connector: Callable[[], sqlite3.Connection]) -> None:
        super().__init__(connector, iter_chunk_size=64)
        self.opening = ""
        """The BEGIN that is still to be sent, with the first statement."""
        self._queued = self._finished = 0  # each is written by one thread alone
        thread: Any = getattr(self, "_thread", self)  # before aiosqlite 0.22 it was one itself
        thread.daemon = True

    def cursor(self) -> "OneHopCursor":  # type: ignore[override]  # a cursor costs nothing until it is used
        return OneHopCursor(self)

    async def _execute(self, fn: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        def counted() -> T:
            try:
                return fn(*args, **kwargs)
            finally:
                self._finished += 1

        self._queued += 1
        result: T = await super()._execute(counted)  # type: ignore[no-untyped-call]
        return result

    async def commit(self) -> None:
        if self._open():
            await super().commit()

    async def rollback(self) -> None:
        if self._open():
            await super().rollback()

    def _open(self) -> bool:
        """Whether there may be a transaction. What is still under way, for somebody who was cancelled, may open one."""
        self.opening = ""
        return self._queued != self._finished or self.in_transaction


class OneHopCursor:
    """Executes in one crossing and holds all rows of the answer."""

    def __init__(self, connection: OneHopConnection) -> None:
        self._connection = connection
        self._rows: list[Row] = []
        self.description: Any = None
        self.rowcount, self.lastrowid, self.arraysize = -1, 0, 1

    async def __aenter__(self) -> "OneHopCursor":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def __await__(self) -> Generator[Any, None, "OneHopCursor"]:
        return self.__aenter__().__await__()

    async def execute(self, sql: str, parameters: Any = ()) -> "OneHopCursor":
        await self._run(lambda cursor: cursor.execute(sql, parameters))
        return self

    async def executemany(self, sql: str, parameters: Iterable[Any]) -> "OneHopCursor":
        await self._run(lambda cursor: cursor.executemany(sql, parameters))
        return self

    async def fetchone(self) -> Row | None:
        return self._rows.pop(0) if self._rows else None

    async def fetchmany(self, size: int | None = None) -> Sequence[Row]:
        """Return the next `size` entries, by default `arraysize`, as DB-API wants it (PEP 249)."""
        count = size or self.arraysize
        rows, self._rows = self._rows[:count], self._rows[count:]
        return rows

    async def fetchall(self) -> Sequence[Row]:
        rows, self._rows = self._rows, []
        return rows

    async def close(self) -> None:
        self._rows = []

    async def _run(self, statement: Callable[[sqlite3.Cursor], object]) -> None:
        connection = self._connection
        opening, connection.opening = connection.opening, ""
        raw = connection._conn

        def work() -> tuple[Any, list[Row], int, int | None]:
            if opening:
                raw.execute(opening)
            with closing(raw.cursor()) as cursor:
                statement(cursor)
                rows = cursor.fetchall() if cursor.description else []
                return cursor.description, rows, cursor.rowcount, cursor.lastrowid

        self.description, self._rows, self.rowcount, lastrowid = await connection._execute(work)
        self.lastrowid = lastrowid or 0


def connect(path: Path, **options: Any) -> OneHopConnection:
    """Not open until it is awaited."""
    return OneHopConnection(lambda: sqlite3.connect(path, **options))
