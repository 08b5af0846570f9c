"""What TwilioSender sends again, and what never: a message that may be on its way is not sent twice."""

from collections.abc import AsyncIterator

import pytest

from tests.fake_twilio import FakeTwilio
from tests.sending import (
    PHONE,
    TEXT,
    RecordedBackoff,
    silent_port,
)
from tests.twilio_rig import failure_in_time, failure_of, sending
from tests.waiting import free_port


@pytest.fixture
async def twilio() -> AsyncIterator[FakeTwilio]:
    async with FakeTwilio() as fake:
        yield fake


@pytest.mark.parametrize("status", [500, 502, 503])
async def test_a_server_error_is_repeated_until_it_passes(twilio: FakeTwilio, status: int):
    twilio.fail_next(2, status=status)
    recorded = RecordedBackoff(retries=2)
    async with sending(twilio.url, recorded) as sender:
        await sender.send(PHONE, TEXT)
    assert len(twilio.requests) == 3
    assert recorded.pauses == [0.25, 0.5]  # half of 0.5 and of 1.0
    assert len(twilio.messages) == 1


@pytest.mark.parametrize("retries", [0, 1, 4])
async def test_there_are_as_many_repeats_as_configured(twilio: FakeTwilio, retries: int):
    twilio.fail_next(10, status=503, code=20503)
    failure = await failure_of(twilio.url, RecordedBackoff(retries))
    assert len(twilio.requests) == retries + 1
    assert (failure.code, failure.retryable) == ("20503", True)


async def test_a_gateways_timeout_is_not_repeated_since_the_message_may_be_on_its_way(twilio: FakeTwilio):
    twilio.fail_next(status=504)
    failure = await failure_of(twilio.url)
    assert (failure.code, failure.retryable, len(twilio.requests)) == ("504", True, 1)


async def test_throttling_is_waited_for_as_long_as_twilio_asks(twilio: FakeTwilio):
    twilio.limit_rate(retry_after="3")
    recorded = RecordedBackoff()
    async with sending(twilio.url, recorded) as sender:
        await sender.send(PHONE, TEXT)
    assert recorded.pauses == [3.0]
    assert len(twilio.messages) == 1


async def test_throttling_for_longer_than_a_user_would_wait_fails_at_once(twilio: FakeTwilio):
    twilio.limit_rate(retry_after="600")
    recorded = RecordedBackoff()
    failure = await failure_of(twilio.url, recorded)
    assert (failure.code, failure.retryable) == ("20429", True)
    assert (len(twilio.requests), recorded.pauses) == (1, [])


async def test_throttling_without_a_hint_is_backed_off_from(twilio: FakeTwilio):
    twilio.limit_rate(2)
    recorded = RecordedBackoff(dice=1.0)
    async with sending(twilio.url, recorded) as sender:
        await sender.send(PHONE, TEXT)
    assert recorded.pauses == [0.5, 1.0]


async def test_a_spent_daily_limit_is_not_repeated(twilio: FakeTwilio):
    twilio.fail_next(status=429, code=63038)
    failure = await failure_of(twilio.url)
    assert (failure.code, len(twilio.requests)) == ("63038", 1)


async def test_a_refused_connection_is_repeated(caplog: pytest.LogCaptureFixture):
    recorded = RecordedBackoff(retries=2)
    failure = await failure_of(f"http://127.0.0.1:{free_port()}", recorded)
    assert (failure.code, failure.retryable) == ("connect", True)
    assert len(recorded.pauses) == 2


async def test_a_connection_that_hangs_is_repeated():
    recorded = RecordedBackoff(retries=1)
    with silent_port() as port:
        brief = {"timeout": "200ms"}  # short: nobody takes the connection
        failure = await failure_of(f"http://127.0.0.1:{port}", recorded, **brief)
    assert failure.code == "connect"
    assert len(recorded.pauses) == 1


async def test_an_unknown_host_is_a_connection_failure():
    failure = await failure_of("http://twilio.invalid", RecordedBackoff(retries=0))
    assert failure.code == "connect"


async def test_a_timeout_after_the_request_was_sent_is_not_repeated(twilio: FakeTwilio):
    twilio.hang_next()
    recorded = RecordedBackoff(retries=5)
    failure = await failure_in_time(twilio, recorded=recorded)
    assert (failure.code, failure.retryable) == ("timeout", True)
    assert (len(twilio.requests), recorded.pauses) == (1, [])


async def test_a_connection_cut_after_the_request_was_sent_is_not_repeated(twilio: FakeTwilio):
    twilio.drop_next()
    recorded = RecordedBackoff(retries=5)
    failure = await failure_of(twilio.url, recorded)
    assert (failure.code, failure.retryable) == ("connection_lost", True)
    assert (len(twilio.requests), recorded.pauses) == (1, [])
