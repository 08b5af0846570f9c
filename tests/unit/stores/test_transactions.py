"""One crossing a statement, and no transaction is left open by whoever goes away in the middle of one."""

import asyncio
import sqlite3
from pathlib import Path

import pytest
from sqlalchemy import text

from gateway.stores.sql.engine import open_engine
from gateway.stores.sql.transactions import OneHopConnection, reading, writing, writing_once
from tests.waiting import PATIENCE


class Counting(OneHopConnection):
    """Counts the crossings."""

    crossings = 0

    async def _execute(self, fn, *args, **kwargs):  # type: ignore[no-untyped-def]
        self.crossings += 1
        return await super()._execute(fn, *args, **kwargs)


async def opened(path: Path) -> Counting:
    connection = Counting(lambda: sqlite3.connect(path, isolation_level=None))
    await connection
    await (await connection.cursor().execute("CREATE TABLE IF NOT EXISTS t (n INTEGER)")).close()
    connection.crossings = 0
    return connection


async def test_a_transaction_of_one_statement_crosses_twice(tmp_path: Path) -> None:
    connection = await opened(tmp_path / "a.db")
    connection.opening = "BEGIN IMMEDIATE"
    cursor = await connection.cursor().execute("INSERT INTO t VALUES (1) RETURNING n")
    assert list(await cursor.fetchall()) == [(1,)]
    assert connection.in_transaction
    await connection.commit()
    assert connection.crossings == 2
    await connection.rollback()
    assert connection.crossings == 2, "nothing to roll back"
    await connection.close()


async def test_a_transaction_without_a_statement_crosses_never_and_begins_nothing_later(
    tmp_path: Path,
) -> None:
    connection = await opened(tmp_path / "a.db")
    for end in (connection.commit, connection.rollback):
        connection.opening = "BEGIN IMMEDIATE"
        await end()
        assert connection.crossings == 0
    await connection.cursor().execute("SELECT 1")
    assert not connection.in_transaction
    await connection.close()


async def test_what_was_under_way_when_its_task_was_cancelled_is_rolled_back(tmp_path: Path) -> None:
    connection = await opened(tmp_path / "a.db")
    connection.opening = "BEGIN IMMEDIATE"
    task = asyncio.create_task(connection.cursor().execute("INSERT INTO t VALUES (1)"))
    await asyncio.sleep(0)  # handed over, and not answered yet
    task.cancel()
    await connection.rollback()
    assert not connection.in_transaction
    assert list(await (await connection.cursor().execute("SELECT * FROM t")).fetchall()) == []
    await connection.close()


async def test_a_writer_that_is_cancelled_leaves_no_lock_behind(tmp_path: Path) -> None:
    engine = open_engine(f"sqlite:///{tmp_path / 'a.db'}")
    async with writing(engine) as connection:
        await connection.execute(text("CREATE TABLE t (n INTEGER)"))

    async def write() -> None:
        async with writing(engine) as connection:
            await connection.execute(text("INSERT INTO t VALUES (1)"))
            await asyncio.sleep(0)
            await connection.execute(text("INSERT INTO t VALUES (2)"))

    for steps in range(12):
        task = asyncio.create_task(write())
        for _ in range(steps):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        async with asyncio.timeout(PATIENCE), reading(engine) as connection:
            count = await connection.scalar(text("SELECT count(*) FROM t"))
        assert count % 2 == 0, "both rows or none"
    async with asyncio.timeout(PATIENCE), writing(engine) as connection:
        await connection.execute(text("INSERT INTO t VALUES (3)"))
    await engine.dispose()


async def test_one_statement_is_a_transaction_by_itself(tmp_path: Path) -> None:
    engine = open_engine(f"sqlite:///{tmp_path / 'a.db'}")
    async with writing(engine) as connection:
        await connection.execute(text("CREATE TABLE t (n INTEGER UNIQUE)"))
    async with writing_once(engine) as connection:
        raw = await connection.get_raw_connection()
        driver, seen = raw.driver_connection, list[str]()
        assert isinstance(driver, OneHopConnection)
        await driver.set_trace_callback(seen.append)
        assert list(await connection.execute(text("INSERT INTO t VALUES (1) RETURNING n"))) == [(1,)]
        assert not driver.in_transaction
        async with reading(engine) as other:
            assert await other.scalar(text("SELECT count(*) FROM t")) == 1, "others see it already"
    assert [one.split()[0] for one in seen] == ["INSERT"], "neither BEGIN nor COMMIT"
    await engine.dispose()


async def test_writers_of_one_statement_wait_for_a_transaction_to_end(tmp_path: Path) -> None:
    engine = open_engine(f"sqlite:///{tmp_path / 'a.db'}")

    async def write_once() -> None:
        async with writing_once(engine) as connection:
            await connection.execute(text("INSERT INTO t VALUES (2)"))

    async with writing(engine) as connection:
        await connection.execute(text("CREATE TABLE t (n INTEGER)"))
        waiting = asyncio.create_task(write_once())
        for _ in range(5):
            await asyncio.sleep(0)
        await connection.execute(text("INSERT INTO t VALUES (1)"))
    await waiting
    async with reading(engine) as connection:
        assert list(await connection.scalars(text("SELECT n FROM t ORDER BY rowid"))) == [1, 2]
    await engine.dispose()


async def test_an_error_in_a_transaction_takes_all_of_it_back(tmp_path: Path) -> None:
    engine = open_engine(f"sqlite:///{tmp_path / 'a.db'}")
    async with writing(engine) as connection:
        await connection.execute(text("CREATE TABLE t (n INTEGER UNIQUE)"))

    async def fail() -> None:
        async with writing(engine) as connection:
            await connection.execute(text("INSERT INTO t VALUES (1)"))
            raise LookupError

    with pytest.raises(LookupError):
        await fail()
    async with reading(engine) as connection:
        assert await connection.scalar(text("SELECT count(*) FROM t")) == 0
    await engine.dispose()
