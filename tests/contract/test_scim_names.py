"""What programs that speak SCIM know users and groups by, on every database."""

import asyncio
from dataclasses import replace

from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.config.sections.passwords import PasswordRules
from gateway.directory.database import DatabaseDirectory
from gateway.directory.password_hashing import PasswordHashing
from gateway.model import User
from gateway.stores.sql.scim import SqlProvisionedNames


async def test_a_name_has_one_id_whoever_asks_first(engine: AsyncEngine) -> None:
    names = SqlProvisionedNames(engine)
    wanted = [f"user{number}" for number in range(1500)]
    both = await asyncio.gather(names.of("user", wanted, 1.0), names.of("user", wanted[::-1], 2.0))
    assert {name: one.id for name, one in both[0].items()} == {name: one.id for name, one in both[1].items()}
    assert len({one.id for one in both[0].values()}) == 1500
    group = (await names.of("group", ["user1"], 3.0))["user1"]
    assert group.id != both[0]["user1"].id
    assert await names.by_id("user", group.id) is None
    assert await names.by_id("group", group.id) == group


async def test_what_is_kept_is_found_and_a_name_that_is_forgotten_gets_another_id(
    engine: AsyncEngine,
) -> None:
    names = SqlProvisionedNames(engine)
    known = (await names.of("group", ["crew"], 1.0))["crew"]
    kept = replace(known, name="Crew 2", external_id="g-1", resource='{"a": "\\u0000"}', changed_at=5.0)
    await names.keep(kept, "crew")
    assert await names.by_id("group", known.id) == kept
    assert await names.by_external_id("group", "g-1") == [kept]
    assert await names.by_external_id("user", "g-1") == []
    await names.forget("group", "Crew 2")
    assert await names.by_id("group", known.id) is None
    assert (await names.of("group", ["Crew 2"], 6.0))["Crew 2"].id != known.id


async def test_users_and_groups_are_told_in_order_and_what_a_user_had_goes_with_them(
    engine: AsyncEngine,
) -> None:
    names = SqlProvisionedNames(engine)
    directory = DatabaseDirectory(engine, PasswordHashing(PasswordRules()), lambda: 1.0)
    for name, groups in (("otto", ("crew",)), ("mira", ("crew", "watch")), ("anna", ())):
        await directory.add(User(name, groups=groups))
    await names.of("group", ["empty"], 1.0)
    assert list(await names.usernames(0, 2)) == ["anna", "mira"]
    assert list(await names.usernames(2, 2)) == ["otto"]
    assert list(await names.groups()) == ["crew", "empty", "watch"]
    assert list(await names.members("crew")) == ["mira", "otto"]
    before = (await names.of("user", ["mira"], 1.0))["mira"]
    await directory.delete("mira")
    assert await names.by_id("user", before.id) is None
    assert list(await names.groups()) == ["crew", "empty"]
