"""Pauses, and when there is none."""

import pytest

from gateway.errors import SendFailed
from gateway.messaging.senders.retry import Backoff, Miss, with_retries
from tests.sending import RecordedBackoff

AGAIN = Miss(SendFailed("busy", code="503"), again=True)


@pytest.mark.parametrize("dice", [0.0, 0.25, 0.999])
def test_pauses_are_drawn_from_a_range_that_doubles_up_to_the_cap(dice: float):
    backoff = Backoff(9, base=0.5, cap=4.0, random=lambda: dice)
    pauses = [backoff.pause(attempt, AGAIN) for attempt in range(5)]
    assert pauses == [dice * ceiling for ceiling in (0.5, 1.0, 2.0, 4.0, 4.0)]


def test_the_server_may_ask_for_a_longer_pause_but_not_for_a_shorter_one():
    backoff = Backoff(3, base=2.0, random=lambda: 1.0)
    asked = [backoff.pause(0, Miss(AGAIN.failure, again=True, retry_after=s)) for s in (0.0, 1.0, 3.0)]
    assert asked == [2.0, 2.0, 3.0]


def test_nobody_waits_longer_than_the_patience_for_a_server():
    backoff = Backoff(3, patience=5.0)
    assert backoff.pause(0, Miss(AGAIN.failure, again=True, retry_after=5.0)) is not None
    assert backoff.pause(0, Miss(AGAIN.failure, again=True, retry_after=5.1)) is None


async def test_after_the_last_repeat_the_last_failure_is_raised():
    outcomes = iter([AGAIN, AGAIN, Miss(SendFailed("last", code="500"), again=True), "never reached"])
    recorded = RecordedBackoff(retries=2)

    async def attempt() -> str | Miss:
        return next(outcomes)

    with pytest.raises(SendFailed) as failed:
        await with_retries(attempt, recorded.backoff)
    assert failed.value.code == "500"
    assert len(recorded.pauses) == 2
    assert next(outcomes) == "never reached"


async def test_a_miss_that_may_have_been_delivered_is_not_repeated():
    calls = 0

    async def attempt() -> str | Miss:
        nonlocal calls
        calls += 1
        return Miss(SendFailed("no answer", code="timeout"))

    recorded = RecordedBackoff(retries=5)
    with pytest.raises(SendFailed):
        await with_retries(attempt, recorded.backoff)
    assert (calls, recorded.pauses) == (1, [])
