"""The contract of Ledger, on every database and on Redis."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from gateway.clock import Clock
from gateway.config.sections.sms_budgets import SmsSpending
from gateway.errors import SendFailed, StoreUnavailable
from gateway.messaging.sms.spending import Channel, Spend
from gateway.observability.audit import Audit
from gateway.stores.protocols.core import AuditRow
from gateway.stores.protocols.ledger import Hit, Ledger
from gateway.stores.redis.connection import RedisLink
from gateway.stores.redis.ledger import RedisLedger
from gateway.stores.sql.ledger import SqlLedger
from gateway.stores.state import PurgedLedger
from tests.contract import race
from tests.contract.conftest import FakeClock


@pytest.fixture
def url(ledger_url: str) -> str:
    return ledger_url


@asynccontextmanager
async def open_ledger(url: str, clock: Clock = race.wall_clock) -> AsyncIterator[PurgedLedger]:
    if url.startswith("redis:"):
        link = RedisLink(url)
        yield RedisLedger(link, clock)
        await link.close()
    else:
        async with race.opened_engine(url) as engine:
            yield SqlLedger(engine, clock)


@pytest.fixture
async def ledger(url: str, clock: FakeClock) -> AsyncIterator[PurgedLedger]:
    async with open_ledger(url, clock) as ledger:
        yield ledger


async def test_a_counter_counts_up_and_knows_when_it_ends(ledger: PurgedLedger, clock: FakeClock) -> None:
    assert [await ledger.hit("tries:alice", 60), await ledger.hit("tries:alice", 60, 2)] == [1, 3]
    clock.advance(20)
    assert await ledger.count("tries:alice") == (3, 40.0)
    assert await ledger.count("tries:bob") == (0, 0.0)


async def test_a_counter_starts_again_after_its_window_which_later_hits_do_not_stretch(
    ledger: PurgedLedger, clock: FakeClock
) -> None:
    await ledger.hit("k", 60)
    clock.advance(59)
    assert await ledger.hit("k", 60) == 2
    clock.advance(1)
    assert await ledger.count("k") == (0, 0.0)
    assert await ledger.hit("k", 60) == 1
    assert await ledger.count("k") == (1, 60.0)


async def test_a_claim_succeeds_once_until_it_ends(ledger: PurgedLedger, clock: FakeClock) -> None:
    assert await ledger.claim_once("step", 30)
    assert not await ledger.claim_once("step", 30)
    clock.advance(29.9)
    assert not await ledger.claim_once("step", 30)
    clock.advance(0.1)
    assert await ledger.claim_once("step", 30)
    assert await ledger.claim_once("another", 30)


async def test_a_value_is_there_until_it_ends_and_put_replaces_it(
    ledger: PurgedLedger, clock: FakeClock
) -> None:
    await ledger.put("c", b"one", 30)
    await ledger.put("c", b"\0two", 60)
    clock.advance(59)
    assert await ledger.get("c") == b"\0two"
    clock.advance(1)
    assert await ledger.get("c") is None


async def test_a_taken_value_is_gone(ledger: PurgedLedger) -> None:
    await ledger.put("c", b"code", 60)
    assert await ledger.take("c") == b"code"
    assert await ledger.take("c") is None
    assert await ledger.get("c") is None


async def test_an_expired_value_can_not_be_taken(ledger: PurgedLedger, clock: FakeClock) -> None:
    await ledger.put("c", b"code", 60)
    clock.advance(60)
    assert await ledger.take("c") is None


async def test_taking_a_counter_neither_yields_nor_resets_it(ledger: PurgedLedger) -> None:
    await ledger.hit("k", 60)
    assert await ledger.take("k") is None
    assert await ledger.hit("k", 60) == 2


async def test_a_counter_on_the_key_of_an_expired_value_does_not_revive_the_value(
    ledger: PurgedLedger, clock: FakeClock
) -> None:
    await ledger.put("k", b"old", 10)
    clock.advance(10)
    await ledger.hit("k", 60)
    assert await ledger.get("k") is None


async def test_delete_drops_values_and_counters(ledger: PurgedLedger) -> None:
    await ledger.put("c", b"code", 60)
    await ledger.hit("k", 60)
    for key in ("c", "k", "missing"):
        await ledger.delete(key)
    assert await ledger.get("c") is None
    assert await ledger.count("k") == (0, 0.0)


async def test_purge_drops_only_what_has_expired(ledger: PurgedLedger, clock: FakeClock, url: str) -> None:
    await ledger.put("short", b"x", 10)
    await ledger.put("long", b"y", 100)
    clock.advance(10)
    swept_by_itself = url.startswith("redis:")
    assert await ledger.purge(clock()) == (0 if swept_by_itself else 1)
    assert await ledger.get("short") is None
    assert await ledger.get("long") == b"y"


@pytest.mark.parametrize(
    "key", ["", "tries:\0", "x" * 5000, "tries:'; DROP TABLE ledger; --", "ключ", "\ud800"]
)
async def test_keys_may_hold_anything_a_visitor_types(ledger: PurgedLedger, key: str) -> None:
    assert [await ledger.hit(key, 60), await ledger.hit(key, 60)] == [1, 2]


async def test_concurrent_hits_are_all_counted(ledger: PurgedLedger) -> None:
    counts = await asyncio.gather(*(ledger.hit("k", 60) for _ in range(40)))
    assert sorted(counts) == list(range(1, 41))


def test_processes_racing_to_take_have_one_winner(url: str) -> None:
    async def fill() -> None:
        async with open_ledger(url) as ledger:
            for round in range(race.ROUNDS):
                await ledger.put(f"code{round}", b"x", 600)

    async def take(ledger: Ledger, round: int) -> bool:
        return await ledger.take(f"code{round}") == b"x"

    asyncio.run(fill())
    assert set(race.winners(url, take, open_ledger).values()) == {1}


def test_processes_racing_to_claim_have_one_winner(url: str) -> None:
    async def claim(ledger: Ledger, round: int) -> bool:
        return await ledger.claim_once(f"step{round}", 600)

    assert set(race.winners(url, claim, open_ledger).values()) == {1}


def test_processes_racing_for_an_expired_claim_have_one_winner(url: str) -> None:
    async def expire() -> None:
        async with open_ledger(url, lambda: 1.0) as ledger:
            for round in range(race.ROUNDS):
                await ledger.claim_once(f"step{round}", 1)

    async def claim(ledger: Ledger, round: int) -> bool:
        return await ledger.claim_once(f"step{round}", 600)

    asyncio.run(expire())
    assert set(race.winners(url, claim, open_ledger).values()) == {1}


def test_processes_racing_to_hit_lose_no_count(url: str) -> None:
    async def last(ledger: Ledger, round: int) -> bool:
        return await ledger.hit(f"tries{round}", 600) == race.PROCESSES

    assert set(race.winners(url, last, open_ledger).values()) == {1}


@pytest.mark.parametrize("away", ["postgresql://postgres@127.0.0.1:1/nothing", "redis://127.0.0.1:1/0"])
async def test_an_outage_is_store_unavailable(away: str, clock: FakeClock) -> None:
    async with open_ledger(away, clock) as ledger:
        for _ in range(5):
            with pytest.raises(StoreUnavailable):
                await ledger.claim_once("k", 60)


async def test_a_negative_amount_gives_back(ledger: Ledger) -> None:
    assert await ledger.hit("money", 60, 5_000_000_000) == 5_000_000_000
    assert await ledger.hit("money", 60, -2_000_000_000) == 3_000_000_000
    assert (await ledger.count("money"))[0] == 3_000_000_000


class _Nowhere:
    """An audit log that keeps nothing."""

    async def append(self, rows: object) -> None: ...
    async def tail(self, limit: int, **only: object) -> list[AuditRow]:
        return []


async def _spend_the_last(ledger: PurgedLedger, round: int) -> bool:
    """Each round is a day of its own, whose cap allows one message."""
    day = lambda: race.wall_clock() + round * 86400  # noqa: E731
    spend = Spend(SmsSpending(daily_cap=0.1), ledger, Audit(_Nowhere(), day), day)
    try:
        await spend.reserve(Channel.SMS, 100_000)
    except SendFailed:
        return False
    return True


def test_of_racing_workers_one_spends_the_last_money_of_the_day(url: str) -> None:
    assert set(race.winners(url, _spend_the_last, open_ledger).values()) == {1}


async def test_several_counters_count_together_or_not_at_all(url: str) -> None:
    clock = FakeClock()
    hits = [Hit("a", 60, 3), Hit("b", 120, 2), Hit("c", 60, 9)]
    async with open_ledger(url, clock) as ledger:
        assert await ledger.hit("c", 60, 4) == 4
        assert await ledger.hit_all(hits) == [1, 1, 5]
        clock.advance(30)
        assert await ledger.hit_all(hits) == [2, 2, 6]
        assert await ledger.hit_all(hits) is None
        assert [(await ledger.count(hit.key))[0] for hit in hits] == [2, 2, 6], "b was full: none counts"
        assert (await ledger.count("a"))[1] == 30, "it ends 60 seconds after its first hit"
        clock.advance(30)
        assert await ledger.hit_all(hits) is None, "b still runs"
        clock.advance(60)
        assert await ledger.hit_all(hits) == [1, 1, 1]
        assert (await ledger.count("b"))[1] == 120


async def test_of_many_who_count_together_at_one_time_as_many_win_as_there_is_room(url: str) -> None:
    async with open_ledger(url) as ledger:
        results = await asyncio.gather(
            *(ledger.hit_all([Hit(f"own{n}", 60, 1), Hit("shared", 60, 5)]) for n in range(20))
        )
        assert sorted(counts[1] for counts in results if counts) == [1, 2, 3, 4, 5]
        assert (await ledger.count("shared"))[0] == 5
        assert sum([(await ledger.count(f"own{n}"))[0] for n in range(20)]) == 5


async def test_several_entries_go_at_once(url: str) -> None:
    async with open_ledger(url) as ledger:
        for key in "abc":
            await ledger.hit(key, 60)
        await ledger.delete("a", "c", "never")
        assert [(await ledger.count(key))[0] for key in "abc"] == [0, 1, 0]
