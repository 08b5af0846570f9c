"""Remembered devices and places on every database."""

from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.stores.protocols.core import Device, Place
from gateway.stores.sql.devices import SqlDevices
from gateway.stores.sql.places import SqlPlaces


def device(id: str, username: str = "alice", expires_at: float = 100.0) -> Device:
    return Device(id, username, "Firefox\0", "203.0.113.1", 1.0, 1.0, expires_at)


async def test_a_device_is_kept_touched_and_removed_by_its_owner_only(engine: AsyncEngine) -> None:
    store = SqlDevices(engine)
    await store.add(device("a"))
    await store.touch("a", 9.0, "198.51.100.1")
    kept = await store.get("a")
    assert kept is not None
    assert (kept.user_agent, kept.ip, kept.last_used_at) == ("Firefox", "198.51.100.1", 9.0)
    assert not await store.remove("bob", "a")
    assert await store.remove("alice", "a")
    assert not await store.remove("alice", "a")
    assert await store.get("a") is None


async def test_devices_are_listed_and_removed_by_user_and_purged_by_time(engine: AsyncEngine) -> None:
    store = SqlDevices(engine)
    for one in (device("a"), device("b"), device("c", "bob"), device("d", "bob", 5.0)):
        await store.add(one)
    assert [one.id for one in await store.list()] == ["a", "b", "c", "d"]
    assert await store.purge(5.0) == 1
    assert await store.remove_for_user("alice") == 2
    assert [one.id for one in await store.list("bob")] == ["c"]


async def test_places_are_brought_up_to_date_newest_first_and_purged(engine: AsyncEngine) -> None:
    store = SqlPlaces(engine)
    here = Place("203.0.113.0/24", "laptop", "DE", 52.5, 13.4, 1.0)
    there = Place("198.51.100.0/24", "laptop", "", None, None, 2.0)
    back = Place("203.0.113.0/24", "laptop", "DE", 52.5, 13.4, 3.0)
    for place in (here, there, back):
        await store.put("alice", place)
    assert list(await store.of("alice")) == [back, there]
    assert await store.of("bob") == []
    assert await store.purge(3.0) == 1
    assert list(await store.of("alice")) == [back]
