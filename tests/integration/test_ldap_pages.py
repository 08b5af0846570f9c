"""Many users in LDAP: pages show what was read so far, and exports come as the server gives them. A real slapd."""

import asyncio
import threading
from collections.abc import Iterator, Sequence

import pytest

from gateway.directory import ldap_servers
from gateway.directory.base import Census, every, glance
from gateway.directory.ldap_entries import LdapEntry
from gateway.directory.persons import Persons
from tests.ldap_rig import FOLDERS, group, opened, person
from tests.ldap_service import Ldap, ldap_server
from tests.waiting import PATIENCE, until

NAMES = [f"user{number}" for number in range(9)]


@pytest.fixture(scope="module")
def ldap() -> Iterator[Ldap]:
    # Not in the order of names, and one that the server spells in another way.
    people = "".join(person("USER8" if name == "user8" else name, f"cn: {name}") for name in reversed(NAMES))
    with ldap_server(FOLDERS + people + group("admins", "user1")) as server:
        yield server


class Held:
    """A server that gives its first pages and no other until it may."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, pages: int, size: int) -> None:
        self.may_go_on, self.given = threading.Event(), 0
        self.fails = False
        monkeypatch.setattr(ldap_servers, "PAGE", size)
        ask = ldap_servers._ask

        def held(
            connection: object, base: str, question: str, attributes: Sequence[str], **how: object
        ) -> object:
            if "paged_size" in how:
                if self.given >= pages:
                    assert self.may_go_on.wait(PATIENCE)
                    if self.fails:
                        raise OSError("the server has gone")
                self.given += 1
            return ask(connection, base, question, attributes, **how)  # type: ignore[arg-type]

        monkeypatch.setattr(ldap_servers, "_ask", held)


async def test_a_page_shows_the_users_that_were_read_so_far_and_says_so(
    ldap: Ldap, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = Held(monkeypatch, pages=2, size=2)
    async with opened(ldap) as directory:
        persons = Persons(directory, lambda *_: asyncio.sleep(0, False))
        assert not (await glance(persons, limit=3)).census.complete
        await until(lambda: len(directory._listing.so_far("").names) == 4, "two pages are read")
        first = await glance(persons, limit=3)
        assert [user.username for user in first.users] == ["user5", "user6", "user7"]
        assert first.census == Census(4, 0, complete=False)
        assert [user.username for user in (await glance(persons, after="user6", limit=3)).users] == [
            "user7",
            "user8",
        ]
        held.may_go_on.set()
        assert [user.username for user in await persons.list(limit=9)] == NAMES
        whole = await glance(persons, after="user6", limit=3)
        assert [user.username for user in whole.users] == ["user7", "user8"]
        assert whole.census == await persons.count() == Census(9, 0)


async def test_a_list_that_breaks_off_is_told_once_and_read_again(
    ldap: Ldap, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    held = Held(monkeypatch, pages=1, size=2)
    async with opened(ldap) as directory:
        assert not (await directory.glance(limit=9)).census.complete
        held.fails = True
        held.may_go_on.set()
        await until(lambda: "could not be read" in caplog.text, "the failure is told")
        held.fails = False
        assert [user.username for user in await directory.list(limit=9)] == NAMES


async def test_an_export_has_its_first_users_before_the_last_are_read_and_each_once(
    ldap: Ldap, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = Held(monkeypatch, pages=1, size=2)
    async with opened(ldap) as directory:
        export = every(directory)
        names = [user.username for user in await anext(export)]
        assert names == ["user7", "user8"]
        assert not held.may_go_on.is_set()
        held.may_go_on.set()
        names += [user.username async for page in export for user in page]
        assert sorted(names) == NAMES


async def test_an_export_that_nobody_reads_to_its_end_lets_go_of_its_connection(ldap: Ldap) -> None:
    async with opened(ldap) as directory:
        export = directory.everyone()
        await anext(export)
        pages = export.ag_frame.f_locals["pages"]  # type: ignore[attr-defined]
        await export.aclose()  # type: ignore[attr-defined]
        await until(lambda: pages.gi_frame is None, "the search is over")


async def test_entries_of_one_name_are_one_user_of_an_export(
    ldap: Ldap, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(ldap) as directory:
        pages = directory._listing.pages

        def twice(search: str, attributes: Sequence[str]) -> Iterator[Sequence[LdapEntry]]:
            yield from pages(search, attributes)
            yield from pages(search, attributes)

        monkeypatch.setattr(directory._listing, "pages", twice)
        assert sorted([user.username async for page in every(directory) for user in page]) == NAMES
