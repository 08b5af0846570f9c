"""The contract of Ledger, on every database."""

import asyncio

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.errors import StoreUnavailable
from gateway.stores.engine import open_engine
from gateway.stores.ledger import SqlLedger
from tests.contract import race
from tests.contract.conftest import FakeClock


@pytest.fixture
def ledger(engine: AsyncEngine, clock: FakeClock) -> SqlLedger:
    return SqlLedger(engine, clock)


async def test_a_counter_counts_up_and_knows_when_it_ends(ledger: SqlLedger, clock: FakeClock) -> None:
    assert [await ledger.hit("tries:alice", 60), await ledger.hit("tries:alice", 60, 2)] == [1, 3]
    clock.advance(20)
    assert await ledger.count("tries:alice") == (3, 40.0)
    assert await ledger.count("tries:bob") == (0, 0.0)


async def test_a_counter_starts_again_after_its_window_which_later_hits_do_not_stretch(
    ledger: SqlLedger, clock: FakeClock
) -> None:
    await ledger.hit("k", 60)
    clock.advance(59)
    assert await ledger.hit("k", 60) == 2
    clock.advance(1)
    assert await ledger.count("k") == (0, 0.0)
    assert await ledger.hit("k", 60) == 1
    assert await ledger.count("k") == (1, 60.0)


async def test_a_claim_succeeds_once_until_it_ends(ledger: SqlLedger, clock: FakeClock) -> None:
    assert await ledger.claim_once("step", 30)
    assert not await ledger.claim_once("step", 30)
    clock.advance(29.9)
    assert not await ledger.claim_once("step", 30)
    clock.advance(0.1)
    assert await ledger.claim_once("step", 30)
    assert await ledger.claim_once("another", 30)


async def test_a_value_is_there_until_it_ends_and_put_replaces_it(
    ledger: SqlLedger, clock: FakeClock
) -> None:
    await ledger.put("c", b"one", 30)
    await ledger.put("c", b"\0two", 60)
    clock.advance(59)
    assert await ledger.get("c") == b"\0two"
    clock.advance(1)
    assert await ledger.get("c") is None


async def test_a_taken_value_is_gone(ledger: SqlLedger) -> None:
    await ledger.put("c", b"code", 60)
    assert await ledger.take("c") == b"code"
    assert await ledger.take("c") is None
    assert await ledger.get("c") is None


async def test_an_expired_value_can_not_be_taken(ledger: SqlLedger, clock: FakeClock) -> None:
    await ledger.put("c", b"code", 60)
    clock.advance(60)
    assert await ledger.take("c") is None


async def test_taking_a_counter_neither_yields_nor_resets_it(ledger: SqlLedger) -> None:
    await ledger.hit("k", 60)
    assert await ledger.take("k") is None
    assert await ledger.hit("k", 60) == 2


async def test_a_counter_on_the_key_of_an_expired_value_does_not_revive_the_value(
    ledger: SqlLedger, clock: FakeClock
) -> None:
    await ledger.put("k", b"old", 10)
    clock.advance(10)
    await ledger.hit("k", 60)
    assert await ledger.get("k") is None


async def test_delete_drops_values_and_counters(ledger: SqlLedger) -> None:
    await ledger.put("c", b"code", 60)
    await ledger.hit("k", 60)
    for key in ("c", "k", "missing"):
        await ledger.delete(key)
    assert await ledger.get("c") is None
    assert await ledger.count("k") == (0, 0.0)


async def test_purge_drops_only_what_has_expired(ledger: SqlLedger, clock: FakeClock) -> None:
    await ledger.put("short", b"x", 10)
    await ledger.put("long", b"y", 100)
    clock.advance(10)
    assert await ledger.purge(clock()) == 1
    assert await ledger.get("long") == b"y"


@pytest.mark.parametrize(
    "key", ["", "tries:\0", "x" * 5000, "tries:'; DROP TABLE ledger; --", "ключ", "\ud800"]
)
async def test_keys_may_hold_anything_a_visitor_types(ledger: SqlLedger, key: str) -> None:
    assert [await ledger.hit(key, 60), await ledger.hit(key, 60)] == [1, 2]


async def test_concurrent_hits_are_all_counted(ledger: SqlLedger) -> None:
    counts = await asyncio.gather(*(ledger.hit("k", 60) for _ in range(40)))
    assert sorted(counts) == list(range(1, 41))


def test_processes_racing_to_take_have_one_winner(url: str) -> None:
    async def fill() -> None:
        engine = open_engine(url)
        ledger = SqlLedger(engine, race.wall_clock)
        for round in range(race.ROUNDS):
            await ledger.put(f"code{round}", b"x", 600)
        await engine.dispose()

    async def take(engine: AsyncEngine, round: int) -> bool:
        return await SqlLedger(engine, race.wall_clock).take(f"code{round}") == b"x"

    asyncio.run(fill())
    assert set(race.winners(url, take).values()) == {1}


def test_processes_racing_to_claim_have_one_winner(url: str) -> None:
    async def claim(engine: AsyncEngine, round: int) -> bool:
        return await SqlLedger(engine, race.wall_clock).claim_once(f"step{round}", 600)

    assert set(race.winners(url, claim).values()) == {1}


def test_processes_racing_for_an_expired_claim_have_one_winner(url: str) -> None:
    async def expire() -> None:
        engine = open_engine(url)
        for round in range(race.ROUNDS):
            await SqlLedger(engine, lambda: 1.0).claim_once(f"step{round}", 1)
        await engine.dispose()

    async def claim(engine: AsyncEngine, round: int) -> bool:
        return await SqlLedger(engine, race.wall_clock).claim_once(f"step{round}", 600)

    asyncio.run(expire())
    assert set(race.winners(url, claim).values()) == {1}


def test_processes_racing_to_hit_lose_no_count(url: str) -> None:
    async def last(engine: AsyncEngine, round: int) -> bool:
        return await SqlLedger(engine, race.wall_clock).hit(f"tries{round}", 600) == race.PROCESSES

    assert set(race.winners(url, last).values()) == {1}


async def test_an_outage_is_store_unavailable(clock: FakeClock) -> None:
    engine = open_engine("postgresql://postgres@127.0.0.1:1/nothing")
    with pytest.raises(StoreUnavailable):
        await SqlLedger(engine, clock).claim_once("k", 60)
    await engine.dispose()
