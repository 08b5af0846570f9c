"""SMS and calls, blocked ranges and changed numbers on every database."""

from dataclasses import replace

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.config.schema import PasswordRules as PasswordSettings
from gateway.directory.database import DatabaseDirectory
from gateway.directory.password_hashing import PasswordHashing
from gateway.model import User
from gateway.stores.protocols.sms import FINAL, Delivery, SmsBlock, SmsCost, SmsMessage, SmsRates, SmsSpend
from gateway.stores.sql.sms import SqlPhoneChanges, SqlSmsBlocks, SqlSmsMessages
from tests.contract.conftest import FakeClock
from tests.contract.race import ROUNDS, winners


def message(id: str, **fields: object) -> SmsMessage:
    facts = {
        "username": "alice",
        "session": "s",
        "masked": "+49•••••678",
        "number": "n",
        "range": "r",
        "country": "DE",
        "provider": "twilio",
        "channel": "sms",
        "micros": 100_000,
        "currency": "USD",
        "created_at": 10.0,
        **fields,
    }
    return SmsMessage(id, **facts)  # type: ignore[arg-type]


async def test_a_report_moves_a_message_on_and_never_back(engine: AsyncEngine) -> None:
    store = SqlSmsMessages(engine)
    await store.add(message("a"))
    moved = await store.report("a", Delivery("sent", 3, sid="SM1"), 11.0)
    assert moved is not None
    assert (moved.status, moved.sid, moved.updated_at) == ("sent", "SM1", 11.0)
    assert await store.report("a", Delivery("queued", 1, sid="SM1"), 12.0) is None
    assert await store.report("a", Delivery("sent", 3, sid="SM1"), 12.0) is None
    assert await store.report("a", Delivery("delivered", FINAL, sid="SM2"), 12.0) is None
    assert await store.report("b", Delivery("delivered", FINAL), 12.0) is None
    assert await store.report("a", Delivery("delivered", FINAL, sid="SM1"), 12.0) is not None
    assert await store.report("a", Delivery("failed", FINAL, sid="SM1"), 13.0) is None


async def test_a_price_replaces_the_estimate_once(engine: AsyncEngine) -> None:
    store = SqlSmsMessages(engine)
    await store.add(message("a", sid="SM1"))
    assert [one.id for one in await store.unpriced(0, 20, "twilio")] == ["a"]
    before = await store.price("a", 7_900)
    assert before is not None
    assert before.micros == 100_000
    assert await store.price("a", 9_900) is None
    assert [one.micros for one in await store.of_session("s")] == [7_900]
    assert await store.unpriced(0, 20, "twilio") == []


async def _price(engine: AsyncEngine, round: int) -> bool:
    return await SqlSmsMessages(engine).price(f"m{round}", 1) is not None


async def test_of_many_bills_for_one_message_one_counts(url: str, engine: AsyncEngine) -> None:
    store = SqlSmsMessages(engine)
    for round in range(ROUNDS):
        await store.add(message(f"m{round}"))
    assert set(winners(url, _price).values()) == {1}


async def test_a_range_is_judged_by_what_is_settled(engine: AsyncEngine) -> None:
    store = SqlSmsMessages(engine)
    for id, session, at in (("a", "s", 10.0), ("b", "s", 11.0), ("c", "t", 12.0), ("d", "u", 90.0)):
        await store.add(message(id, session=session, created_at=at))
    await store.add(message("e", range="other"))
    assert await store.conversion(["r"], 5.0, 50.0) == (3, 0)
    await store.verify("s", 13.0)
    await store.verify("u", 91.0)
    assert await store.conversion(["x", "r"], 5.0, 50.0) == (4, 3)
    assert await store.conversion(["r"], 10.0, 50.0) == (3, 2)
    assert await store.conversion(["none"], 5.0, 50.0) == (0, 0)


async def test_administrators_see_spend_and_rates_by_country(engine: AsyncEngine) -> None:
    store = SqlSmsMessages(engine)
    await store.add(message("a", status="delivered", stage=FINAL, verified_at=11.0))
    await store.add(message("b", status="undelivered", stage=FINAL))
    await store.add(message("c", country="US", channel="call", micros=5, created_at=12.0, username="bob"))
    await store.add(message("d", created_at=1.0))
    assert await store.spend(5.0) == [
        SmsSpend("DE", "sms", "USD", 2, 200_000),
        SmsSpend("US", "call", "USD", 1, 5),
    ]
    assert await store.rates(5.0) == [SmsRates("DE", 2, 1, 1, 0, 1), SmsRates("US", 1, 0, 0, 1, 0)]
    costs = await store.costs(5.0)
    assert costs == [
        SmsCost(country="DE", currency="USD", messages=2, verified=1, sign_ins=1, micros=200_000),
        SmsCost(country="US", currency="USD", messages=1, verified=0, sign_ins=0, micros=5),
    ]
    assert [one.per_sign_in for one in costs] == [200_000, None]
    assert [one.id for one in await store.last(2)] == ["c", "a"]
    assert [one.id for one in await store.last(9, username="bob")] == ["c"]
    assert await store.purge(5.0) == 1


async def test_a_block_ends_by_time(engine: AsyncEngine) -> None:
    store = SqlSmsBlocks(engine)
    block = SmsBlock("+49151123", 1.0, 50.0, 20, 0)
    await store.put(replace(block, until=20.0))
    await store.put(block)
    assert await store.get("+49151123") == block
    assert await store.list(49.0) == [block]
    assert await store.list(50.0) == []
    assert await store.purge(10.0) == 0
    assert await store.purge(60.0) == 1


@pytest.fixture
def directory(engine: AsyncEngine, clock: FakeClock) -> DatabaseDirectory:
    passwords = PasswordHashing(PasswordSettings(argon2_memory=64 * 1024, argon2_passes=1))
    return DatabaseDirectory(engine, passwords, clock)


async def test_the_directory_notes_each_number_that_is_replaced(
    engine: AsyncEngine, clock: FakeClock, directory: DatabaseDirectory
) -> None:
    store = SqlPhoneChanges(engine)
    user = User("alice", phone="+4915112345678")
    await directory.add(user)
    await directory.replace(replace(user, name="Alice"))
    assert await store.of("alice", 0) == []
    await directory.replace(replace(user, phone="+4915112345679"))
    clock.advance(10)
    await directory.replace(replace(user, phone=""))
    assert [one.before for one in await store.of("alice", 0)] == ["+4915112345679", "+4915112345678"]
    assert [one.before for one in await store.of("alice", clock() - 5)] == ["+4915112345679"]
    assert await store.waive("alice") == 2
    assert [one.waived for one in await store.of("alice", 0)] == [True, True]
    assert await store.waive("alice") == 0
    assert await store.purge(clock() - 5) == 1
    await directory.delete("alice")
    assert await store.of("alice", 0) == []


async def test_what_went_to_one_number_of_one_user_lately_is_found_newest_first(engine: AsyncEngine) -> None:
    store = SqlSmsMessages(engine)
    for id, fields in {
        "old": {"created_at": 5.0},
        "first": {"created_at": 11.0, "channel": "whatsapp"},
        "second": {"created_at": 12.0, "number": "before rotation"},
        "another number": {"created_at": 13.0, "number": "m"},
        "another user": {"created_at": 14.0, "username": "bob"},
    }.items():
        await store.add(message(id, **fields))
    found = await store.of_number("alice", ["n", "before rotation"], 10.0)
    assert [one.id for one in found] == ["second", "first"]


async def test_of_one_moment_what_failed_was_before_what_is_under_way(engine: AsyncEngine) -> None:
    store = SqlSmsMessages(engine)
    for id, stage in (("a", FINAL), ("b", 1), ("c", FINAL)):
        await store.add(message(id, stage=stage))
    assert [one.id for one in await store.of_session("s")] == ["b", "a", "c"]


async def test_the_last_right_code_of_one_number_of_one_user_is_known(engine: AsyncEngine) -> None:
    store = SqlSmsMessages(engine)
    await store.add(message("a", session="x"))
    assert await store.last_verified("alice", ["n"]) == 0.0
    await store.verify("x", 12.0)
    await store.add(message("b", session="y", number="before rotation"))
    await store.verify("y", 15.0)
    assert await store.last_verified("alice", ["n"]) == 12.0
    assert await store.last_verified("alice", ["n", "before rotation"]) == 15.0
    assert await store.last_verified("bob", ["n"]) == 0.0
