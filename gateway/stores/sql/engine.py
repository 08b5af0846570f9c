"""Opens the database: the engine for `storage.url`, and what SQLite and PostgreSQL each need on a new connection."""

import fcntl
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from uuid import uuid4

from sqlalchemy import URL, event, make_url
from sqlalchemy.engine.interfaces import DBAPIConnection, ExceptionContext
from sqlalchemy.exc import ArgumentError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from gateway.errors import ConfigError, Mistake, StoreUnavailable
from gateway.stores.sql.transactions import POOLED, connect, is_full, on_sqlite_begin

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


def _unusable(problem: str, mend: str = _FORMS) -> ConfigError:
    return ConfigError([Mistake(file="configuration", line=0, key="storage.url", problem=problem, mend=mend)])


def _open_sqlite(url: URL) -> AsyncEngine:
    if not url.database or url.database == ":memory:":
        raise _unusable("workers can't share a database in memory")
    _create_file(Path(url.database))
    engine = create_async_engine(
        url.set(drivername="sqlite+aiosqlite"),
        connect_args={"timeout": BUSY_SECONDS, "async_creator_fn": connect},
    )
    event.listen(engine.sync_engine, "connect", _on_sqlite_connect)
    event.listen(engine.sync_engine, "begin", on_sqlite_begin)
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
            execution_options={POOLED: pooled},
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
        raise _unusable("the PostgreSQL driver is missing", 'pip install "auth-gateway[postgres]"') from None
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
        problem = f"{error}: its disk is full, make room first" if is_full(error) else str(error)
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
    connection.isolation_level = None  # the driver starts no transactions of its own; on_sqlite_begin does
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout={BUSY_SECONDS * 1000}")
    cursor.execute("PRAGMA synchronous=NORMAL")
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.close()
