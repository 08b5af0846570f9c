"""What the Ledger does to several entries in one step, on every database and on Redis: all of it or nothing."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from gateway.stores.protocols.ledger import Hit, Ledger, Value
from tests.contract import race
from tests.contract.conftest import FakeClock
from tests.contract.test_ledger import open_ledger

CHALLENGE = Value("challenge", b"\0hash", 30)


@pytest.fixture
async def ledger(ledger_url: str, clock: FakeClock) -> AsyncIterator[Ledger]:
    async with open_ledger(ledger_url, clock) as ledger:
        yield ledger


async def counts(ledger: Ledger, *keys: str) -> list[int]:
    return [(await ledger.count(key))[0] for key in keys]


async def test_money_counts_together_with_messages_up_to_its_cap(ledger: Ledger) -> None:
    def hits(money: int) -> list[Hit]:
        return [Hit("messages", 60, 3), Hit("money", 60, 5_000_000_000, money)]

    assert await ledger.hit_all(hits(3_000_000_000)) == [1, 3_000_000_000]
    assert await ledger.hit_all(hits(2_000_000_001)) is None
    assert await counts(ledger, "messages", "money") == [1, 3_000_000_000]
    assert await ledger.hit_all(hits(2_000_000_000)) == [2, 5_000_000_000], "just as much as there is"
    assert await ledger.hit_all(hits(0)) == [3, 5_000_000_000], "what costs nothing has room"
    assert await ledger.hit_all(hits(0)) is None


@pytest.mark.parametrize("begun", [False, True])
async def test_what_is_more_than_all_is_refused_at_once(
    ledger: Ledger, clock: FakeClock, begun: bool
) -> None:
    """Also by a counter that never ran, or ran out: it must not let the first one through."""
    if begun:
        await ledger.hit("money", 60, 7)
        clock.advance(60)
    assert await ledger.hit_all([Hit("messages", 60, 3), Hit("money", 60, 7, 8)]) is None
    assert await counts(ledger, "messages", "money") == [0, 0]
    assert await ledger.hit_all([Hit("messages", 60, 3), Hit("money", 60, 7, 7)]) == [1, 7]


async def test_a_value_is_kept_with_the_hits_it_belongs_to(ledger: Ledger, clock: FakeClock) -> None:
    await ledger.put("challenge", b"before", 900)
    assert await ledger.hit_all([Hit("a", 60, 1), Hit("b", 60, 2)], CHALLENGE) == [1, 1]
    assert await ledger.get("challenge") == b"\0hash"
    clock.advance(30)
    assert await ledger.get("challenge") is None, "it ends by its own lifetime"
    assert await counts(ledger, "a", "b") == [1, 1]


async def test_a_value_is_not_kept_where_a_counter_is_full(ledger: Ledger) -> None:
    await ledger.put("challenge", b"before", 900)
    await ledger.hit("b", 60, 2)
    assert await ledger.hit_all([Hit("a", 60, 1), Hit("b", 60, 2)], CHALLENGE) is None
    assert await ledger.get("challenge") == b"before"
    assert await counts(ledger, "a", "b") == [0, 2]


async def test_settling_gives_one_hit_back_and_drops_the_rest(ledger: Ledger, clock: FakeClock) -> None:
    await ledger.hit("address", 60, 3)
    for key in ("user", "failures", "other"):
        await ledger.hit(key, 600, 2)
    clock.advance(20)
    await ledger.settle(["address"], ["user", "failures", "never"])
    assert await ledger.count("address") == (2, 40.0), "its end stays"
    assert await counts(ledger, "user", "failures", "other") == [0, 0, 2]
    await ledger.settle(["other"], [])
    await ledger.settle([], ["address"])
    await ledger.settle([], [])
    assert await counts(ledger, "address", "other") == [0, 1]


async def test_nothing_is_given_back_to_a_counter_that_is_empty_or_over(
    ledger: Ledger, clock: FakeClock
) -> None:
    """It would begin below zero, and let one more through than its limit."""
    await ledger.hit("over", 60)
    await ledger.hit("empty", 600)
    clock.advance(60)
    for _ in range(2):
        await ledger.settle(["over", "empty", "never"], [])
    assert [await ledger.hit(key, 60) for key in ("over", "empty", "never")] == [1, 1, 1]


async def test_of_hits_and_hits_given_back_at_one_time_none_is_lost(ledger: Ledger) -> None:
    await ledger.hit("address", 600, 20)
    steps = [step for _ in range(20) for step in (ledger.hit("address", 600), ledger.settle(["address"], []))]
    await asyncio.gather(*steps)
    assert await counts(ledger, "address") == [20]


async def test_a_consumed_value_takes_its_counters_along(ledger: Ledger) -> None:
    await ledger.put("challenge", b"\0hash", 60)
    for key in ("tries", "other"):
        await ledger.hit(key, 60, 2)
    assert await ledger.consume("challenge", b"\0hash", "tries", "never")
    assert await ledger.get("challenge") is None
    assert await counts(ledger, "tries", "other") == [0, 2]
    assert not await ledger.consume("challenge", b"\0hash", "other")
    assert await counts(ledger, "other") == [2]


@pytest.mark.parametrize("offered", [b"\0", b"\0hash2", b"", b"before"])
async def test_another_value_is_not_consumed_and_its_counters_stay(ledger: Ledger, offered: bytes) -> None:
    await ledger.put("challenge", b"before", 60)
    await ledger.put("challenge", b"\0hash", 60)
    await ledger.hit("tries", 60)
    assert not await ledger.consume("challenge", offered, "tries")
    assert await ledger.get("challenge") == b"\0hash"
    assert await counts(ledger, "tries") == [1]


async def test_what_has_ended_or_is_a_counter_is_not_consumed(ledger: Ledger, clock: FakeClock) -> None:
    await ledger.put("ended", b"x", 60)
    clock.advance(60)
    await ledger.hit("counter", 60)
    await ledger.hit("tries", 60)
    assert not await ledger.consume("ended", b"x", "tries")
    assert not await ledger.consume("counter", b"", "tries")
    assert await counts(ledger, "counter", "tries") == [1, 1]


def test_processes_racing_to_consume_have_one_winner(ledger_url: str) -> None:
    async def fill() -> None:
        async with open_ledger(ledger_url) as ledger:
            for round in range(race.ROUNDS):
                await ledger.put(f"code{round}", b"x", 600)

    async def consume(ledger: Ledger, round: int) -> bool:
        return await ledger.consume(f"code{round}", b"x", f"tries{round}")

    asyncio.run(fill())
    assert set(race.winners(ledger_url, consume, open_ledger).values()) == {1}


def test_processes_racing_for_the_last_message_and_its_money_have_one_winner(ledger_url: str) -> None:
    async def count(ledger: Ledger, round: int) -> bool:
        hits = [Hit(f"messages{round}", 600, 9), Hit(f"money{round}", 600, 7, 5)]
        return await ledger.hit_all(hits, Value(f"code{round}", b"x", 600)) == [1, 5]

    assert set(race.winners(ledger_url, count, open_ledger).values()) == {1}
