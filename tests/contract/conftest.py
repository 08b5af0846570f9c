"""Each contract suite runs on a migrated SQLite file and on a real PostgreSQL database."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import redis as redis_client
from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.config.schema import PasswordRules as PasswordSettings
from gateway.directory.database import DatabaseDirectory
from gateway.directory.password_hashing import PasswordHashing
from gateway.keyring import KeyRing
from gateway.stores.sql.engine import open_engine
from tests.databases import give_schema, new_database
from tests.services import create_database, postgres_server, redis_server


class FakeClock:
    """Time that moves only when a test says so."""

    def __init__(self, now: float = 1_800_000_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += seconds


_numbers = itertools.count()


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    with postgres_server() as url:
        yield url


@pytest.fixture(scope="session")
def redis() -> Iterator[str]:
    with redis_server() as server:
        yield server.url


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a database without tables."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/folder/gateway.db"
    return create_database(request.getfixturevalue("postgres"), f"test{next(_numbers)}")


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a database with tables and without rows."""
    if request.param == "sqlite":
        file = f"sqlite:///{tmp_path}/folder/gateway.db"
        asyncio.run(give_schema(file))
        return file
    return asyncio.run(new_database(request.getfixturevalue("postgres"), f"test{next(_numbers)}"))


@pytest.fixture(params=["sqlite", "postgresql", "redis"])
def ledger_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty store for a ledger."""
    if request.param == "redis":
        server = str(request.getfixturevalue("redis"))
        with redis_client.from_url(server) as client:
            client.flushall()
        return server
    if request.param == "sqlite":
        file = f"sqlite:///{tmp_path}/gateway.db"
        asyncio.run(give_schema(file))
        return file
    return asyncio.run(new_database(request.getfixturevalue("postgres"), f"ledger{next(_numbers)}"))


@pytest.fixture
async def engine(url: str) -> AsyncIterator[AsyncEngine]:
    engine = open_engine(url)
    yield engine
    await engine.dispose()


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def ring(tmp_path: Path, clock: FakeClock) -> KeyRing:
    return KeyRing.load_or_create(tmp_path / "session.keys", clock)


@pytest.fixture
def passwords() -> Iterator[PasswordHashing]:
    passwords = PasswordHashing(PasswordSettings(argon2_memory=64 * 1024, argon2_passes=1))
    yield passwords
    passwords.close()


@pytest.fixture
def directory(engine: AsyncEngine, passwords: PasswordHashing, clock: FakeClock) -> DatabaseDirectory:
    return DatabaseDirectory(engine, passwords, clock)
