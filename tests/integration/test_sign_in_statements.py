"""What a whole sign-in asks of the database: a bound, so that it does not grow unseen. SQLite itself counts."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiosqlite
from sqlalchemy import event

from tests.rig import Browser, Rig, running_gateway

MOST_STATEMENTS, MOST_COMMITS = 60, 15


@asynccontextmanager
async def counted(rig: Rig) -> AsyncIterator[list[str]]:
    """Every statement that the database runs meanwhile, BEGIN and COMMIT included."""
    engine, seen = rig.gateway.stores.engine, list[str]()

    def watch(connection: Any, _record: object) -> None:
        connection.run_async(lambda driver: traced(driver, seen.append))

    await engine.dispose()
    event.listen(engine.sync_engine, "connect", watch)
    async with engine.connect():
        """Connected anew, so that settings of a connection don't count."""
    seen.clear()
    yield seen
    event.remove(engine.sync_engine, "connect", watch)


async def traced(driver: aiosqlite.Connection, see: Callable[[str], None]) -> None:
    await driver.set_trace_callback(see)


async def settled(rig: Rig) -> None:
    """The audit rows are written behind the answers."""
    await rig.gateway.services.audit.flush()


async def signed_in(rig: Rig) -> Browser:
    """Four requests: two pages, password, code. The form says which factor it is for, as that of our page does."""
    browser = rig.browser()
    assert (await browser.password()).status == 303
    assert (await browser.code(method="sms")).status == 303
    await settled(rig)
    return browser


def writes(seen: list[str]) -> list[str]:
    """Transactions, and statements that are one by themselves."""
    commits, inside = [], False
    for statement in seen:
        word = statement.split(None, 1)[0].upper()
        if word == "BEGIN":
            inside = True
        elif word in ("COMMIT", "ROLLBACK"):
            inside = False
            commits.append(statement)
        elif not inside and word in ("INSERT", "UPDATE", "DELETE"):
            commits.append(statement)
    return commits


async def test_a_whole_sign_in_asks_little_of_the_database(tmp_path: Path) -> None:
    async with running_gateway(tmp_path) as rig:
        await rig.add_user()
        async with await signed_in(rig):
            """The first one also learns the place and the factor."""
        rig.clock.advance(120)
        async with counted(rig) as seen, await signed_in(rig):
            """The way out asks nothing more."""
    # Looking for changes is each worker's own round, whoever signs in; ends of transactions are counted beside.
    asked = [one for one in seen if "FROM changes" not in one and one not in ("COMMIT", "ROLLBACK")]
    assert len(writes(seen)) <= MOST_COMMITS, "\n".join(writes(seen))
    assert len(asked) <= MOST_STATEMENTS, "\n".join(asked)


async def test_reads_begin_no_transaction(tmp_path: Path) -> None:
    async with running_gateway(tmp_path) as rig:
        await rig.add_user()
        async with counted(rig) as seen:
            assert await rig.gateway.stores.sessions.list() == []
    assert any("FROM sessions" in one for one in seen)
    assert not [one for one in seen if one.startswith(("BEGIN", "ROLLBACK", "COMMIT"))]
