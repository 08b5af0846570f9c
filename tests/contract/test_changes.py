"""The contract of Changes, on every database, and that no change is ever stepped over."""

import asyncio

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.session.reading import follow
from gateway.stores.protocols.core import Change
from gateway.stores.sql.sessions import SqlChanges, publish
from gateway.stores.sql.transactions import writing
from tests.contract.conftest import FakeClock


@pytest.fixture
def changes(engine: AsyncEngine) -> SqlChanges:
    return SqlChanges(engine)


async def add(engine: AsyncEngine, at: float, *subjects: str) -> None:
    async with writing(engine) as connection:
        await publish(connection, at, *(Change("user", subject) for subject in subjects))


async def test_a_follower_reads_each_change_once_in_order(engine: AsyncEngine, changes: SqlChanges) -> None:
    await add(engine, 1.0, "before")
    cursor = await changes.latest()
    await add(engine, 1.0, "a", "b")
    await add(engine, 1.0, "c")
    cursor, found = await changes.since(cursor)
    assert [change.subject for change in found] == ["a", "b", "c"]
    assert await changes.since(cursor) == (cursor, [])


async def test_purge_drops_old_changes_and_followers_still_hear_new_ones(
    engine: AsyncEngine, changes: SqlChanges, clock: FakeClock
) -> None:
    await add(engine, clock(), "a", "b", "c")
    cursor = await changes.latest()
    clock.advance(3601)
    assert await changes.purge(clock(), keep=3600) == 3
    assert (await changes.since(cursor))[1] == []
    await add(engine, clock(), "d")
    assert (await changes.since(cursor))[1] == [Change("user", "d")]


async def test_a_rolled_back_transaction_publishes_nothing(engine: AsyncEngine, changes: SqlChanges) -> None:
    async def fail() -> None:
        async with writing(engine) as connection:
            await publish(connection, 1.0, Change("user", "a"))
            raise LookupError

    with pytest.raises(LookupError):
        await fail()
    assert await changes.since(0) == (0, [])


async def test_a_follower_never_steps_over_a_change_that_commits_late(
    engine: AsyncEngine, changes: SqlChanges
) -> None:
    heard: list[str] = []
    written = asyncio.Event()

    async def follow() -> None:
        cursor = 0
        while True:
            done = written.is_set()
            cursor, found = await changes.since(cursor)
            heard.extend(change.subject for change in found)
            if done and not found:
                return

    async def slow_writer(number: int) -> None:
        async with writing(engine) as connection:
            await publish(connection, 1.0, Change("user", str(number)))
            await asyncio.sleep(0.02 if number % 3 == 0 else 0)

    follower = asyncio.create_task(follow())
    await asyncio.gather(*(slow_writer(number) for number in range(20)))
    written.set()
    await follower
    assert sorted(heard, key=int) == [str(number) for number in range(20)]


async def test_a_flood_of_changes_is_heard_in_turns_and_without_a_pause(
    engine: AsyncEngine, changes: SqlChanges, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.stores.sql.sessions.CHANGES_AT_ONCE", 3)
    monkeypatch.setattr("gateway.session.reading.CHANGES_AT_ONCE", 3)
    heard: list[str] = []
    done = asyncio.Event()
    started = asyncio.Event()

    def hear(change: Change) -> None:
        heard.append(change.subject)
        if len(heard) == 7:
            done.set()

    following = asyncio.create_task(follow(changes, interval=0.05, start=started.set, hear=hear))
    await started.wait()
    names = [f"u{number}" for number in range(7)]
    await add(engine, 1.0, *names)
    assert [len((await changes.since(cursor))[1]) for cursor in (0, 3, 6)] == [3, 3, 1]
    async with asyncio.timeout(60):
        await done.wait()
    following.cancel()
    assert heard == names
