"""The contract of Sessions, on every database."""

import asyncio
from dataclasses import replace

import pytest
from sqlalchemy import delete, insert
from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.model import SessionRecord
from gateway.stores.protocols.core import Change
from gateway.stores.sql.purge import BATCH
from gateway.stores.sql.schema import sessions as table
from gateway.stores.sql.sessions import SqlChanges, SqlSessions, _row
from gateway.stores.sql.transactions import writing
from tests.contract.conftest import FakeClock


@pytest.fixture
def sessions(engine: AsyncEngine, clock: FakeClock) -> SqlSessions:
    return SqlSessions(engine, clock)


@pytest.fixture
def changes(engine: AsyncEngine) -> SqlChanges:
    return SqlChanges(engine)


def record(sid: str, username: str = "alice", at: float = 1000.0) -> SessionRecord:
    return SessionRecord(
        sid=sid,
        username=username,
        amr=("pwd", "sms"),
        proven_at={"pwd": at, "sms": at + 0.125},
        created_at=at,
        last_seen=at,
        expires_at=at + 3600,
        ip="192.0.2.7",
        user_agent="Mozilla/5.0 “Test”",
    )


async def test_a_record_comes_back_as_it_was_put(sessions: SqlSessions) -> None:
    await sessions.put(record("one"))
    assert await sessions.get("one") == record("one")
    assert await sessions.get("two") is None


async def test_put_replaces_a_record(sessions: SqlSessions) -> None:
    await sessions.put(record("one"))
    risen = replace(record("one"), amr=("pwd", "sms", "totp"), last_seen=1500.0)
    await sessions.put(risen)
    assert await sessions.get("one") == risen
    assert len(await sessions.list()) == 1


async def test_a_session_gets_a_new_id_once_and_only_while_it_lives(
    sessions: SqlSessions, changes: SqlChanges
) -> None:
    await sessions.put(record("one"))
    place = await changes.latest()
    both = await asyncio.gather(*(sessions.put(record(new), instead_of="one") for new in ("two", "three")))
    assert sorted(both) == [False, True]
    assert [found.sid for found in await sessions.list()] == ["two" if both[0] else "three"]
    assert Change("session", "one") in (await changes.since(place))[1]
    assert not await sessions.put(record("four"), instead_of="never")
    assert await sessions.get("four") is None


async def test_a_session_is_bound_to_one_key_which_every_worker_hears_of(
    sessions: SqlSessions, changes: SqlChanges
) -> None:
    await sessions.put(record("one"))
    place = await changes.latest()
    both = await asyncio.gather(*(sessions.bind("one", id, f"key {id}") for id in ("a", "b")))
    assert sorted(both) == [False, True]
    bound = await sessions.get("one")
    assert bound is not None
    assert bound.device_key == f"key {bound.device_id}"
    assert bound.device_at > 0
    assert await sessions.bound_to(bound.device_id) == bound
    assert (await changes.since(place))[1] == [Change("binding", "one")]
    assert not await sessions.bind("never", "c", "key c")
    for nobody in ("", "c"):
        assert await sessions.bound_to(nobody) is None


async def test_a_key_that_was_registered_meanwhile_is_not_lost_with_a_new_id(sessions: SqlSessions) -> None:
    await sessions.put(record("one"))
    read_before = record("two")
    await sessions.bind("one", "a", "key a")
    await sessions.put(read_before, instead_of="one")
    risen = await sessions.bound_to("a")
    assert risen is not None
    assert (risen.sid, risen.device_key) == ("two", "key a")
    await sessions.put(record("three", username="bob"), instead_of="two")
    assert await sessions.bound_to("a") is None  # nor is it given to somebody else


async def test_no_session_escapes_its_end_under_a_new_id(engine: AsyncEngine, sessions: SqlSessions) -> None:
    await sessions.put(record("one"))
    async with writing(engine) as connection:  # it is getting a new id, not yet committed ...
        await connection.execute(delete(table).where(table.c.sid == "one"))
        await connection.execute(insert(table).values(_row(record("two"))))
        ending = asyncio.create_task(sessions.delete_for_user("alice"))
        await asyncio.sleep(0.2)  # ... when all sessions of the user are ended
    assert await ending == 1
    assert await sessions.list() == []


async def test_a_user_agent_with_nul_is_stored_without_it(sessions: SqlSessions) -> None:
    await sessions.put(replace(record("one"), user_agent="a\0b"))
    stored = await sessions.get("one")
    assert stored is not None
    assert stored.user_agent == "ab"


async def test_touch_moves_last_seen_forward_only(sessions: SqlSessions) -> None:
    await sessions.put(record("one"))
    await sessions.touch("one", 1200.0)
    await sessions.touch("one", 1100.0)
    await sessions.touch("missing", 1100.0)
    stored = await sessions.get("one")
    assert stored is not None
    assert stored.last_seen == 1200.0


async def test_deleting_tells_whether_there_was_one_and_publishes_it(
    sessions: SqlSessions, changes: SqlChanges
) -> None:
    await sessions.put(record("one"))
    cursor = await changes.latest()
    assert await sessions.delete("one")
    assert not await sessions.delete("one")
    assert await sessions.get("one") is None
    assert (await changes.since(cursor))[1] == [Change("session", "one")]


async def test_a_users_sessions_end_but_the_kept_one_and_other_peoples(
    sessions: SqlSessions, changes: SqlChanges
) -> None:
    for sid, username in (("a1", "alice"), ("a2", "alice"), ("a3", "alice"), ("b1", "bob")):
        await sessions.put(record(sid, username))
    assert await sessions.delete_for_user("alice", keep="a2") == 2
    assert [one.sid for one in await sessions.list()] == ["a2", "b1"]
    assert {change.subject for change in (await changes.since(0))[1]} == {"a1", "a3"}
    assert await sessions.delete_for_user("alice") == 1


async def test_list_gives_one_users_sessions_oldest_first(sessions: SqlSessions) -> None:
    await sessions.put(record("new", at=2000.0))
    await sessions.put(record("old", at=1000.0))
    await sessions.put(record("other", "bob"))
    assert [one.sid for one in await sessions.list("alice")] == ["old", "new"]
    assert await sessions.list("nobody") == []


async def test_purge_drops_what_is_over_or_idle_and_publishes_nothing(
    sessions: SqlSessions, changes: SqlChanges
) -> None:
    await sessions.put(replace(record("over", at=1000.0), expires_at=2000.0, last_seen=1990.0))
    await sessions.put(replace(record("idle", at=1000.0), expires_at=9000.0, last_seen=1400.0))
    await sessions.put(replace(record("good", at=1000.0), expires_at=9000.0, last_seen=1401.0))
    await sessions.put(replace(record("kept", at=1001.0), expires_at=9000.0, last_seen=1001.0, kept=True))
    await sessions.put(replace(record("once", at=1001.0), expires_at=2000.0, last_seen=1990.0, kept=True))
    assert await sessions.purge(2000.0, idle_timeout=600.0) == 3
    assert [one.sid for one in await sessions.list()] == ["good", "kept"]
    assert list((await changes.since(0))[1]) == [], "a million at once would be read by every worker"


async def test_many_sessions_are_purged_in_batches_and_one_in_use_meanwhile_stays(
    sessions: SqlSessions, engine: AsyncEngine
) -> None:
    rows = [_row(replace(record(f"s{number}", at=1.0), expires_at=1e9)) for number in range(2 * BATCH + 1)]
    async with writing(engine) as connection:
        await connection.execute(insert(table), rows)
    await sessions.put(replace(record("good"), last_seen=5000.0, expires_at=1e9))
    assert await sessions.share(1e4, idle_timeout=6000.0) == (2 * BATCH + 1, 2 * BATCH + 2)
    purging = asyncio.create_task(sessions.purge(1e4, idle_timeout=6000.0))
    while await sessions.get("s0") is not None:  # the first batch
        await asyncio.sleep(0)
    await sessions.touch(f"s{2 * BATCH}", 4500.0)
    assert await purging == 2 * BATCH
    assert {one.sid for one in await sessions.list()} == {"good", f"s{2 * BATCH}"}
