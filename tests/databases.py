"""New databases with the newest schema. It is made once in each test process: a migration takes longer than most tests.

What migrations do is tested in tests/contract/test_migrations.py, from the first one on.
"""

import atexit
import shutil
import tempfile
from pathlib import Path

import asyncpg

from gateway.stores.sql.engine import open_engine
from gateway.stores.sql.migrate import migrate

SQLITE = "sqlite:///"
_made: list[str] = []
"""The file that is copied."""


async def give_schema(url: str) -> None:
    """Make an SQLite file with all tables if it is not there yet. A URL of another kind is left alone."""
    if url.startswith(SQLITE):
        file = Path(url.removeprefix(SQLITE))
        if not file.exists():
            file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            shutil.copy(await _migrated_file(), file)  # as readable as the gateway makes it


async def _migrated_file() -> str:
    if not _made:
        folder = tempfile.mkdtemp(prefix="gateway-schema-")
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        await _migrate(f"{SQLITE}{folder}/gateway.db")
        assert [one.name for one in Path(folder).iterdir()] == ["gateway.db"], "all is in the one file"
        _made.append(f"{folder}/gateway.db")
    return _made[0]


async def new_database(server: str, name: str) -> str:
    """A database with tables on a PostgreSQL that the tests have started; returns its URL."""
    connection = await asyncpg.connect(f"{server}/postgres")
    if not await connection.fetchval("SELECT count(*) FROM pg_database WHERE datname = 'schema'"):
        await connection.execute('CREATE DATABASE "schema"')
        await _migrate(f"{server}/schema")
    await connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "schema"')
    await connection.close()
    return f"{server}/{name}"


async def _migrate(url: str) -> None:
    engine = open_engine(url)
    await migrate(engine)
    await engine.dispose()
