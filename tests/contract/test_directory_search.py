"""Finding users in the database: by name, address and group, in every spelling, page by page."""

import pytest

from gateway.directory.base import Census, every
from gateway.directory.database import DatabaseDirectory
from gateway.model import User

ALICE = User("alice", email="alice@example.com", groups=("staff", "ops"))


@pytest.mark.parametrize(
    ("search", "found"),
    [
        ("", ["alice", "bob", "carol"]),
        ("OPS", ["alice", "bob"]),
        ("example.org", ["carol"]),
        ("%", []),
        ("lic", ["alice"]),
    ],
)
async def test_list_searches_names_addresses_and_groups(
    directory: DatabaseDirectory, search: str, found: list[str]
) -> None:
    for user in (User("carol", email="c@example.org"), ALICE, User("bob", groups=("ops", "dev"))):
        await directory.add(user)
    assert [user.username for user in await directory.list(search, limit=9)] == found


async def test_users_come_page_by_page_and_are_counted(directory: DatabaseDirectory) -> None:
    for number in range(7):
        groups = ("staff",) if number % 2 else ()
        await directory.add(User(f"u{number}", name="Ö", groups=groups, disabled=number == 5))
    pages = [[user.username for user in page] async for page in every(directory)]
    assert pages == [[f"u{number}" for number in range(7)]]
    assert [one.username for one in await directory.list(limit=2)] == ["u0", "u1"]
    assert [one.username for one in await directory.list(after="u4", limit=2)] == ["u5", "u6"]
    assert [one.username for one in await directory.list("staff", after="u1", limit=2)] == ["u3", "u5"]
    assert [one.groups for one in await directory.list(after="u2", limit=1)] == [("staff",)]
    assert await directory.list(after="u6", limit=2) == []
    assert await directory.count() == Census(7, 1)
    assert await directory.count("staff") == Census(3, 1)
    assert await directory.count("nobody") == Census(0, 0)


async def test_members_of_groups_are_those_who_may_act(directory: DatabaseDirectory) -> None:
    for user in (
        User("a", groups=("x", "y")),
        User("b", groups=("y",), disabled=True),
        User("c", groups=("z",)),
    ):
        await directory.add(user)
    assert [one.username for one in await directory.in_groups(("x", "y", "z"), limit=9)] == ["a", "c"]
    assert [one.username for one in await directory.in_groups(("x", "y", "z"), limit=1)] == ["a"]
    assert await directory.in_groups(("nobody",), limit=9) == []
    assert await directory.in_groups((), limit=9) == []


@pytest.mark.parametrize(
    ("stored", "asked"),
    [
        ("Ann@Example.com", "ann@EXAMPLE.com"),
        ("ann@bücher.example", "ann@xn--bcher-kva.example"),
        ("ann@xn--bcher-kva.example", "ann@bücher.example"),
        ("jörg@example.com", "jörg@example.com"),
    ],
)
async def test_a_mail_address_is_found_in_every_spelling(
    directory: DatabaseDirectory, stored: str, asked: str
) -> None:
    await directory.add(User("ann", email=stored))
    await directory.add(User("other", email="annex@example.com"))
    assert [one.username for one in await directory.with_email(asked)] == ["ann"]


NAMES = {"ozgur": "Özgür Yılmaz", "emile": "Émile Zola", "lukasz": "Łukasz Nowak", "ivan": "Иван Петров"}


@pytest.mark.parametrize(
    ("username", "spellings"),
    [
        ("ozgur", ["Özgür", "özgür", "ÖZGÜR", "O\u0308zgu\u0308r", "ozgur yilmaz", "YILMAZ"]),
        ("emile", ["Émile", "émile", "ÉMILE", "emile", "E\u0301mile"]),
        ("lukasz", ["Łukasz", "łukasz", "ŁUKASZ", "Lukasz"]),
        ("ivan", ["Иван", "иван", "ИВАН", "петров"]),
    ],
)
async def test_people_are_found_in_every_spelling_and_case(
    directory: DatabaseDirectory, username: str, spellings: list[str]
) -> None:
    for number, name in enumerate(NAMES.values()):
        await directory.add(User(f"u{number}", name=name))
    wanted = f"u{list(NAMES).index(username)}"
    for spelling in spellings:
        assert [user.username for user in await directory.list(spelling, limit=9)] == [wanted], spelling
    await directory.replace(User(wanted, name="Somebody Else"))
    assert await directory.list(spellings[0], limit=9) == []
