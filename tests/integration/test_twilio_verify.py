"""TwilioVerify against a local Verify v2, with time moved by hand."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from gateway.errors import SendFailed
from gateway.messaging.senders.build import build_sms
from gateway.messaging.senders.twilio.verify import TwilioVerify
from tests.fake_twilio import FakeTwilio
from tests.sending import PHONE, RecordedBackoff, everything_logged, everything_said, verify_config
from tests.twilio_rules import AUTH_TOKEN, LIFETIME
from tests.waiting import leap, until


class HandClock:
    now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
async def twilio(clock: HandClock) -> AsyncIterator[FakeTwilio]:
    async with FakeTwilio(clock=clock) as fake:
        yield fake


@pytest.fixture
async def verify(twilio: FakeTwilio) -> AsyncIterator[TwilioVerify]:
    service = TwilioVerify(verify_config(twilio.url, timeout="60s"), RecordedBackoff().backoff)
    yield service
    await service.close()


def other(code: str) -> str:
    return f"{(int(code) + 1) % 10**6:06}"


async def code_of(call: object) -> str:
    with pytest.raises(SendFailed) as failed:
        await call  # type: ignore[misc]
    return failed.value.code


async def test_the_code_that_was_sent_is_approved_once(twilio: FakeTwilio, verify: TwilioVerify):
    assert (await verify.start(PHONE)).startswith("VL")
    code = twilio.code_for(PHONE)
    assert await verify.check(PHONE, code) is True
    assert await verify.check(PHONE, code) is False


async def test_a_wrong_code_is_a_no_and_the_right_one_still_counts(twilio: FakeTwilio, verify: TwilioVerify):
    await verify.start(PHONE)
    code = twilio.code_for(PHONE)
    assert await verify.check(PHONE, other(code)) is False
    assert await verify.check(PHONE, code) is True


async def test_a_code_of_another_number_is_a_no(twilio: FakeTwilio, verify: TwilioVerify):
    await verify.start(PHONE)
    assert await verify.check("+4915187654321", twilio.code_for(PHONE)) is False


async def test_a_code_expires_after_ten_minutes(twilio: FakeTwilio, verify: TwilioVerify, clock: HandClock):
    await verify.start(PHONE)
    clock.now += LIFETIME
    assert await verify.check(PHONE, twilio.code_for(PHONE)) is False


async def test_a_verification_that_never_began_is_a_no(verify: TwilioVerify):
    assert await verify.check(PHONE, "123456") is False


@pytest.mark.parametrize("code", ["", "123", "12345678901", "12345a", " 123456", "１２３４５６", "123456\n"])
async def test_what_can_not_be_a_code_is_not_even_asked(twilio: FakeTwilio, verify: TwilioVerify, code: str):
    assert await verify.check(PHONE, code) is False
    assert twilio.requests == []


async def test_the_sixth_check_is_refused_even_with_the_right_code(twilio: FakeTwilio, verify: TwilioVerify):
    await verify.start(PHONE)
    code = twilio.code_for(PHONE)
    for _ in range(5):
        assert await verify.check(PHONE, other(code)) is False
    before = len(twilio.requests)
    assert await code_of(verify.check(PHONE, code)) == "60202"
    assert len(twilio.requests) == before + 1, "a spent limit must not be asked again"


async def test_the_sixth_send_is_refused_until_the_verification_expires(
    twilio: FakeTwilio, verify: TwilioVerify, clock: HandClock
):
    for _ in range(5):
        await verify.start(PHONE)
    assert len({m.code for m in twilio.messages}) == 1
    assert await code_of(verify.start(PHONE)) == "60203"
    clock.now += LIFETIME
    await verify.start(PHONE)


async def test_a_malformed_number_is_the_numbers_fault(verify: TwilioVerify):
    with pytest.raises(SendFailed) as failed:
        await verify.start("4915112345678")
    assert failed.value.code == "60200"
    assert "phone number" in failed.value.public


async def test_an_unknown_service_is_the_operators_to_mend(twilio: FakeTwilio):
    service = TwilioVerify(verify_config(twilio.url, service_sid="VA" + "0" * 32), RecordedBackoff().backoff)
    with pytest.raises(SendFailed) as failed:
        await service.start(PHONE)
    await service.close()
    assert failed.value.code == "20404"
    assert "service_sid" in failed.value.mend


@pytest.mark.parametrize("code", [60205, 60220, 60410])
async def test_other_refusals_come_through_with_their_code(
    twilio: FakeTwilio, verify: TwilioVerify, code: int
):
    twilio.fail_next(status=403, code=code)
    assert await code_of(verify.start(PHONE)) == str(code)
    assert len(twilio.requests) == 1


async def test_throttling_and_server_errors_are_repeated(twilio: FakeTwilio, verify: TwilioVerify):
    twilio.limit_rate()
    twilio.fail_next(status=503)
    await verify.start(PHONE)
    assert len(twilio.requests) == 3
    assert len(twilio.messages) == 1


async def test_an_outage_during_a_check_is_a_failure_and_not_a_no(twilio: FakeTwilio, verify: TwilioVerify):
    await verify.start(PHONE)
    twilio.fail_next(3, status=500)
    assert await code_of(verify.check(PHONE, twilio.code_for(PHONE))) == "500"
    twilio.hang_next()
    asked = len(twilio.requests)
    checking = asyncio.create_task(code_of(verify.check(PHONE, twilio.code_for(PHONE))))
    await until(lambda: len(twilio.requests) > asked)
    leap(60)
    assert await checking == "timeout"


async def test_only_the_word_approved_lets_anyone_in(twilio: FakeTwilio, verify: TwilioVerify):
    for status in ("pending", "canceled", "expired", "Approved", "", None):
        answer = f'{{"sid": "VE1", "valid": true, "status": {f"{chr(34)}{status}{chr(34)}" if status else "null"}}}'
        twilio.fail_next(status=200, body=answer)
        assert await verify.check(PHONE, "123456") is False


async def test_nothing_secret_is_logged_or_raised(
    twilio: FakeTwilio, verify: TwilioVerify, caplog: pytest.LogCaptureFixture
):
    caplog.set_level(0)
    await verify.start(PHONE)
    code = twilio.code_for(PHONE)
    twilio.fail_next(status=400, code=60200)
    with pytest.raises(SendFailed) as failed:
        await verify.check(PHONE, code)
    everything = everything_logged(caplog) + everything_said(failed.value)
    for secret in (code, PHONE[3:], AUTH_TOKEN):
        assert secret not in everything


async def test_build_makes_a_code_service(twilio: FakeTwilio):
    service = build_sms(verify_config(twilio.url)).sender
    assert isinstance(service, TwilioVerify)
    await service.start(PHONE)
    await service.close()
