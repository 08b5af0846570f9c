"""Migrations build what the schema says, on every database, however many start at once."""

import ast
import asyncio
import multiprocessing
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, MetaData, Table, inspect, select, text
from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.errors import ConfigError, StoreUnavailable
from gateway.stores.sql.engine import open_engine
from gateway.stores.sql.migrate import (
    MIGRATIONS,
    OLDEST_CODE,
    _upgrade,
    migrate,
    newest_revision,
    usable_revision,
)
from gateway.stores.sql.schema import installation
from gateway.stores.sql.schema_oidc import metadata
from gateway.stores.sql.transactions import reading, writing


def differences(connection: Connection) -> list[object]:
    return list(compare_metadata(MigrationContext.configure(connection), metadata))


EXPRESSIONS = pytest.mark.filterwarnings("ignore:.*expression-based index")
"""SQLite's indexes of expressions can't be read back; PostgreSQL compares them."""


@EXPRESSIONS
async def test_the_migrations_build_the_schema(engine: AsyncEngine) -> None:
    async with reading(engine) as connection:
        assert await connection.run_sync(differences) == []


@EXPRESSIONS
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


ADDING = ("create_table", "create_index", "add_column", "get_bind")
"""What a migration may do (get_bind: to fill a new column) while the code before it still runs (docs/upgrading.md)."""
NEW = sorted(file for file in (MIGRATIONS / "versions").glob("r[0-9]*.py") if file.name[1:5] > OLDEST_CODE)


@pytest.mark.parametrize("file", NEW, ids=lambda file: str(file.stem))
def test_a_migration_only_adds(file: Path) -> None:
    calls = [node.func for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.Call)]
    steps = [
        call.attr
        for call in calls
        if isinstance(call, ast.Attribute) and isinstance(call.value, ast.Name) and call.value.id == "op"
    ]
    assert steps
    assert set(steps) <= set(ADDING)


async def test_code_before_the_oldest_code_was_noted_finds_the_schema_that_it_knows(
    engine: AsyncEngine,
) -> None:
    """It asks Alembic's own table, and starts where that says what it was written for."""
    async with reading(engine) as connection:
        assert await connection.scalar(text("SELECT version_num FROM alembic_version")) == OLDEST_CODE
        said = await connection.scalar(select(installation.c.value).where(installation.c.name == "schema"))
    assert said == newest_revision()
    assert await usable_revision(engine) == newest_revision()


@pytest.mark.parametrize("noted", [False, True], ids=["as before 0.2", "as now"])
async def test_a_schema_from_between_goes_on_from_where_it_is(empty_url: str, noted: bool) -> None:
    engine = open_engine(empty_url)
    async with writing(engine, "EXCLUSIVE") as connection:
        await connection.run_sync(_upgrade, "0015")
        if noted:
            await connection.execute(text("UPDATE alembic_version SET version_num = '0011'"))
            await connection.execute(installation.insert().values(name="schema", value="0015"))
    await migrate(engine)
    assert await usable_revision(engine) == newest_revision()
    async with reading(engine) as connection:
        assert await connection.run_sync(lambda sync: inspect(sync).has_table("subjects"))
    await engine.dispose()


async def test_statements_of_the_code_before_still_work_on_the_new_schema(empty_url: str) -> None:
    """Each table as that code knew it: rows written with its columns alone."""
    engine = open_engine(empty_url)
    async with writing(engine, "EXCLUSIVE") as connection:
        await connection.run_sync(_upgrade, OLDEST_CODE)
        old = MetaData()
        await connection.run_sync(old.reflect)
    await migrate(engine)
    async with writing(engine) as connection:
        for table in old.sorted_tables:
            if table.name != "alembic_version":
                await connection.execute(table.insert().values(_some_row(table)))
                rows = (await connection.execute(select(table))).all()
                assert len(rows) == 1, table.name
    await engine.dispose()


def _some_row(table: Table) -> dict[str, object]:
    values: dict[type, object] = {str: "x", int: 1, float: 1.0, bytes: b"x", bool: False}
    return {column.name: values[column.type.python_type] for column in table.columns}
