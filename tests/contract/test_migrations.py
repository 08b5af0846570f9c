"""Migrations build what the schema says, on every database, however many start at once."""

import asyncio
import multiprocessing
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, inspect, text
from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.errors import ConfigError, StoreUnavailable
from gateway.stores.sql.engine import open_engine, reading
from gateway.stores.sql.migrate import migrate
from gateway.stores.sql.schema_oidc import metadata


def differences(connection: Connection) -> list[object]:
    return list(compare_metadata(MigrationContext.configure(connection), metadata))


async def test_the_migrations_build_the_schema(engine: AsyncEngine) -> None:
    async with reading(engine) as connection:
        assert await connection.run_sync(differences) == []


async def test_migrating_again_changes_nothing(engine: AsyncEngine) -> None:
    await migrate(engine)
    async with reading(engine) as connection:
        assert await connection.run_sync(differences) == []


def test_processes_that_migrate_at_once_all_succeed(empty_url: str) -> None:
    context = multiprocessing.get_context("fork")
    workers = [context.Process(target=_migrate, args=(empty_url,)) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert [worker.exitcode for worker in workers] == [0] * 4
    assert "ledger" in asyncio.run(_tables(empty_url))


def _migrate(url: str) -> None:
    async def run() -> None:
        engine = open_engine(url)
        await migrate(engine)
        await engine.dispose()

    asyncio.run(run())


async def _tables(url: str) -> list[str]:
    engine = open_engine(url)
    async with reading(engine) as connection:
        names: list[str] = await connection.run_sync(lambda sync: inspect(sync).get_table_names())
    await engine.dispose()
    return names


@pytest.mark.parametrize("url", ["mysql://h/db", "sqlite://", "sqlite:///:memory:", "nonsense", ""])
def test_a_url_that_workers_can_not_share_is_a_configuration_error(url: str) -> None:
    with pytest.raises(ConfigError, match=r"storage\.url"):
        open_engine(url)


def test_a_folder_that_can_not_be_made_is_store_unavailable(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreUnavailable, match="can't open the database"):
        open_engine(f"sqlite:///{tmp_path}/file/gateway.db")


async def test_sqlite_runs_as_configured_and_for_our_eyes_only(tmp_path: Path) -> None:
    engine = open_engine(f"sqlite:///{tmp_path}/new/gateway.db")
    async with reading(engine) as connection:
        pragmas = ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        values = [await connection.scalar(text(f"PRAGMA {name}")) for name in pragmas]
    await engine.dispose()
    assert values == ["wal", 1, 1, 10_000]
    assert (tmp_path / "new/gateway.db").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "new").stat().st_mode & 0o777 == 0o700
