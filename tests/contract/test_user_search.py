"""Finding users by what they have and did: the database and directories elsewhere answer alike."""

from dataclasses import replace
from itertools import product

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.directory.database import DatabaseDirectory
from gateway.directory.user_search import DatabaseUserSearch, DirectoryUserSearch
from gateway.model import User
from gateway.stores.protocols.core import AuditRow
from gateway.stores.protocols.user_search import FACTORS, SORTS, UserQuery, UserSearch
from gateway.stores.sql.audit_log import SqlAuditLog
from gateway.stores.sql.schema import credentials
from gateway.stores.sql.schema_sign_ins import sign_ins
from gateway.stores.sql.transactions import reading, writing

PEOPLE = (
    User("ada", name="Zoe", email="a@example.test", phone="+4915112345678", groups=("staff", "wiki")),
    User("ben", name="Ada", groups=("staff",), disabled=True),
    User("cat", name="ada", phone="+4915112345679"),
    User("dan", name="Bo", email="b@example.test"),
    User("eve", name="Bo", groups=("wiki",)),
)
HELD = {"ada": "totp", "dan": "second_phone", "eve": "recovery", "ben": "webauthn"}
LAST = {"ada": 500.0, "cat": 100.0, "dan": 900.0}


async def filled(directory: DatabaseDirectory, engine: AsyncEngine) -> None:
    await directory.add_all([await directory.prepared(one) for one in PEOPLE])
    rows = [
        {
            "id": name,
            "username": name,
            "kind": kind,
            "name": "",
            "secret": b"",
            "created_at": 0.0,
            "last_used_at": 0.0,
            "counter": 0,
        }
        for name, kind in HELD.items()
    ]
    async with writing(engine) as connection:
        await connection.execute(credentials.insert(), rows)
    await SqlAuditLog(engine).append([AuditRow(at, "login", name, "", {}) for name, at in LAST.items()])


@pytest.mark.parametrize("mail", [True, False])
async def test_both_kinds_of_directory_answer_alike(
    directory: DatabaseDirectory, engine: AsyncEngine, mail: bool
) -> None:
    await filled(directory, engine)
    here = DatabaseUserSearch(engine, mail=mail)
    elsewhere = DirectoryUserSearch(directory, engine, mail=mail)
    queries = [UserQuery(sort=sort, descending=down) for sort, down in product(SORTS, (False, True))]
    queries += [UserQuery(factors=factors) for factors in FACTORS]
    queries += [
        UserQuery(group="wiki"),
        UserQuery(disabled=True),
        UserQuery(disabled=False, search="staff"),
        UserQuery(idle_since=500.0),
        UserQuery(never=True),
        UserQuery(outside=("wiki", "other")),
        UserQuery(idle_since=500.0, factors="sms", sort="name"),
        UserQuery(search="example.test", sort="last_sign_in", descending=True),
    ]
    for query in queries:
        both = [await one.find(query, limit=10) for one in (here, elsewhere)]
        assert both[0].total == len(both[0].users)
        if query.sort == "created_at":
            both = [replace(one, users=[]) for one in both]
        assert both[0] == both[1], query
    assert [one.username for one in (await here.find(UserQuery(factors="none"), limit=9)).users] == []
    found = await here.find(UserQuery(factors="sms_alone"), limit=9)
    assert [one.username for one in found.users] == ["cat", "dan"]


async def test_pages_follow_one_another_in_every_order(
    directory: DatabaseDirectory, engine: AsyncEngine
) -> None:
    await filled(directory, engine)
    searches: list[UserSearch] = [
        DatabaseUserSearch(engine, mail=False),
        DirectoryUserSearch(directory, engine, mail=False),
    ]
    for search, sort, down in product(searches, SORTS, (False, True)):
        query = UserQuery(sort=sort, descending=down)
        whole = [one.username for one in (await search.find(query, limit=9)).users]
        walked, after = list[str](), ""
        while page := (await search.find(query, after=after, limit=2)).users:
            walked += [one.username for one in page]
            after = page[-1].username
        assert walked == whole
        assert sorted(walked) == [one.username for one in PEOPLE]


async def test_the_last_sign_in_moves_forward_only_and_goes_with_the_user(
    directory: DatabaseDirectory, engine: AsyncEngine
) -> None:
    await directory.add(PEOPLE[0])
    log = SqlAuditLog(engine)

    async def last() -> list[float]:
        async with reading(engine) as connection:
            return list(await connection.scalars(select(sign_ins.c.at)))

    await log.append([AuditRow(at, "login", "ada", "", {}) for at in (3.0, 5.0)])
    await log.append([AuditRow(4.0, "login", "ada", "", {}), AuditRow(9.0, "password_ok", "ada", "", {})])
    assert await last() == [5.0]
    await directory.delete("ada")
    assert await last() == []
