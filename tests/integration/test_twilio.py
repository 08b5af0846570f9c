"""TwilioSender against a local Twilio: real sockets, the real twilio package, aiohttp on both sides."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.errors import SendFailed
from gateway.messaging.senders.build import build_sms
from gateway.messaging.senders.twilio.messages import TwilioSender
from tests.fake_twilio import FakeTwilio
from tests.sending import (
    CODE,
    PHONE,
    TEXT,
    RecordedBackoff,
    everything_logged,
    everything_said,
    self_signed,
    twilio_config,
)
from tests.twilio_rig import failure_in_time, failure_of, sending
from tests.twilio_rules import AUTH_TOKEN, FROM, MESSAGING_SERVICE_SID
from tests.waiting import until


@pytest.fixture
async def twilio() -> AsyncIterator[FakeTwilio]:
    async with FakeTwilio() as fake:
        yield fake


async def test_a_message_arrives_with_its_text_sender_and_expiry(twilio: FakeTwilio):
    async with sending(twilio.url, code_lifetime="5m") as sender:
        sid = await sender.send(PHONE, TEXT)
    (message,) = twilio.messages
    assert (message.sid, message.to, message.body, message.sender) == (sid, PHONE, TEXT, FROM)
    assert message.fields["ValidityPeriod"] == "300"
    assert twilio.code_for(PHONE) == CODE


async def test_a_messaging_service_stands_in_for_the_sender(twilio: FakeTwilio):
    fields = {"from": None, "messaging_service_sid": MESSAGING_SERVICE_SID}
    async with sending(twilio.url, **fields) as sender:
        await sender.send(PHONE, TEXT)
    assert twilio.messages[0].fields["MessagingServiceSid"] == MESSAGING_SERVICE_SID
    assert "From" not in twilio.messages[0].fields


async def test_any_character_arrives_as_it_was(twilio: FakeTwilio):
    text = 'Grüße & "Küsse" + 100 % = 你好 🔑\n@localhost #493817'
    async with sending(twilio.url) as sender:
        await sender.send(PHONE, text)
    assert twilio.messages[0].body == text


async def test_a_base_url_may_have_a_path_of_its_own(twilio: FakeTwilio):
    failure = await failure_of(f"{twilio.url}/egress/twilio/")
    assert failure.code == "20404"
    assert twilio.requests[0].startswith("POST /egress/twilio/2010-04-01/Accounts/AC")


async def test_the_process_environment_does_not_choose_the_account_or_the_host(
    twilio: FakeTwilio, monkeypatch: pytest.MonkeyPatch
):
    for name in ("TWILIO_ACCOUNT_SID", "TWILIO_AUTH_TOKEN", "TWILIO_REGION", "TWILIO_EDGE"):
        monkeypatch.setenv(name, "elsewhere")
    async with sending(twilio.url) as sender:
        await sender.send(PHONE, TEXT)
    assert len(twilio.messages) == 1


async def test_build_makes_a_sender_outside_of_any_loop(twilio: FakeTwilio):
    provider = await asyncio.to_thread(build_sms, twilio_config(twilio.url))  # a thread without a loop
    sender = provider.sender
    assert isinstance(sender, TwilioSender)
    await sender.send(PHONE, TEXT)
    await sender.close()
    assert len(twilio.messages) == 1


@pytest.mark.parametrize(
    ("to", "code"),
    [
        ("+15005550001", "21211"),
        ("+15005550002", "21612"),
        ("+15005550003", "21408"),
        ("+15005550004", "21610"),
        ("+15005550009", "21614"),
        ("not a number", "21211"),
    ],
)
async def test_a_number_that_twilio_refuses_is_asked_once(twilio: FakeTwilio, to: str, code: str):
    recorded = RecordedBackoff()
    failure = await failure_of(twilio.url, recorded, to=to)
    assert (failure.code, failure.retryable, failure.status) == (code, False, 503)
    assert failure.public != SendFailed.public
    assert (len(twilio.requests), recorded.pauses) == (1, [])


@pytest.mark.parametrize(("sender", "code"), [("+15005550001", "21212"), ("+15005550007", "21606")])
async def test_a_sender_that_twilio_refuses_is_the_operators_to_mend(
    twilio: FakeTwilio, sender: str, code: str
):
    failure = await failure_of(twilio.url, **{"from": sender})
    assert failure.code == code
    assert "sms.from" in failure.mend


async def test_a_full_queue_is_reported_as_passing(twilio: FakeTwilio):
    failure = await failure_of(twilio.url, **{"from": "+15005550008"})
    assert (failure.code, failure.retryable) == ("21611", True)


async def test_without_a_sender_twilio_says_so(twilio: FakeTwilio):
    assert (await failure_of(twilio.url, **{"from": None})).code == "21603"


async def test_a_wrong_token_names_the_setting_to_check(twilio: FakeTwilio):
    failure = await failure_of(twilio.url, auth_token="wrong-token")
    assert (failure.code, failure.retryable) == ("20003", False)
    assert "auth_token" in failure.mend
    assert "wrong-token" not in everything_said(failure)


async def test_an_overlong_text_is_refused(twilio: FakeTwilio):
    async with sending(twilio.url) as sender:
        await sender.send(PHONE, "x" * 1600)
        with pytest.raises(SendFailed) as failed:
            await sender.send(PHONE, "x" * 1601)
        assert failed.value.code == "21617"
        with pytest.raises(SendFailed) as failed:
            await sender.send(PHONE, "")
    assert failed.value.code == "21602"


async def test_an_untrusted_certificate_is_fatal_and_sends_nothing(tmp_path: Path):
    server, _ = self_signed(tmp_path)
    fake = FakeTwilio(tls=server)
    await fake.start()
    recorded = RecordedBackoff()
    try:
        failure = await failure_of(fake.url, recorded)
    finally:
        await fake.stop()
    assert (failure.code, failure.retryable) == ("tls", False)
    assert (fake.requests, recorded.pauses) == ([], [])


@pytest.mark.parametrize(
    ("status", "body", "code"),
    [
        (201, "<html>Welcome to the hotel</html>", "bad_answer"),
        (403, "<html>blocked by proxy</html>", "403"),
        (400, "[]", "400"),
        (400, '{"code": "many", "message": 7}', "400"),
        (302, "", "302"),
    ],
)
async def test_an_answer_that_is_not_twilios_is_a_failure(
    twilio: FakeTwilio, status: int, body: str, code: str
):
    twilio.fail_next(status=status, body=body)
    failure = await failure_of(twilio.url)
    assert failure.code == code
    assert len(twilio.requests) == 1


async def test_a_redirect_is_not_followed(twilio: FakeTwilio):
    twilio.fail_next(status=307, body="", headers={"Location": f"{twilio.url}/elsewhere"})
    assert (await failure_of(twilio.url)).code == "307"
    assert len(twilio.requests) == 1


async def test_a_send_that_hangs_blocks_nobody_else(twilio: FakeTwilio):
    twilio.hang_next()
    async with sending(twilio.url, timeout="60s") as sender:
        stuck = asyncio.create_task(sender.send(PHONE, TEXT))
        await until(lambda: twilio.requests)
        await asyncio.gather(*(sender.send(f"+49151123456{n:02}", TEXT) for n in range(20)))
        assert not stuck.done()
        assert len(twilio.messages) == 20
        stuck.cancel()
        with pytest.raises(asyncio.CancelledError):
            await stuck


async def test_simultaneous_sends_each_get_their_own_answer(twilio: FakeTwilio):
    numbers = [f"+49151123456{n:02}" for n in range(30)]
    async with sending(twilio.url) as sender:
        sids = await asyncio.gather(*(sender.send(number, TEXT) for number in numbers))
    assert {m.to: m.sid for m in twilio.messages} == dict(zip(numbers, sids, strict=True))


async def test_closing_leaves_no_open_session(twilio: FakeTwilio, recwarn: pytest.WarningsRecorder):
    async with sending(twilio.url) as sender:
        await sender.send(PHONE, TEXT)
    unused = TwilioSender(twilio_config(twilio.url), RecordedBackoff().backoff)
    await unused.close()
    assert not [w for w in recwarn if issubclass(w.category, ResourceWarning)]
    with pytest.raises(RuntimeError, match="closed"):
        await sender.send(PHONE, TEXT)


async def test_success_and_failure_leave_no_secret_in_any_log(
    twilio: FakeTwilio, caplog: pytest.LogCaptureFixture
):
    caplog.set_level(0)
    async with sending(twilio.url) as sender:
        await sender.send(PHONE, TEXT)
        twilio.fail_next(3, status=500)
        for to in (PHONE, "+15005550009"):
            with pytest.raises(SendFailed):
                await sender.send(to, TEXT)
    logged = everything_logged(caplog)
    assert "send repeated" in logged
    for secret in (CODE, AUTH_TOKEN, PHONE[3:], "5005550009", "Basic "):
        assert secret not in logged


@pytest.mark.parametrize("trouble", ["refused", "hang", "drop", "html", "number"])
async def test_no_exception_carries_code_token_or_number(twilio: FakeTwilio, trouble: str):
    to = "+15005550009" if trouble == "number" else PHONE
    if trouble == "html":
        twilio.fail_next(status=201, body=f"no JSON, but {PHONE} and {CODE}")
    elif trouble == "refused":
        twilio.fail_next(status=400, code=21211)
    elif trouble != "number":
        getattr(twilio, f"{trouble}_next")()
    failing = failure_in_time(twilio, to=to) if trouble == "hang" else failure_of(twilio.url, to=to)
    said = everything_said(await failing)
    for secret in (CODE, AUTH_TOKEN, PHONE[3:], "5005550009"):
        assert secret not in said
