"""What is asked of big tables is found by an index: SQLite says how it would look for it."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import event, text
from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.config.schema import PasswordRules
from gateway.directory.database import DatabaseDirectory
from gateway.directory.password_hashing import PasswordHashing
from gateway.model import SessionLifetimes
from gateway.stores.protocols.audit import AuditQuery
from gateway.stores.protocols.session_search import Alive
from gateway.stores.sql.audit_log import SqlAuditLog
from gateway.stores.sql.audit_search import SqlAuditSearch
from gateway.stores.sql.ledger import SqlLedger
from gateway.stores.sql.session_search import SqlSessionSearch
from gateway.stores.sql.sessions import SqlSessions
from gateway.stores.sql.transactions import reading
from tests.contract.conftest import FakeClock

_SMALL = re.compile("CONSTANT ROW|subquery")
Asked = list[tuple[str, object]]


@contextmanager
def statements(engine: AsyncEngine) -> Iterator[Asked]:
    asked: Asked = []

    def note(connection: object, cursor: object, statement: str, parameters: object, *_: object) -> None:
        asked.append((statement, parameters))

    event.listen(engine.sync_engine, "before_cursor_execute", note)
    yield asked
    event.remove(engine.sync_engine, "before_cursor_execute", note)


async def scans(engine: AsyncEngine, asked: Asked) -> list[str]:
    """Steps that read a whole table, of each statement; the first rows in the order of an index are not the whole."""
    found: list[str] = []
    async with reading(engine) as connection:
        for statement, parameters in asked:
            plan = [
                row[3]
                for row in await connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
            ]
            ordered = "LIMIT" in statement and not any("TEMP B-TREE" in step for step in plan)
            whole = [step for step in plan if step.startswith("SCAN") and not _SMALL.search(step)]
            found += [f"{step}: {statement}" for step in whole if not ordered]
    return found


@pytest.fixture
def engine(engine: AsyncEngine) -> AsyncEngine:
    if engine.dialect.name != "sqlite":
        pytest.skip("PostgreSQL chooses by what is in the tables")
    return engine


async def test_no_big_table_is_read_whole(engine: AsyncEngine, clock: FakeClock) -> None:
    hashing = PasswordHashing(PasswordRules())
    directory = DatabaseDirectory(engine, hashing, clock)
    audit, log, sessions = SqlAuditSearch(engine), SqlAuditLog(engine), SqlSessionSearch(engine)
    alive = Alive(clock(), SessionLifetimes(3600.0, 12 * 3600.0))
    async with reading(engine) as connection:
        await connection.execute(text("SELECT 1"))
    with statements(engine) as asked:
        await audit.newest(AuditQuery(), 10)
        await audit.newest(AuditQuery(text="x", since=1.0, until=clock()), 10)
        await audit.newest(AuditQuery(username="alice"), 10)
        await audit.counts([0.0, 1.0], ("login",))
        await log.share(1.0)
        await log.tail(10)
        await sessions.newest(alive, 10, skip=20)
        await sessions.count(alive)
        keeping = Alive(clock(), SessionLifetimes(3600.0, 12 * 3600.0, 30 * 86400.0))
        await sessions.newest(keeping, 10, skip=20)
        await sessions.count(keeping)
        await sessions.shown("x" * 32)
        await SqlSessions(engine, clock).purge(clock(), 3600.0)
        await SqlLedger(engine, clock).purge(clock())
        await directory.list(after="x", limit=10)
        await directory.with_email("a@example.com")
        await directory.in_groups(("admins",), limit=2)
    hashing.close()
    assert len(asked) > 14
    assert await scans(engine, asked) == []
