"""People who ask for an account, on every database."""

import asyncio
from dataclasses import replace

from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.stores.protocols.registrations import Registration
from gateway.stores.sql.registrations import SqlRegistrations

MIRA = Registration(
    id="1",
    address="mira@harbour.test",
    name="Mira",
    phone="+4915112345670",
    lang="de",
    state="waiting",
    asked_at=1.0,
    expires_at=100.0,
)


async def test_an_address_has_one_request_until_it_ends_or_is_approved(engine: AsyncEngine) -> None:
    store = SqlRegistrations(engine)
    assert await store.add(MIRA)
    assert await store.get("1") == MIRA
    assert await store.of_address(MIRA.address, 99.0) == MIRA
    assert await store.of_address(MIRA.address, 100.0) is None
    assert not await store.add(replace(MIRA, id="2"))
    assert await store.decide("1", "waiting", "refused", "root", 5.0, 50.0)
    assert not await store.add(replace(MIRA, id="2", asked_at=49.0)), "who was refused asks again later"
    assert await store.add(replace(MIRA, id="2", asked_at=50.0))
    assert await store.decide("2", "waiting", "approved", "root", 51.0, 90.0)
    assert await store.add(replace(MIRA, id="3", asked_at=52.0))


async def test_a_decision_is_taken_once_and_in_time(engine: AsyncEngine) -> None:
    store = SqlRegistrations(engine)
    await store.add(MIRA)
    both = [store.decide("1", "waiting", what, "root", 5.0, 50.0) for what in ("approved", "refused")]
    assert sorted(await asyncio.gather(*both)) == [False, True]
    await store.add(replace(MIRA, id="2", address="otto@harbour.test"))
    assert not await store.decide("2", "waiting", "approved", "root", 100.0, 200.0)
    assert not await store.decide("nobody", "waiting", "approved", "root", 5.0, 50.0)


async def test_who_waits_is_listed_oldest_first_and_purged_by_time(engine: AsyncEngine) -> None:
    store = SqlRegistrations(engine)
    for number in (3, 1, 2):
        await store.add(
            replace(
                MIRA, id=str(number), address=f"{number}@h.test", asked_at=number, expires_at=10.0 * number
            )
        )
    await store.decide("2", "waiting", "refused", "root", 3.0, 20.0)
    assert [one.id for one in await store.waiting(5.0, limit=5)] == ["1", "3"]
    assert [one.id for one in await store.waiting(5.0, limit=1)] == ["1"]
    assert [one.id for one in await store.waiting(10.0, limit=5)] == ["3"]
    assert await store.purge(20.0) == 2
    assert await store.get("3") is not None
