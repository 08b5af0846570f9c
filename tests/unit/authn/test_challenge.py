"""One-time codes on a real ledger: what they are bound to, how often they may be tried, and that they die once."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from gateway.authn.factors.base import Attempt, Outcome
from gateway.authn.factors.challenge import TRIES, Codes, random_digits
from gateway.model import User
from gateway.stores.sql.engine import open_engine
from gateway.stores.sql.ledger import SqlLedger
from tests.databases import give_schema
from tests.rig import FakeClock

ALICE = Attempt(User("alice"), "session-1", "192.0.2.1", "app.test")


class Wiretapped(SqlLedger):
    """A ledger whose values an attacker could copy from one place to another."""

    async def copy(self, source: str, destination: str) -> None:
        value = await self.get(source)
        assert value is not None
        await self.put(destination, value, 300)


@pytest.fixture
async def ledger(tmp_path: Path) -> AsyncIterator[Wiretapped]:
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    await give_schema(url)
    engine = open_engine(url)
    yield Wiretapped(engine, FakeClock())
    await engine.dispose()


def codes(ledger: SqlLedger, keys: tuple[bytes, ...] = (b"k" * 32,), factor: str = "sms") -> Codes:
    return Codes(factor, ledger, lambda: list(keys), FakeClock(), length=6, lifetime=300)


def other_than(code: str) -> str:
    return f"{(int(code) + 1) % 10 ** len(code):0{len(code)}d}"


@pytest.mark.parametrize(
    "thief",
    [replace(ALICE, sid="session-2"), replace(ALICE, user=User("bob"), sid="session-2")],
)
async def test_a_challenge_copied_to_another_session_is_worth_nothing(
    ledger: Wiretapped, thief: Attempt
) -> None:
    service = codes(ledger)
    code = await service.issue(ALICE)
    await ledger.copy("challenge:sms:session-1", "challenge:sms:session-2")
    assert await service.verify(thief, code) is Outcome.WRONG
    assert await service.verify(ALICE, code) is Outcome.RIGHT


async def test_a_code_of_another_user_or_factor_is_wrong_in_the_same_session(ledger: Wiretapped) -> None:
    service = codes(ledger)
    code = await service.issue(ALICE)
    assert await service.verify(replace(ALICE, user=User("bob")), code) is Outcome.WRONG
    await ledger.copy("challenge:sms:session-1", "challenge:email:session-1")
    assert await codes(ledger, factor="email").verify(ALICE, code) is Outcome.WRONG


async def test_the_sixth_try_is_refused_even_with_the_right_code(ledger: Wiretapped) -> None:
    service = codes(ledger)
    code = await service.issue(ALICE)
    assert [await service.verify(ALICE, other_than(code)) for _ in range(TRIES)] == [Outcome.WRONG] * TRIES
    assert await service.verify(ALICE, code) is Outcome.EXHAUSTED
    assert await service.verify(ALICE, code) is Outcome.EXPIRED


async def test_parallel_guesses_do_not_outrun_the_limit(ledger: Wiretapped) -> None:
    service = codes(ledger)
    code = await service.issue(ALICE)
    outcomes = await asyncio.gather(*(service.verify(ALICE, other_than(code)) for _ in range(20)))
    assert outcomes.count(Outcome.WRONG) <= TRIES


async def test_a_new_code_voids_the_old_one(ledger: Wiretapped) -> None:
    service = codes(ledger)
    first, second = await service.issue(ALICE), await service.issue(ALICE)
    if first != second:
        assert await service.verify(ALICE, first) is Outcome.WRONG
    assert await service.verify(ALICE, second) is Outcome.RIGHT


async def test_a_code_outlives_a_key_rotation(ledger: Wiretapped) -> None:
    code = await codes(ledger, (b"old" * 11,)).issue(ALICE)
    assert await codes(ledger, (b"new" * 11, b"old" * 11)).verify(ALICE, code) is Outcome.RIGHT


def test_codes_are_digits_of_the_asked_length() -> None:
    made = {random_digits(6) for _ in range(200)}
    assert all(len(code) == 6 and code.isdigit() for code in made)
    assert len(made) > 190


async def test_a_code_that_is_replaced_while_it_is_judged_takes_nothing(ledger: Wiretapped) -> None:
    """The code before was right when it was looked at; the challenge that would be taken is another one by then."""
    service = codes(ledger)
    await service.issue(ALICE)
    newer: list[str] = []

    async def right_but_late(stored: bytes) -> bool:
        newer.append(await service.issue(ALICE))
        return True

    assert await service.consume_if(ALICE, right_but_late) is Outcome.EXPIRED
    assert (await ledger.count("tries:sms:alice"))[0] == 1, "the try counts on"
    assert await service.verify(ALICE, newer[0]) is Outcome.RIGHT
    assert await ledger.count("tries:sms:alice") == (0, 0.0)


async def test_a_challenge_that_is_gone_while_it_is_judged_counts_for_nobody(ledger: Wiretapped) -> None:
    service = codes(ledger)
    code = await service.issue(ALICE)

    async def right_for_both(stored: bytes) -> bool:
        assert await service.verify(ALICE, code) is Outcome.RIGHT
        return True

    assert await service.consume_if(ALICE, right_for_both) is Outcome.EXPIRED


async def test_a_turn_that_comes_long_after_the_look_for_a_code_sends_no_second_one(
    ledger: Wiretapped,
) -> None:
    """As on a busy machine: while the request stood still, another sent the code, and the pause went by."""

    class Late(Wiretapped):
        async def claim_once(self, key: str, ttl: float) -> bool:
            await service.issue(ALICE)
            return True

    service = codes(Late(ledger._engine, FakeClock()))
    assert await service.turn(ALICE, 30, again=False) == (30, False)
    ordinary = codes(ledger)
    assert (await ordinary.turn(ALICE, 30, again=False))[1] is False, "one is out"
    assert (await ordinary.turn(replace(ALICE, sid="session-2"), 30, again=False))[1] is True
