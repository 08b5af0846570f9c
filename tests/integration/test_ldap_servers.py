"""Several LDAP servers, answers in pages, and what must never be sent to anybody: real slapds and some that lie."""

import asyncio
import socket
from collections.abc import Iterator

import pytest

from gateway.directory import ldap_servers
from gateway.directory.base import every
from gateway.errors import StoreUnavailable
from tests.ldap_rig import (
    BIND,
    EXTENDED,
    FOLDERS,
    PEOPLE,
    SEARCH,
    FakeServer,
    group,
    opened,
    person,
    serving,
    wired,
)
from tests.ldap_service import Ldap, ldap_server
from tests.rig import PASSWORD
from tests.waiting import until

NAMES = [f"user{number}" for number in range(7)]
elsewhere = socket.create_server(("127.0.0.1", 0))
elsewhere.setblocking(False)
REFERRAL = (
    f"dn: ou=elsewhere,{PEOPLE}\nobjectClass: referral\nobjectClass: extensibleObject\nou: elsewhere\n"
    f"ref: ldap://127.0.0.1:{elsewhere.getsockname()[1]}/{PEOPLE}\n\n"
)
TREE = (
    FOLDERS
    + "".join(person(name, f"cn: {name.upper()}") for name in NAMES)
    + group("staff", *NAMES)
    + REFERRAL
)


@pytest.fixture(scope="module")
def ldap() -> Iterator[Ldap]:
    with ldap_server(TREE) as server:
        yield server


def port_of(ldap: Ldap) -> int:
    return int(ldap.url.rpartition(":")[2])


async def test_a_server_that_fails_rests_and_is_used_again_when_it_answers(
    ldap: Ldap, caplog: pytest.LogCaptureFixture
) -> None:
    now = 0.0
    with wired(port_of(ldap)) as first, wired(port_of(ldap)) as second:
        async with opened(first, urls=[first.url, second.url]) as directory:
            servers = directory._servers
            servers._clock = lambda: now
            assert await directory.authenticate("user1", PASSWORD) is not None
            assert (first.connections, second.connections) == (2, 0)

            first.cut = True
            for _ in range(3):
                assert await directory.authenticate("user1", PASSWORD) is not None
                assert await directory.authenticate("user1", "wrong") is None
            assert second.connections > 2
            assert sum(" rests" in line for line in caplog.messages) == 1
            tried = first.connections

            now = ldap_servers.REST + 1
            assert await directory.get("user1") is not None
            await until(lambda: first.connections == tried + 1, "asked beside the request whether it is back")
            assert await directory.get("user1") is not None
            assert first.connections == tried + 1, "once"

            first.cut, now = False, now + ldap_servers.REST + 1
            assert await directory.get("user1") is not None
            await until(lambda: "answers again" in caplog.text)
            before = second.connections
            assert await directory.authenticate("user1", PASSWORD) is not None
            assert await directory.get("user1") is not None
            assert second.connections == before, "also the connection for searches is the first one's again"


async def test_one_that_is_busy_leaves_the_question_to_the_next(ldap: Ldap) -> None:
    with serving(FakeServer(codes={SEARCH: 51})) as busy:
        async with opened(ldap, urls=[busy.url, ldap.url]) as directory:
            assert await directory.get("user1") is not None
            assert busy.kinds().count(SEARCH) == 1
            assert await directory.get("user2") is not None
            assert busy.kinds().count(SEARCH) == 1, "it rests"


async def test_when_all_rest_all_are_asked(ldap: Ldap) -> None:
    with wired(port_of(ldap)) as first, wired(port_of(ldap)) as second:
        first.cut = second.cut = True
        async with opened(first, urls=[first.url, second.url]) as directory:
            with pytest.raises(StoreUnavailable):
                await directory.get("user1")
            second.cut = False
            assert await directory.get("user1") is not None


@pytest.mark.parametrize("code", [1, 2, 52])
async def test_a_server_without_starttls_gets_no_password(code: int) -> None:
    with serving(FakeServer(codes={EXTENDED: code})) as fake:
        async with opened(fake, starttls=True) as directory:
            with pytest.raises(StoreUnavailable):
                await directory.authenticate("user1", PASSWORD)
        assert fake.kinds() == [EXTENDED] * len(fake.asked)
        assert fake.asked
        assert BIND not in fake.kinds()


async def test_a_referral_is_not_followed(ldap: Ldap) -> None:
    """Whoever may write one would be told passwords by it."""
    async with opened(ldap, base_dn=f"ou=elsewhere,{PEOPLE}") as directory:
        with pytest.raises(StoreUnavailable, match="referral"):
            await directory.authenticate("user1", PASSWORD)
    async with opened(ldap) as directory:
        assert await directory.get("user1") is not None
        assert len(await directory.list(limit=20)) == len(NAMES)
    with pytest.raises(BlockingIOError):
        elsewhere.accept()


@pytest.mark.parametrize("size", [1, 3, 7, 500])
async def test_lists_and_counts_have_everybody_however_the_server_pages(
    ldap: Ldap, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    monkeypatch.setattr(ldap_servers, "PAGE", size)
    async with opened(ldap) as directory:
        assert [user.username for user in await directory.list(limit=99)] == NAMES
        assert [user.username for user in await directory.list(after="user2", limit=2)] == ["user3", "user4"]
        assert await directory.list(after="user6", limit=2) == []
        assert [user.username for user in await directory.list("USER5", limit=2)] == ["user5"]
        assert (await directory.count()).users == len(NAMES)
        assert (await directory.count("user6")).users == 1
        assert [user.username async for page in every(directory) for user in page] == NAMES


async def test_a_server_that_gives_a_part_only_is_named_and_people_sign_in_all_the_same(
    ldap: Ldap, caplog: pytest.LogCaptureFixture
) -> None:
    """slapd's `sizelimit`, here 5, holds for all but its root."""
    account = {"bind_dn": f"uid=user0,{PEOPLE}", "bind_password": PASSWORD}
    async with opened(ldap, **account) as directory:
        assert len(await directory.list(limit=99)) == 5
        assert "gives 5 users to directory.bind_dn and no more" in caplog.text
        found = await asyncio.gather(*(directory.authenticate(name, PASSWORD) for name in NAMES))
    assert [user.username for user in found if user] == NAMES
