"""Opens the database and gives out transactions: `reading` and `writing`.

The only file that knows SQLite from PostgreSQL. What the driver raises because the database is away leaves
here as StoreUnavailable; no other error is swallowed.
"""

import asyncio
import fcntl
import os
import sqlite3
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import (
    AbstractContextManager,
    asynccontextmanager,
    closing,
    contextmanager,
    nullcontext,
    suppress,
)
from pathlib import Path
from uuid import uuid4
from weakref import WeakKeyDictionary

from sqlalchemy import URL, Connection, Table, event, make_url, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine.interfaces import DBAPIConnection, ExceptionContext
from sqlalchemy.exc import ArgumentError, DataError, DBAPIError, IntegrityError, ProgrammingError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from gateway.errors import ConfigError, Mistake, StoreUnavailable
from gateway.stores.redis.circuit_breaker import Circuit
from gateway.stores.sql.sqlite_connection import OneHopConnection, connect

BUSY_SECONDS = 10
CONNECT_SECONDS = 3
CONNECTIONS = 10
MORE_CONNECTIONS = 5
"""Kept open, and opened beyond that for a while, by one worker on PostgreSQL."""
STATEMENT_SECONDS = 15
_FORMS = 'write "sqlite:///path/to/file.db" or "postgresql://user:password@host/database"'


def open_engine(url: str) -> AsyncEngine:
    """An engine for storage.url; creates the folder and file of SQLite. Raises ConfigError for other URLs."""
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise _unusable("not a database URL") from None
    match parsed.get_backend_name():
        case "sqlite":
            return _open_sqlite(parsed)
        case "postgresql":
            return _open_postgres(parsed)
        case other:
            raise _unusable(f'"{other}" is not a database that the gateway can use')


_POOLED = "behind_pooler"


@asynccontextmanager
async def reading(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    """Yield a connection for SELECTs, without a transaction where that can be.

    Each sees what is committed when it begins.

    Raises StoreUnavailable.
    """
    with _circuit(engine), _translated():
        async with engine.connect() as connection:
            await connection.execution_options(**_without_transaction(engine))
            yield connection


def _without_transaction(engine: AsyncEngine) -> dict[str, str]:
    if engine.dialect.name == "sqlite":
        return {"sqlite_begin": ""}
    # A statement is prepared in one step and run in the next. Only a transaction keeps a pooler from asking one server
    # for the first and another for the second.
    return {} if engine.get_execution_options().get(_POOLED) else {"isolation_level": "AUTOCOMMIT"}


@asynccontextmanager
async def writing(engine: AsyncEngine, mode: str = "IMMEDIATE") -> AsyncIterator[AsyncConnection]:
    """A transaction that may write, committed at the end.

    SQLite takes its write lock at BEGIN: a transaction that upgrades from read to write later can't wait for
    the lock and would fail with "database is locked".
    """
    with _circuit(engine), _translated():
        async with _turn(engine), engine.connect() as connection:
            await connection.execution_options(sqlite_begin=mode)
            async with connection.begin():
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


def upsert(connection: AsyncConnection, table: Table) -> sqlite.Insert | postgresql.Insert:
    """INSERT with ON CONFLICT, which both databases have but SQLAlchemy spells per dialect."""
    return sqlite.insert(table) if connection.dialect.name == "sqlite" else postgresql.insert(table)


def _unusable(problem: str) -> ConfigError:
    return ConfigError(
        [Mistake(file="configuration", line=0, key="storage.url", problem=problem, mend=_FORMS)]
    )


def _open_sqlite(url: URL) -> AsyncEngine:
    if not url.database or url.database == ":memory:":
        raise _unusable("workers can't share a database in memory")
    _create_file(Path(url.database))
    engine = create_async_engine(
        url.set(drivername="sqlite+aiosqlite"),
        connect_args={"timeout": BUSY_SECONDS, "async_creator_fn": connect},
    )
    event.listen(engine.sync_engine, "connect", _on_sqlite_connect)
    event.listen(engine.sync_engine, "begin", _on_sqlite_begin)
    return engine


def _open_postgres(url: URL) -> AsyncEngine:
    """Several `host=` in the URL are tried in turn until one takes writes, so that a failover is followed."""
    query = dict(url.query)
    if "sslmode" in query:  # libpq's name, which people copy from their provider; asyncpg calls it ssl
        query["ssl"] = query.pop("sslmode")
    pooled = query.pop("pgbouncer", "false") == "true"
    if isinstance(query.get("host"), tuple):
        query.setdefault("target_session_attrs", "read-write")
    try:
        engine = create_async_engine(
            url.set(drivername="postgresql+asyncpg", query=query),
            pool_pre_ping=True,  # a connection that died with its server is replaced before it is used
            pool_size=CONNECTIONS,
            max_overflow=MORE_CONNECTIONS,
            pool_timeout=CONNECT_SECONDS,
            pool_recycle=1800,
            pool_use_lifo=True,
            execution_options={_POOLED: pooled},
            connect_args={
                "timeout": CONNECT_SECONDS,
                "command_timeout": STATEMENT_SECONDS + 5,  # for a server that went silent
                "server_settings": {"application_name": "auth-gateway"},
                **(_BEHIND_POOLER if pooled else {}),
            },
        )
    except ModuleNotFoundError as error:
        if error.name != "asyncpg":
            raise
        raise _unusable('the PostgreSQL driver is missing: pip install "auth-gateway[postgres]"') from None
    event.listen(engine.sync_engine, "connect", _on_postgres_connect)
    event.listen(engine.sync_engine, "handle_error", _on_postgres_error)
    return engine


# PgBouncer gives each transaction any server connection, where a statement of ours may be prepared or not: none is
# kept, and each gets a name that nobody else has.
_BEHIND_POOLER = {
    "statement_cache_size": 0,
    "prepared_statement_cache_size": 0,
    "prepared_statement_name_func": lambda: f"gateway_{uuid4().hex}",
}
_READ_ONLY = "25006"
_DISK_FULL = "53100"
_PREPARED_ELSEWHERE = ("26000", "42P05")
"""A prepared statement that is not there, or is there already: only a pooler of transactions makes that."""


def _on_postgres_connect(connection: DBAPIConnection, _record: object) -> None:
    """Set here, not as startup parameters: PgBouncer refuses those that it does not know."""
    cursor = connection.cursor()
    cursor.execute(f"SET statement_timeout = '{STATEMENT_SECONDS}s'")
    cursor.execute("SET idle_in_transaction_session_timeout = '30s'")
    cursor.close()
    connection.commit()


def _on_postgres_error(context: ExceptionContext) -> None:
    """A server that was demoted in a failover refuses writes on a connection that is otherwise fine."""
    if getattr(context.original_exception, "sqlstate", None) == _READ_ONLY:
        context.is_disconnect = True  # the pool drops its connections and finds the new primary


def _create_file(path: Path) -> None:
    """Make the file (mode 0600: it holds password hashes) and switch it to WAL before anyone else uses it.

    The switch needs the file alone and does not wait for others, hence the lock; it is on the folder because
    closing any descriptor of the database file would drop SQLite's own locks (fcntl(2), "record locking").
    """
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with _locked_folder(path.parent):
            with suppress(FileExistsError):
                os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
            with closing(sqlite3.connect(path, timeout=BUSY_SECONDS)) as connection:
                connection.execute("PRAGMA journal_mode=WAL")
    except (OSError, sqlite3.Error) as error:
        problem = f"{error}: its disk is full, make room first" if _is_full(error) else str(error)
        raise StoreUnavailable(f"can't open the database {path}: {problem}") from error


@contextmanager
def _locked_folder(folder: Path) -> Iterator[None]:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _on_sqlite_connect(connection: DBAPIConnection, _record: object) -> None:
    connection.isolation_level = None  # the driver starts no transactions of its own; _on_sqlite_begin does
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout={BUSY_SECONDS * 1000}")
    cursor.execute("PRAGMA synchronous=NORMAL")
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.close()


def _on_sqlite_begin(connection: Connection) -> None:
    mode = connection.get_execution_options().get("sqlite_begin", "DEFERRED")
    driver = connection.connection.driver_connection
    assert isinstance(driver, OneHopConnection)
    driver.opening = f"BEGIN {mode}" if mode else ""


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
    except (DBAPIError, PoolTimeout, OSError, TimeoutError) as error:
        if isinstance(error, DBAPIError) and getattr(error.orig, "sqlstate", None) in _PREPARED_ELSEWHERE:
            problem = "PgBouncer stands before the database: write ?pgbouncer=true at the end of storage.url"
            raise StoreUnavailable(problem) from error
        if isinstance(error, (DataError, IntegrityError, ProgrammingError)):
            raise  # ours to answer for, not an outage
        if _is_full(error):
            problem = "the disk of the database is full: make room there; nothing needs to be started again"
            raise StoreUnavailable(problem) from error
        raise StoreUnavailable(f"the database does not answer: {_first_line(error)}") from error


def _is_full(error: BaseException) -> bool:
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
