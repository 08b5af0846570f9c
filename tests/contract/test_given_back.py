"""What was counted is given back, but never to a window that has ended: it would then allow one more than its limit."""

from collections.abc import AsyncIterator

import pytest

from gateway.config.sections.sms_budgets import SmsBudgets, SmsSpending
from gateway.errors import SendFailed, TooManyAttempts
from gateway.messaging.sms.budgets import give_back, spend_budgets
from gateway.messaging.sms.spending import Channel, Spend
from gateway.observability.audit import Audit
from gateway.rate_limits import PASSWORD_PER_USER, RateLimits
from gateway.stores.protocols.ledger import Ledger
from tests.contract.conftest import FakeClock
from tests.contract.test_ledger import open_ledger

MESSAGE = {"username": "alice", "phone": "+4915112345678", "ip": "203.0.113.9"}


class Unlisted:
    """Notes of no budget that it is spent."""

    async def put(self, spent: object, ttl: float) -> None: ...
    async def list(self) -> list[object]:
        return []

    async def delete(self, spent: object) -> None: ...


class Nowhere:
    """An audit log that keeps nothing."""

    async def append(self, rows: object) -> None: ...
    async def tail(self, limit: int, **only: object) -> list[object]:
        return []


@pytest.fixture
async def ledger(ledger_url: str, clock: FakeClock) -> AsyncIterator[Ledger]:
    async with open_ledger(ledger_url, clock) as ledger:
        yield ledger


@pytest.fixture
def limits(ledger: Ledger) -> RateLimits:
    return RateLimits(ledger, Unlisted())  # type: ignore[arg-type]  # nobody lists here


async def test_a_try_given_back_after_its_window_buys_no_try_more(
    limits: RateLimits, clock: FakeClock
) -> None:
    await limits.spend(PASSWORD_PER_USER, "alice")
    clock.advance(PASSWORD_PER_USER.window)
    await limits.settle(back=[(PASSWORD_PER_USER, "alice")], forget=())
    for _ in range(PASSWORD_PER_USER.limit):
        await limits.spend(PASSWORD_PER_USER, "alice")
    with pytest.raises(TooManyAttempts):
        await limits.spend(PASSWORD_PER_USER, "alice")


async def test_a_message_that_did_not_go_out_by_the_end_of_the_hour_buys_no_message_more(
    limits: RateLimits, clock: FakeClock
) -> None:
    budgets = SmsBudgets(user_hourly=2)
    counted = await spend_budgets(limits, budgets, **MESSAGE)
    clock.advance(3600)
    await give_back(limits, counted)
    for _ in range(2):
        await spend_budgets(limits, budgets, **MESSAGE)
    with pytest.raises(SendFailed, match="sms-user-hourly"):
        await spend_budgets(limits, budgets, **MESSAGE)


async def test_money_that_was_not_spent_before_midnight_is_not_there_again_after_it(
    ledger: Ledger, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    spend = Spend(SmsSpending(daily_cap=0.1), ledger, Audit(Nowhere(), clock), clock)  # type: ignore[arg-type]
    clock.advance(86400 - clock() % 86400 - 1)
    hit = ledger.hit

    async def until_midnight(key: str, window: float, amount: int = 1) -> int:
        total = await hit(key, window, amount)
        clock.advance(1)
        return total

    monkeypatch.setattr(ledger, "hit", until_midnight)
    with pytest.raises(SendFailed, match="cap"):
        await spend.reserve(Channel.SMS, 200_000)
    assert await spend.today(Channel.SMS) == 0
