"""The contract of SpentBudgets, and of seeing and lifting blocks over it and every ledger."""

import ast
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.authn.lockouts import Lockouts
from gateway.clock import Clock
from gateway.config.schema import PasswordRules as PasswordSettings
from gateway.directory.database import DatabaseDirectory
from gateway.directory.password_hashing import PasswordHashing
from gateway.errors import TooManyAttempts
from gateway.keyring import KeyRing
from gateway.model import User
from gateway.rate_limits import (
    CODE_FAILURES,
    CODES_PER_USER,
    PASSWORD_FAILURES,
    PASSWORD_PER_IP,
    PASSWORD_PER_USER,
    TOKENS_PER_IP,
    Budget,
    RateLimits,
)
from gateway.stores.protocols.ledger import Ledger, Spent
from gateway.stores.redis.connection import RedisLink
from gateway.stores.redis.ledger import RedisLedger
from gateway.stores.sql.ledger import SqlLedger
from gateway.stores.sql.spent_budgets import SqlSpentBudgets
from tests.contract.conftest import FakeClock

ALICE = Spent("codes-user", 15, "user", "alice")
NETWORK = Spent("password-ip", 30, "address", "2001:db8::/64")
SMS_PER_NUMBER = Budget("sms-number-hourly", 2, 3600, "number")


@pytest.fixture
def spent(engine: AsyncEngine, ring: KeyRing, clock: FakeClock) -> SqlSpentBudgets:
    return SqlSpentBudgets(engine, clock, ring.seal, ring.open)


async def test_what_is_spent_is_listed_until_it_ends_or_is_lifted(
    spent: SqlSpentBudgets, clock: FakeClock
) -> None:
    await spent.put(NETWORK, 600)
    await spent.put(ALICE, 900)
    await spent.put(NETWORK, 600)
    assert await spent.list() == [ALICE, NETWORK]
    await spent.delete(ALICE)
    assert await spent.list() == [NETWORK]
    clock.advance(601)
    assert await spent.list() == []
    assert await spent.purge(clock()) == 1


async def test_names_are_sealed_and_stay_readable_over_key_rotations(
    spent: SqlSpentBudgets, engine: AsyncEngine, ring: KeyRing, clock: FakeClock
) -> None:
    await spent.put(Spent("password-user", 10, "user", "hunter2-typed-as-a-name"), 900)
    async with engine.connect() as connection:
        row = (await connection.execute(text("SELECT * FROM spent_budgets"))).one()
    assert "hunter2" not in repr(row)
    for _ in range(3):
        await spent.reseal()
        ring.rotate(clock(), keep=2)
    assert [one.subject for one in await spent.list()] == ["hunter2-typed-as-a-name"]
    ring.rotate(clock(), keep=2)
    ring.rotate(clock(), keep=2)
    assert await spent.list() == []


# -- on every database and on Redis ------------------------------------------------------------------------------------


@pytest.fixture(params=["sql", "redis"])
async def ledger(request: pytest.FixtureRequest, engine: AsyncEngine, clock: FakeClock):
    if request.param == "sql":
        yield SqlLedger(engine, clock)
        return
    link = RedisLink(str(request.getfixturevalue("redis")))
    await link.run(lambda: link.client.flushall())
    yield RedisLedger(link, clock)
    await link.close()


@pytest.fixture
def limits(ledger: Ledger, spent: SqlSpentBudgets) -> RateLimits:
    return RateLimits(ledger, spent)


@pytest.fixture
async def blocks(limits: RateLimits, engine: AsyncEngine, clock: Clock):
    passwords = PasswordHashing(PasswordSettings(argon2_memory=64 * 1024, argon2_passes=1))
    directory = DatabaseDirectory(engine, passwords, clock)
    await directory.add(User("alice", email="alice@example.test", phone="+4915112345678"))
    yield Lockouts(limits, directory, lambda typed: f"unknown:{len(typed)}", clock)
    passwords.close()


async def use_up(limits: RateLimits, budget: Budget, subject: str, hits: int = 0) -> None:
    for _ in range(hits or budget.limit):
        await limits.spend(budget, subject)


async def names(blocks: Lockouts) -> set[tuple[str, str]]:
    return {(one.name, one.budget) for one in await blocks.now()}


async def test_only_what_is_at_its_limit_now_is_shown_and_never_a_typed_name(
    limits: RateLimits, blocks: Lockouts, clock: FakeClock
) -> None:
    await use_up(limits, PASSWORD_PER_USER, "hunter2")
    await use_up(limits, SMS_PER_NUMBER, "+4915112345678")
    await use_up(limits, CODE_FAILURES, "alice")
    await use_up(limits, PASSWORD_PER_IP, "203.0.113.9", 29)
    assert [(one.name, one.budget, one.ends_at - clock()) for one in await blocks.now()] == [
        ("alice", "failures:code", 365 * 86400),
        ("+49•••••678", "sms-number-hourly", 3600),
        ("unknown:7", "password-user", 600),
    ]
    clock.advance(601)
    assert ("unknown:7", "password-user") not in await names(blocks)


async def test_a_try_that_was_given_back_blocks_nobody(limits: RateLimits, blocks: Lockouts) -> None:
    await use_up(limits, PASSWORD_PER_USER, "alice")
    await limits.settle(back=[(PASSWORD_PER_USER, "alice")], forget=())
    assert await blocks.now() == []
    await limits.spend(PASSWORD_PER_USER, "alice")
    assert await names(blocks) == {("alice", "password-user")}


async def test_unlocking_lifts_every_lock_and_budget_of_the_user_and_nobody_elses(
    limits: RateLimits, blocks: Lockouts
) -> None:
    user = User("alice", email="alice@example.test", phone="+4915112345678")
    for budget in (PASSWORD_FAILURES, CODE_FAILURES, CODES_PER_USER):
        await use_up(limits, budget, "alice")
    await use_up(limits, SMS_PER_NUMBER, "+4915112345678")
    await use_up(limits, PASSWORD_PER_USER, "alice", 9)
    await use_up(limits, CODE_FAILURES, "bob")
    locks = {one.budget for one in await blocks.of(user) if one.is_lock}
    assert locks == {"failures:code", "failures:password"}
    lifted = {one.budget: one.count for one in await blocks.unlock(user)}
    assert lifted == {
        "failures:password": 100,
        "failures:code": 100,
        "codes-user": 15,
        "password-user": 9,
        "sms-number-hourly": 2,
    }
    assert await blocks.of(user) == []
    assert await names(blocks) == {("unknown:3", "failures:code")}
    for budget in (PASSWORD_FAILURES, CODE_FAILURES, CODES_PER_USER, PASSWORD_PER_USER):
        await limits.check(budget, "alice")
    with pytest.raises(TooManyAttempts):
        await limits.check(CODE_FAILURES, "bob")


@pytest.mark.parametrize("name", ["2001:db8::77", "2001:db8::/64"])
async def test_an_address_is_lifted_with_its_network(limits: RateLimits, blocks: Lockouts, name: str) -> None:
    await use_up(limits, PASSWORD_PER_IP, "2001:db8::/64")
    await use_up(limits, TOKENS_PER_IP, "2001:db8::/64", 3)
    assert [(one.name, one.budget) for one in await blocks.lift(name)] == [
        ("2001:db8::/64", "password-ip"),
        ("2001:db8::/64", "token-ip"),
    ]
    assert await blocks.now() == []
    assert await blocks.lift(name) == []


@pytest.mark.parametrize("name", ["unknown:7", "Hunter2", "+49•••••678", "+4915199999678"])
async def test_what_no_user_has_is_lifted_as_it_is_shown_or_by_its_name(
    limits: RateLimits, blocks: Lockouts, name: str
) -> None:
    await use_up(limits, PASSWORD_PER_USER, "hunter2")
    await use_up(limits, SMS_PER_NUMBER, "+4915199999678")
    before = await names(blocks)
    assert len(await blocks.lift(name)) == 1
    assert len(before - await names(blocks)) == 1


async def test_a_users_name_lifts_what_unlocking_does(limits: RateLimits, blocks: Lockouts) -> None:
    await use_up(limits, CODE_FAILURES, "alice")
    assert [one.budget for one in await blocks.lift("Alice")] == ["failures:code"]


def test_every_budget_of_ours_says_whom_it_is_about() -> None:
    """What is about nobody can't be shown. Where that is meant, it is said here."""
    root = Path(__file__).resolve().parents[2] / "gateway"
    calls = [
        call
        for file in root.rglob("*.py")
        for call in ast.walk(ast.parse(file.read_text()))
        if isinstance(call, ast.Call) and getattr(call.func, "id", "") == "Budget"
    ]
    assert len(calls) > 15
    spoken = [{word.arg: ast.unparse(word.value) for word in call.keywords} for call in calls]
    abouts = {repr(about) for about in ("user", "address", "number", "mail")}
    silent = [  # a variable comes from a table of SMS budgets that has it in each row
        words["name"]
        for words in spoken
        if (about := words.get("about", "''")) not in abouts and not about.isidentifier()
    ]
    # Those of a device fall with it (`device revoke`); what all share is nobody's to lift.
    of_devices = [
        repr(name) for name in ("reset-device", "link-device", "password-device", "failures:device")
    ]
    of_all = [repr(name) for name in ("reset-all", "link-all", "registration-all", "registration-notices")]
    assert sorted(silent) == sorted([*of_all, *of_devices])
