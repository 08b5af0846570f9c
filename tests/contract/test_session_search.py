"""The contract of SessionSearch, on every database."""

from dataclasses import replace

import pytest
from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.model import SessionLifetimes, SessionRecord, shown_id
from gateway.stores.protocols.session_search import Alive
from gateway.stores.sql.schema import sessions as table
from gateway.stores.sql.session_search import SqlSessionSearch
from gateway.stores.sql.sessions import SqlSessions
from gateway.stores.sql.transactions import writing
from tests.contract.conftest import FakeClock

NOW = 10_000.0
LIVES = SessionLifetimes(3600.0, 12 * 3600.0)
ALIVE = Alive(NOW, LIVES)


def record(sid: str, seen: float, username: str = "alice", expires_at: float = NOW + 1) -> SessionRecord:
    return SessionRecord(
        sid=sid,
        username=username,
        amr=("password",),
        proven_at={"password": seen},
        created_at=seen,
        last_seen=seen,
        expires_at=expires_at,
    )


@pytest.fixture
async def search(engine: AsyncEngine, clock: FakeClock) -> SqlSessionSearch:
    """Five that live, three of them last used in the same moment, and two that have expired."""
    store = SqlSessions(engine, clock)
    for one in (
        record("old", NOW - 100),
        record("tie1", NOW - 50),
        record("tie2", NOW - 50, "bob"),
        record("tie3", NOW - 50),
        record("new", NOW - 1),
        record("over", NOW - 1, expires_at=NOW),
        record("idle", NOW - 3600),
    ):
        await store.put(one)
    return SqlSessionSearch(engine)


async def test_sessions_come_last_used_first_without_those_that_have_expired(
    search: SqlSessionSearch,
) -> None:
    found = [one.sid for one in await search.newest(ALIVE, 9)]
    assert (found[0], found[-1]) == ("new", "old")
    assert sorted(found[1:4]) == ["tie1", "tie2", "tie3"]
    assert await search.count(ALIVE) == 5
    mine = [one.sid for one in await search.newest(Alive(NOW, LIVES, "bob"), 9)]
    assert mine == ["tie2"]
    assert await search.count(Alive(NOW, LIVES, "bob")) == 1


async def test_kept_sessions_are_listed_without_use_as_long_as_sessions_are_kept(
    engine: AsyncEngine, clock: FakeClock
) -> None:
    store, search = SqlSessions(engine, clock), SqlSessionSearch(engine)
    await store.put(replace(record("kept", NOW - 5000, expires_at=NOW + 5000), kept=True))
    await store.put(replace(record("long", NOW - 9000, expires_at=NOW + 5000), kept=True))
    await store.put(record("unused", NOW - 5000))
    keeping = Alive(NOW, SessionLifetimes(3600.0, 7200.0, 8000.0))
    assert [one.sid for one in await search.newest(keeping, 9)] == ["kept"]
    assert await search.count(keeping) == 1
    assert await search.count(Alive(NOW, SessionLifetimes(3600.0, 7200.0))) == 0
    assert await search.count(Alive(NOW, SessionLifetimes(6000.0, 7200.0))) == 2, "no longer kept, but in use"


async def test_pages_follow_each_other_without_a_gap(search: SqlSessionSearch) -> None:
    every = await search.newest(ALIVE, 9)
    paged, last = [], None
    while page := await search.newest(ALIVE, 2, after=last):
        paged += page
        last = page[-1]
    assert paged == every
    assert await search.newest(ALIVE, 2, skip=3) == every[3:]


async def test_what_an_administrator_sees_leads_back_to_the_session(
    search: SqlSessionSearch, engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = await search.shown(shown_id("tie2"))
    assert found is not None
    assert (found.sid, found.username) == ("tie2", "bob")
    assert await search.shown(shown_id("gone")) is None
    assert await search.shown("") is None


async def test_sessions_that_older_code_wrote_are_found_as_well(
    search: SqlSessionSearch, engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.stores.sql.session_search._PAGE", 2)
    async with writing(engine) as connection:
        await connection.execute(update(table).values(shown=""))
    for sid in ("old", "tie1", "tie2", "tie3", "new"):
        found = await search.shown(shown_id(sid))
        assert found is not None
        assert found.sid == sid
    assert await search.shown(shown_id("gone")) is None
