"""A hundred thousand users in a real slapd: each is found, lists have all, and nobody waits for a list. Run with -s."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from pathlib import Path

import pytest

from gateway.directory.base import Glance, every
from gateway.model import User
from tests.ldap_rig import FOLDERS, GROUPS, group, opened, person
from tests.ldap_service import Ldap, ldap_server
from tests.rig import PASSWORD

USERS, TEAM = 100_000, 500
NESTED = {"group_base_dn": GROUPS, "nested_groups": "search"}

pytestmark = [pytest.mark.long, pytest.mark.timeout(7200)]


@pytest.fixture(scope="module")
def ldap() -> Iterator[Ldap]:
    people = (person(f"user{n}", f"cn: Person {n}", f"mail: user{n}@example.com") for n in range(USERS))
    teams = [
        group(f"team{begin}", *(f"user{n}" for n in range(begin, begin + TEAM)))
        for begin in range(0, USERS, TEAM)
    ]
    everybody = group("everybody", *(f"cn=team{begin}" for begin in range(0, USERS, TEAM)))
    began = time.monotonic()
    with ldap_server("".join((FOLDERS, *people, *teams, everybody)), quick=True) as server:
        print(f"\nfilled in {time.monotonic() - began:.0f} s")
        yield server


def resident_mib() -> float:
    fields = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(fields["VmRSS"].split()[0]) / 1024


class Lag:
    """How long whoever sleeps for 5 ms in the event loop waits, in milliseconds: the longest.

    `own` counts only what this process computed meanwhile, so that a busy machine is not taken for a busy process.
    """

    def __init__(self) -> None:
        self.longest = self.own = 0.0

    async def watch(self) -> None:
        while True:
            began, computed = time.monotonic(), time.process_time()
            await asyncio.sleep(0.005)
            self.longest = max(self.longest, (time.monotonic() - began) * 1000)
            self.own = max(self.own, (time.process_time() - computed) * 1000)

    def told(self) -> str:
        said = f"the event loop woke up after {self.longest:.0f} ms, of which {self.own:.0f} ms were computing here"
        self.longest = self.own = 0.0
        return said


async def test_each_of_them_is_found_and_lists_have_all(ldap: Ldap) -> None:
    async with opened(ldap, **NESTED, timeout="60s") as directory:
        began = time.monotonic()
        for n in range(0, USERS, USERS // 50):
            user = await directory.get(f"user{n}")
            assert user is not None
            assert set(user.groups) == {f"team{n - n % TEAM}", "everybody"}
        print(f"lookup with nested groups: {(time.monotonic() - began) * 20:.1f} ms")
        assert await directory.authenticate("user77777", PASSWORD) is not None
        assert [user.username for user in await directory.with_email("user5@example.com")] == ["user5"]
        assert len(await directory.in_groups(["everybody"], limit=20)) == 20

        lag, before = Lag(), resident_mib()
        watching = asyncio.create_task(lag.watch())
        asks: tuple[tuple[str, Callable[[], Awaitable[Glance | Sequence[User]]]], ...] = (
            ("first page", lambda: directory.glance(limit=50)),
            ("first list", lambda: directory.list(limit=50)),
            ("page then", lambda: directory.glance(limit=50)),
            ("next list", lambda: directory.list(after="user5", limit=50)),
            ("last list", lambda: directory.list(after="user99998", limit=50)),
            ("search for one", lambda: directory.list("user77777", limit=50)),
        )
        for what, ask in asks:
            began = time.monotonic()
            found = await ask()
            took = time.monotonic() - began
            if isinstance(found, Glance):
                print(f"{what}: {took:.2f} s, of {found.census}; {lag.told()}")
                continue
            print(f"{what}: {took:.2f} s, {len(found)} users; {lag.told()}")
        assert isinstance(found, Sequence)
        assert [user.username for user in found] == ["user77777"]
        assert (await directory.count()).users == USERS
        watching.cancel()
        grown = resident_mib() - before
        print(f"memory: +{grown:.0f} MiB")
        assert grown < 200


async def test_an_export_has_each_of_them_once(ldap: Ldap) -> None:
    async with opened(ldap, timeout="60s") as directory:
        began, before = time.monotonic(), resident_mib()
        names: list[str] = []
        async for page in every(directory):
            if not names:
                print(f"\nfirst users of the export: {time.monotonic() - began:.1f} s")
            names += (user.username for user in page)
        print(f"export: {time.monotonic() - began:.0f} s, +{resident_mib() - before:.0f} MiB")
    assert sorted(names) == sorted(f"user{n}" for n in range(USERS))
