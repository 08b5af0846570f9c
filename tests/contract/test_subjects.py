"""What apps call users by is kept per person, on both databases, and names that apps know outlive the upgrade."""

import asyncio
from pathlib import Path

import pytest
from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.stores.protocols.core import Credential
from gateway.stores.sql.credentials import SqlCredentials
from gateway.stores.sql.dump import dump, load
from gateway.stores.sql.engine import open_engine
from gateway.stores.sql.migrate import _upgrade, migrate
from gateway.stores.sql.schema import subjects, users
from gateway.stores.sql.schema_oidc import oidc_consents
from gateway.stores.sql.subjects import SqlSubjects
from gateway.stores.sql.transactions import reading, writing


async def test_a_person_who_takes_over_a_name_in_the_directory_is_another_subject(
    engine: AsyncEngine,
) -> None:
    """LDAP and files delete users without telling us; the entry's own id tells them apart."""
    store = SqlSubjects(engine)
    unknown = await store.of("temp", "")
    assert await store.of("temp", "uuid-1") == unknown, "who was here before the directory had ids"
    assert await store.of("temp", "uuid-1") == unknown
    other = await store.of("temp", "uuid-2")
    assert other != unknown
    assert await store.of("temp", "uuid-2") == other
    assert await store.of("temp", "uuid-1") not in (unknown, other), "never given again"


async def test_factors_are_put_aside_and_come_back_with_the_person(engine: AsyncEngine) -> None:
    """As when a directory was restored with other ids, and then with its own."""
    store, credentials = SqlSubjects(engine), SqlCredentials(engine, bytes, bytes)
    assert not await store.passes("temp", "uuid-1")
    await credentials.add(Credential("c1", "temp", "totp", "App", b"secret", 1.0))
    assert await store.passes("temp", "uuid-2")
    assert not await store.passes("temp", "uuid-2")
    assert await credentials.list("temp") == []
    await credentials.add(Credential("c2", "temp", "totp", "Other", b"other", 1.0))
    assert await store.passes("temp", "uuid-1")
    assert [one.id for one in await credentials.list("temp")] == ["c1"]


async def test_the_secret_of_pairwise_subjects_is_one_and_comes_along_with_a_backup(
    engine: AsyncEngine, tmp_path: Path
) -> None:
    found = await asyncio.gather(*(SqlSubjects(engine).secret() for _ in range(5)))
    assert len(set(found)) == 1
    assert len(found[0]) == 32
    pieces = [piece async for piece in dump(engine)]
    other = open_engine(f"sqlite:///{tmp_path / 'other.db'}")
    await migrate(other)
    assert await SqlSubjects(other).secret() != found[0], "a place that was started before it was restored"
    async with writing(other) as connection:
        await load(connection, iter(pieces))
    assert await SqlSubjects(other).secret() == found[0]
    await other.dispose()


async def test_of_several_who_see_it_at_once_one_hears_that_the_name_passed(engine: AsyncEngine) -> None:
    store = SqlSubjects(engine)
    await store.passes("temp", "uuid-1")
    heard = await asyncio.gather(*(store.passes("temp", "uuid-2") for _ in range(5)))
    assert sorted(heard) == [False] * 4 + [True]


@pytest.mark.parametrize("known", [True, False], ids=["apps know users", "no app does"])
async def test_users_whom_apps_know_by_name_keep_it_through_the_upgrade(empty_url: str, known: bool) -> None:
    engine = open_engine(empty_url)
    async with writing(engine, "EXCLUSIVE") as connection:
        await connection.run_sync(_upgrade, "0014")
        fields = {"name": "", "email": "", "phone": "", "disabled": False, "password_hash": ""}
        times = {"password_changed_at": 0.0, "created_at": 0.0}
        await connection.execute(insert(users).values(username="alice", **fields, **times))
        if known:
            consent = {"username": "fromldap", "client_id": "web", "scopes": "[]", "created_at": 0.0}
            await connection.execute(insert(oidc_consents).values(consent))
    await migrate(engine)
    async with reading(engine) as connection:
        rows = (await connection.execute(select(subjects.c.username, subjects.c.subject))).all()
    assert {row.username: row.subject for row in rows} == (
        {"alice": "alice", "fromldap": "fromldap"} if known else {}
    )
    await engine.dispose()
