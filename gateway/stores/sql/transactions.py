"""Gives out transactions, `reading`, `writing` and `writing_once`, and carries their statements to SQLite's thread.

What the driver raises because the database is away leaves here as StoreUnavailable; no other error is swallowed.

Each crossing to SQLite's thread wakes it up, and it then fights for the interpreter's lock: that was half of what a
sign-in cost. So a statement crosses once instead of five times: a transaction's BEGIN goes over together with its first
statement, all rows come back with the answer, and a rollback of nothing stays here.
"""

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator, Callable, Generator, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, asynccontextmanager, closing, contextmanager, nullcontext
from pathlib import Path
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

import aiosqlite
from sqlalchemy import Connection, text
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, ProgrammingError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from gateway.errors import StoreBusy, StoreUnavailable
from gateway.stores.circuit_breaker import Circuit

T = TypeVar("T")
Row = tuple[Any, ...]
POOLED = "behind_pooler"
"""The execution option of an engine that reaches PostgreSQL through PgBouncer."""
_DISK_FULL = "53100"
_PREPARED_ELSEWHERE = ("26000", "42P05")
"""A prepared statement that is not there, or is there already: only a pooler of transactions makes that."""


@asynccontextmanager
async def reading(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    """Yield a connection for SELECTs, without a transaction where that can be.

    Each sees what is committed when it begins.

    Raises StoreUnavailable.
    """
    with _circuit(engine), _translated():
        async with _beginning(engine, _WITHOUT).connect() as connection:
            yield connection


@asynccontextmanager
async def writing_once(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    """Yield a connection for one statement that may write, and is a transaction by itself.

    BEGIN and COMMIT would be two more round trips for it. A second statement would be a transaction of its own.

    Raises StoreUnavailable.
    """
    if engine.get_execution_options().get(POOLED):
        async with writing(engine) as connection:
            yield connection
        return
    with _circuit(engine), _translated():
        async with _turn(engine), _beginning(engine, _WITHOUT).connect() as connection:
            yield connection


_WITHOUT = ""
_engines: WeakKeyDictionary[AsyncEngine, dict[str, AsyncEngine]] = WeakKeyDictionary()


def _beginning(engine: AsyncEngine, mode: str) -> AsyncEngine:
    """The same engine, whose connections begin transactions in this `mode` of SQLite's; _WITHOUT for none.

    Kept, since to set that of a connection costs as much as to take it from the pool.
    """
    kept = _engines.setdefault(engine, {})
    if mode not in kept:
        kept[mode] = engine.execution_options(**_options(engine, mode))
    return kept[mode]


def _options(engine: AsyncEngine, mode: str) -> dict[str, str]:
    if engine.dialect.name == "sqlite":
        return {"sqlite_begin": mode}
    # A statement is prepared in one step and run in the next. Only a transaction keeps a pooler from asking one server
    # for the first and another for the second.
    pooled = engine.get_execution_options().get(POOLED)
    return {} if pooled or mode != _WITHOUT else {"isolation_level": "AUTOCOMMIT"}


@asynccontextmanager
async def writing(engine: AsyncEngine, mode: str = "IMMEDIATE") -> AsyncIterator[AsyncConnection]:
    """A transaction that may write, committed at the end.

    SQLite takes its write lock at BEGIN: a transaction that upgrades from read to write later can't wait for
    the lock and would fail with "database is locked".
    """
    with _circuit(engine), _translated():
        async with _turn(engine), _beginning(engine, mode).begin() as connection:
            yield connection


async def in_order(connection: AsyncConnection, lock: int) -> None:
    """Until commit, only this transaction numbers rows of the table that `lock` stands for.

    PostgreSQL hands out ids before commit, so a reader could otherwise see id 6 before id 5 and step over 5.
    Take it last in a transaction: waiting for row locks while holding it could deadlock. SQLite has one
    writer anyway.
    """
    if connection.dialect.name == "postgresql":
        await connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": lock})


async def no_statement_timeout(connection: AsyncConnection) -> None:
    """For the running transaction only."""
    if connection.dialect.name == "postgresql":
        await connection.execute(text("SET LOCAL statement_timeout = 0"))


_turns: WeakKeyDictionary[AsyncEngine, asyncio.Lock] = WeakKeyDictionary()


def _turn(engine: AsyncEngine) -> asyncio.Lock | nullcontext[None]:
    """Writers of one process queue here in order; SQLite's busy wait between them is a lottery of sleeps."""
    if engine.dialect.name != "sqlite":
        return nullcontext()
    return _turns.setdefault(engine, asyncio.Lock())


_circuits: WeakKeyDictionary[AsyncEngine, Circuit] = WeakKeyDictionary()


def _circuit(engine: AsyncEngine) -> AbstractContextManager[None]:
    """While PostgreSQL is away, callers hear so at once. A file does not go away."""
    if engine.dialect.name != "postgresql":
        return nullcontext()
    circuit = _circuits.get(engine) or _circuits.setdefault(engine, Circuit("the database", time.monotonic))
    return circuit.call()


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except PoolTimeout as error:
        raise StoreBusy(f"more callers than connections to the database: {_first_line(error)}") from error
    except (DBAPIError, OSError, TimeoutError) as error:
        if isinstance(error, DBAPIError) and getattr(error.orig, "sqlstate", None) in _PREPARED_ELSEWHERE:
            problem = "PgBouncer stands before the database: write ?pgbouncer=true at the end of storage.url"
            raise StoreUnavailable(problem) from error
        if isinstance(error, (DataError, IntegrityError, ProgrammingError)):
            raise  # ours to answer for, not an outage
        if is_full(error):
            problem = "the disk of the database is full: make room there; nothing needs to be started again"
            raise StoreUnavailable(problem) from error
        raise StoreUnavailable(f"the database does not answer: {_first_line(error)}") from error


def is_full(error: BaseException) -> bool:
    """Tell whether it is the database's disk that has no room."""
    cause = getattr(error, "orig", None) or error
    # SQLITE_IOERR_SHMSIZE: whoever comes first makes the index of the write-ahead log.
    is_sqlite = getattr(cause, "sqlite_errorcode", None) in (
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_IOERR_SHMSIZE,
    )
    return is_sqlite or getattr(cause, "sqlstate", None) == _DISK_FULL


def _first_line(error: BaseException) -> str:
    cause = error.orig if isinstance(error, DBAPIError) and error.orig else error
    return (str(cause).splitlines() or [type(cause).__name__])[0]


def on_sqlite_begin(connection: Connection) -> None:
    """Leave the BEGIN to the transaction's first statement: SQLAlchemy calls this where a driver would send it."""
    mode = connection.get_execution_options().get("sqlite_begin", "DEFERRED")
    driver = connection.connection.driver_connection
    assert isinstance(driver, OneHopConnection)
    driver.opening = f"BEGIN {mode}" if mode else ""


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
