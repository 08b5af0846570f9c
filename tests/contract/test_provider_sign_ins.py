"""Sessions that began at identity providers, on every database: found by what the provider says, gone with them."""

from dataclasses import replace

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.model import SessionRecord
from gateway.stores.protocols.provider_sign_ins import ProviderSignIn
from gateway.stores.sql.provider_sign_ins import SqlProviderSignIns
from gateway.stores.sql.sessions import SqlSessions
from tests.contract.conftest import FakeClock

BEGAN = ProviderSignIn("alice", 5.5, "corp", "s1", "p1", b"sealed", 6.0)


def session(sid: str, started: float = 5.5, username: str = "alice") -> SessionRecord:
    return SessionRecord(sid, username, ("federated",), {"federated": started}, started, started, 1e12)


@pytest.fixture
async def stores(engine: AsyncEngine, clock: FakeClock) -> tuple[SqlProviderSignIns, SqlSessions]:
    """Two sessions of alice at corp, one of bob there, and one of alice at another provider, who is `s1` there, too."""
    sign_ins, sessions = SqlProviderSignIns(engine), SqlSessions(engine, clock)
    for sid, sign_in in (
        ("a1", BEGAN),
        ("a2", replace(BEGAN, session_started=7.25, provider_sid="p2")),
        ("a3", replace(BEGAN, session_started=8.0, provider_sid="")),
        ("b1", replace(BEGAN, username="bob", subject="s2", provider_sid="p3")),
        ("a4", replace(BEGAN, session_started=9.0, provider="partner")),
    ):
        await sessions.put(session(sid, sign_in.session_started, sign_in.username))
        await sign_ins.put(sign_in)
    return sign_ins, sessions


@pytest.mark.parametrize(
    ("subject", "sid", "found"),
    [
        ("", "p1", ["a1"]),
        ("s1", "p1", ["a1", "a3"]),  # of a3 nobody knows which of the account's sessions it is
        ("s2", "p1", []),
        ("s1", "", ["a1", "a2", "a3"]),
        ("s2", "", ["b1"]),
        ("", "p9", []),
    ],
)
async def test_the_provider_names_its_session_or_the_account(
    stores: tuple[SqlProviderSignIns, SqlSessions], subject: str, sid: str, found: list[str]
) -> None:
    there = await stores[0].sessions("corp", subject=subject, sid=sid)
    assert [one.sid for one in there] == found
    assert {one.username for one in there} <= {"alice", "bob"}


async def test_nothing_named_is_never_everything(stores: tuple[SqlProviderSignIns, SqlSessions]) -> None:
    with pytest.raises(ValueError, match="neither"):
        await stores[0].sessions("corp", subject="", sid="")


async def test_a_session_that_gets_a_new_id_keeps_them_and_its_end_takes_them(
    stores: tuple[SqlProviderSignIns, SqlSessions],
) -> None:
    sign_ins, sessions = stores
    await sessions.put(session("a1-risen"), instead_of="a1")
    assert [one.sid for one in await sign_ins.sessions("corp", subject="", sid="p1")] == ["a1-risen"]
    assert await sign_ins.of_session("alice", 5.5) == [BEGAN]
    await sessions.delete("a1-risen")
    assert await sign_ins.of_session("alice", 5.5) == []
    assert len(await sign_ins.of_session("alice", 7.25)) == 1
    await sessions.delete_for_user("alice", keep="a2")
    assert await sign_ins.of_session("alice", 8.0) == []
    assert len(await sign_ins.of_session("alice", 7.25)) == 1
    assert [one.sid for one in await sign_ins.sessions("corp", subject="s2", sid="")] == ["b1"]


async def test_the_newest_sign_in_of_a_session_comes_first_and_one_of_a_provider_is_kept(
    stores: tuple[SqlProviderSignIns, SqlSessions],
) -> None:
    sign_ins, _ = stores
    later = replace(BEGAN, provider="partner", at=7.0)
    await sign_ins.put(later)
    again = replace(BEGAN, provider_sid="p7", id_token=b"", at=8.0)
    await sign_ins.put(again)
    assert await sign_ins.of_session("alice", 5.5) == [again, later]


async def test_what_is_left_of_old_sessions_is_dropped(
    stores: tuple[SqlProviderSignIns, SqlSessions],
) -> None:
    sign_ins, _ = stores
    assert await sign_ins.purge(5.5) == 2
    assert await sign_ins.of_session("alice", 5.5) == []
    assert len(await sign_ins.of_session("alice", 7.25)) == 1
