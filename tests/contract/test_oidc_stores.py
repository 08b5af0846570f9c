"""Grants, consents and logins of the OpenID provider on every database."""

import asyncio
from dataclasses import replace

from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.model import SessionRecord
from gateway.stores.protocols.oidc import Consent, Grant, Login, RefreshToken
from gateway.stores.sql.oidc import SqlConsents, SqlGrants, SqlLogins
from gateway.stores.sql.sessions import SqlSessions
from tests.contract.conftest import FakeClock

GRANT = Grant("g", "web", "alice", 5.5, ("openid", "email"), {"acr": "2fa"}, 6.0, 100.0)


async def redeemed(engine: AsyncEngine, grant: Grant = GRANT) -> SqlGrants:
    store = SqlGrants(engine)
    await store.add(grant)
    assert await store.redeem(grant.id, 100.0, f"first-{grant.id}", 50.0)
    return store


def session(sid: str, started: float = 5.5, username: str = "alice") -> SessionRecord:
    return SessionRecord(sid, username, ("password",), {"password": started}, started, started, 1e12)


async def test_a_grant_is_redeemed_once(engine: AsyncEngine) -> None:
    store = SqlGrants(engine)
    await store.add(GRANT)
    assert await store.get("g") == GRANT
    results = await asyncio.gather(*(store.redeem("g", 200.0, f"r{n}", 90.0) for n in range(5)))
    assert sorted(results) == [False] * 4 + [True]
    assert await store.get("g") == replace(GRANT, expires_at=200.0, redeemed=True)
    assert not await store.redeem("unknown", 200.0, "", 0.0)


async def test_a_refresh_token_has_one_successor_and_more_only_within_the_grace(engine: AsyncEngine) -> None:
    store = await redeemed(engine)
    results = await asyncio.gather(*(store.rotate("first-g", 10.0, f"next{n}", 60.0) for n in range(5)))
    assert sorted(results) == [False] * 4 + [True]
    assert await store.refresh_token("first-g") == RefreshToken("g", 50.0, 10.0)
    assert await store.rotate("first-g", 15.0, "late", 60.0, grace=10.0)
    assert not await store.rotate("first-g", 20.0, "too-late", 60.0, grace=10.0)
    # One who looked at the clock before the first did, or whose clock is behind, comes a second time as well.
    assert not await store.rotate("first-g", 9.0, "behind", 60.0)
    assert await store.refresh_token("too-late") is None


async def test_ending_a_grant_ends_its_refresh_tokens(engine: AsyncEngine) -> None:
    store = await redeemed(engine)
    await redeemed(engine, replace(GRANT, id="h", client_id="other"))
    assert await store.end(username="alice", client_id="web") == 1
    assert await store.refresh_token("first-g") is None
    assert [grant.id for grant in await store.list("alice")] == ["h"]
    assert await store.purge(100.0) == 1


async def test_consents_are_brought_up_to_date(engine: AsyncEngine) -> None:
    store = SqlConsents(engine)
    await store.put(Consent("alice", "web", ("openid",), 1.0))
    wider = Consent("alice", "web", ("openid", "email"), 2.0)
    await store.put(wider)
    assert await store.get("alice", "web") == wider
    assert list(await store.list("alice")) == [wider]
    assert await store.remove("alice", "web")
    assert await store.get("alice", "web") is None


async def test_a_session_that_is_ended_takes_its_grants_along_and_its_apps_are_told(
    engine: AsyncEngine,
) -> None:
    grants, logins, sessions = await redeemed(engine), SqlLogins(engine), SqlSessions(engine, FakeClock(10.0))
    await redeemed(engine, replace(GRANT, id="other-session", session_started=7.0))
    await sessions.put(session("old"))
    await sessions.put(session("second", 7.0))
    await logins.note(Login("alice", 5.5, "web", 1e12))
    await sessions.put(session("new"))  # the same session under a new id, as after a second factor
    await sessions.delete("old")
    assert await grants.get("g") is not None
    assert list(await logins.due(10.0, 60.0)) == []
    await sessions.delete("new")
    assert await grants.get("g") is None
    assert await grants.get("other-session") is not None
    (due,) = await logins.due(10.0, 60.0)
    assert (due.username, due.client_id, due.tries) == ("alice", "web", 1)
    assert list(await logins.due(10.0, 60.0)) == []  # leased
    await logins.later(due, 20.0)
    assert [one.tries for one in await logins.due(20.0, 60.0)] == [2]
    await logins.done(due)
    assert list(await logins.due(1e9, 60.0)) == []


async def test_a_session_that_ends_in_its_own_time_ends_no_grant_and_tells_nobody(
    engine: AsyncEngine,
) -> None:
    grants, logins, sessions = await redeemed(engine), SqlLogins(engine), SqlSessions(engine, FakeClock(10.0))
    await sessions.put(session("s"))
    await logins.note(Login("alice", 5.5, "web", 90.0))
    assert await sessions.purge(2e12, 60.0) == 1
    assert await grants.get("g") is not None
    assert list(await logins.due(2e12, 60.0)) == []
    assert await logins.purge(90.0) == 1


async def test_ending_all_sessions_of_a_user_ends_what_outlived_older_ones_too(engine: AsyncEngine) -> None:
    grants, sessions = await redeemed(engine), SqlSessions(engine, FakeClock(10.0))
    await redeemed(engine, replace(GRANT, id="kept", session_started=9.0))
    await redeemed(engine, replace(GRANT, id="bob", username="bob"))
    await sessions.put(session("keep", 9.0))
    await sessions.delete_for_user("alice", keep="keep")
    assert [grant.id for grant in await grants.list("alice")] == ["kept"]
    await sessions.delete_for_user("alice")
    assert list(await grants.list("alice")) == []
    assert [grant.id for grant in await grants.list("bob")] == ["bob"]


async def test_of_all_workers_one_tells_an_app(engine: AsyncEngine) -> None:
    logins = SqlLogins(engine)
    await logins.note(Login("alice", 7.0, "web", 1e12))
    assert await logins.end("alice", "web", 10.0) == 1
    found = await asyncio.gather(*(logins.due(10.0, 60.0) for _ in range(5)))
    assert [repr(one.session_started) for due in found for one in due] == ["7.0"]
