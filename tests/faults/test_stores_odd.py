"""Stores as people have them: full, locked, read-only, newer than the code."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
import pytest
from sqlalchemy import text

from gateway.errors import SchemaTooNew
from gateway.stores.sql.engine import open_engine
from gateway.stores.sql.migrate import migrate, newest_revision
from gateway.stores.sql.transactions import writing
from tests.faults.serving import Machine
from tests.rig import Rig, running_gateway
from tests.services import redis_server
from tests.waiting import PATIENCE


async def checks(rig: Rig) -> dict[str, str]:
    async with rig.browser() as browser:
        answer = await browser.get("/_auth/readyz")
        found: dict[str, str] = (await answer.json())["checks"]
        assert (answer.status == 200) == (set(found.values()) == {"ok"})
        return found


@asynccontextmanager
async def ready(rig: Rig) -> AsyncIterator[None]:
    """Ready before; afterwards again."""
    assert set((await checks(rig)).values()) == {"ok"}
    yield
    async with asyncio.timeout(PATIENCE):
        while set((await checks(rig)).values()) != {"ok"}:
            await asyncio.sleep(0.05)


async def unavailable(rig: Rig) -> dict[str, str]:
    """What readyz says once it has noticed that nothing can be written."""
    async with asyncio.timeout(PATIENCE):
        while (found := await checks(rig))["writes"] == "ok":
            await asyncio.sleep(0.05)
    return found


async def test_readyz_tells_of_a_redis_that_is_full_or_a_replica(tmp_path: Path) -> None:
    with redis_server() as redis:
        async with running_gateway(tmp_path, storage={"state_url": redis.url}) as rig:
            client = rig.gateway.stores.state.ledger._link.client  # type: ignore[attr-defined]
            for name, full, empty in (("maxmemory", "1", "0"), ("min-replicas-to-write", "1", "0")):
                async with ready(rig):
                    await client.config_set(name, full)
                    await unavailable(rig)
                    await client.config_set(name, empty)


async def test_readyz_tells_of_a_database_that_is_locked(tmp_path: Path) -> None:
    async with running_gateway(tmp_path) as rig, ready(rig):
        other = sqlite3.connect(tmp_path / "gateway.db", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        found = await unavailable(rig)
        other.execute("ROLLBACK")
        other.close()
        assert found["store"] == "ok"


async def test_readyz_tells_of_a_postgresql_that_is_read_only(tmp_path: Path, database: str) -> None:
    async with running_gateway(tmp_path, storage={"url": database}) as rig, ready(rig):
        name = database.rpartition("/")[2]
        connection = await asyncpg.connect(database)
        await connection.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
        await rig.gateway.stores.engine.dispose()
        await unavailable(rig)
        await connection.execute("SET default_transaction_read_only = off")
        await connection.execute(f"ALTER DATABASE {name} RESET default_transaction_read_only")
        await connection.close()


async def newer(url: str, oldest: str) -> None:
    """As a newer gateway leaves the database, which says that code of `oldest` may still use it."""
    engine = open_engine(url)
    await migrate(engine)
    async with writing(engine) as connection:
        for name, value in (("schema", "9999"), ("oldest code", oldest)):
            await connection.execute(text(f"UPDATE installation SET value = '{value}' WHERE name = '{name}'"))
    await engine.dispose()


async def test_older_code_on_a_newer_schema_ends_with_one_sentence(tmp_path: Path) -> None:
    machine = Machine(tmp_path, {"url": f"sqlite:///{tmp_path}/gateway.db"})
    await newer(machine.storage["url"], "9000")
    async with machine.started() as serving:
        assert await serving.ended() == 1
    assert [line for line in serving.output if "Traceback" in line] == []
    assert serving.said("auth-gateway: the database has schema 9999, made by a newer gateway")
    assert len(serving.output) == 1


async def test_a_newer_schema_that_only_adds_is_shared_during_a_rolling_upgrade(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/gateway.db"
    await newer(url, newest_revision())
    async with running_gateway(tmp_path) as rig, rig.browser() as alice:
        await rig.add_user()
        await alice.sign_in()
        assert (await alice.get("/app")).status == 200
    await newer(url, "9000")
    engine = open_engine(url)
    with pytest.raises(SchemaTooNew):
        await migrate(engine)
    await engine.dispose()
