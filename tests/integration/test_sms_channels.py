"""Codes by SMS, call, WhatsApp and RCS, in the order of the number's country, from the country's sender."""

import json
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.fake_twilio import FakeTwilio
from tests.rig import Rig
from tests.sms_rig import ask_for_code, delivery, records, sms_gateway, spent, verify_config
from tests.twilio_rules import (
    CONTENT_SID,
    CONTENT_SID_DE,
    FROM,
    MESSAGING_SERVICE_SID,
    RCS_FROM,
    WHATSAPP_FROM,
)

GERMAN, BRITISH, AMERICAN, FRENCH = "+4915112345678", "+447400123456", "+12025550143", "+33612345678"
WHATSAPP = {"from": WHATSAPP_FROM, "templates": {"default": CONTENT_SID, "de": CONTENT_SID_DE}}
CHATS: dict[str, Any] = {
    "whatsapp": WHATSAPP,
    "rcs": {"from": RCS_FROM},
    "channels": {"default": ["sms", "call"], "DE": ["whatsapp", "sms", "call"], "GB": ["rcs", "sms"]},
    "spending": {"whatsapp_prices": {"DE": 0.07}, "rcs_price": 0.03, "price": 0.1, "voice_price": 0.2},
    "retries": 0,
}


def failed_channels(caplog: pytest.LogCaptureFixture) -> Sequence[tuple[str, str]]:
    found = [getattr(record, "fields", {}) for record in caplog.records]
    return [(one["channel"], one["code"]) for one in found if one.get("event") == "sms_channel_failed"]


async def resend(rig: Rig, browser: Any, **form: str) -> str:
    """Ask for another code once one may be had."""
    rig.clock.advance(31)
    token = await browser.token("/_auth/verify")
    answer = await browser.post(
        "/_auth/verify", {"csrf_token": token, "resend": "1", "rd": "/", "factor": "sms", **form}
    )
    return str(await answer.text())


async def test_a_code_goes_by_whatsapp_in_the_template_of_the_readers_language_and_says_so(
    tmp_path: Path,
) -> None:
    async with (
        FakeTwilio() as twilio,
        sms_gateway(tmp_path, twilio, **CHATS) as rig,
        rig.browser() as browser,
    ):
        await rig.add_user(phone=GERMAN)
        browser.session.headers["Accept-Language"] = "de"
        page = await ask_for_code(browser)
        assert "per WhatsApp an" in page
        (message,) = twilio.messages
        assert (message.to, message.sender) == (f"whatsapp:{GERMAN}", f"whatsapp:{WHATSAPP_FROM}")
        assert message.fields["ContentSid"] == CONTENT_SID_DE
        assert json.loads(message.fields["ContentVariables"]) == {"1": message.code}
        assert "Body" not in message.fields
        (record,) = await records(rig)
        assert (record.channel, record.micros) == ("whatsapp", 70_000)
        assert await spent(rig) == 70_000
        await twilio.report(message, "read")
        assert (await delivery(browser))["text"] == "In Ihrem WhatsApp angekommen."
        assert (await browser.code(message.code)).status == 303
        assert (await browser.get("/")).status == 200


async def test_what_whatsapp_does_not_take_goes_on_by_sms_with_the_same_code_and_one_budget(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    limits = {**CHATS, "budgets": {"user_hourly": 1}}
    async with (
        FakeTwilio() as twilio,
        sms_gateway(tmp_path, twilio, **limits) as rig,
        rig.browser() as browser,
    ):
        await rig.add_user(phone=GERMAN)
        twilio.fail_next(status=400, code=63003)
        page = await ask_for_code(browser)
        assert "WhatsApp" not in page
        (message,) = twilio.messages
        assert message.to == GERMAN
        assert await spent(rig) == 100_000  # WhatsApp's share is given back
        assert failed_channels(caplog) == [("whatsapp", "63003")]
        assert [one.channel for one in await records(rig)] == ["sms", "whatsapp"]
        assert message.code not in caplog.text
        assert GERMAN not in caplog.text
        assert (await browser.code(message.code)).status == 303


async def test_a_message_that_whatsapp_could_not_deliver_is_followed_by_an_sms(tmp_path: Path) -> None:
    """Twilio takes it and tells later that the number is not on WhatsApp."""
    async with (
        FakeTwilio() as twilio,
        sms_gateway(tmp_path, twilio, **CHATS) as rig,
        rig.browser() as browser,
    ):
        await rig.add_user(phone=GERMAN)
        await ask_for_code(browser)
        first = twilio.messages[-1]
        await twilio.report(first, "undelivered", 63024)
        view = await delivery(browser)
        assert "Your number could not be reached by WhatsApp or RCS." in view["text"]
        await resend(rig, browser)
        second = twilio.messages[-1]
        assert second.to == GERMAN
        assert (await browser.code(first.code)).status == 401  # the new one replaced it
        assert (await browser.code(second.code)).status == 303
    assert [message.to for message in twilio.messages] == [f"whatsapp:{GERMAN}", GERMAN]


async def test_the_order_ends_with_a_call_and_whoever_asks_for_a_call_gets_one(tmp_path: Path) -> None:
    async with (
        FakeTwilio() as twilio,
        sms_gateway(tmp_path, twilio, **CHATS) as rig,
        rig.browser() as browser,
    ):
        await rig.add_user(phone=GERMAN)
        twilio.fail_next(status=400, code=63014)
        twilio.fail_next(status=400, code=21610)
        assert "We are calling" in await ask_for_code(browser)
        assert twilio.messages == []
        assert "We are calling" in await resend(rig, browser, resend="call")
        assert [call.to for call in twilio.calls] == [GERMAN, GERMAN]
        assert (await browser.code(twilio.calls[-1].code)).status == 303


@pytest.mark.parametrize(("status", "code"), [(401, 20003), (400, 30450)])
async def test_no_other_channel_is_tried_where_the_account_or_a_fraud_stop_refuses(
    tmp_path: Path, status: int, code: int
) -> None:
    async with (
        FakeTwilio() as twilio,
        sms_gateway(tmp_path, twilio, **CHATS) as rig,
        rig.browser() as browser,
    ):
        await rig.add_user(phone=GERMAN)
        twilio.fail_next(status=status, code=code)
        await browser.password()
        assert (await browser.get("/_auth/verify")).status == 503
        assert len(twilio.requests) == 1
        assert await spent(rig) == 0


async def test_a_timeout_goes_on_to_no_other_channel_since_the_message_may_be_out(tmp_path: Path) -> None:
    async with (
        FakeTwilio() as twilio,
        sms_gateway(tmp_path, twilio, **CHATS) as rig,
        rig.browser() as browser,
    ):
        await rig.add_user(phone=GERMAN)
        twilio.drop_next()
        await browser.password()
        assert (await browser.get("/_auth/verify")).status == 503
        assert len(twilio.requests) == 1


async def test_rcs_carries_the_text_of_the_sms_and_has_no_change_to_sms_by_twilio(tmp_path: Path) -> None:
    async with (
        FakeTwilio() as twilio,
        sms_gateway(tmp_path, twilio, **CHATS) as rig,
        rig.browser() as browser,
    ):
        await rig.add_user(phone=BRITISH)
        assert "as a chat message (RCS)" in await ask_for_code(browser)
        (message,) = twilio.messages
        assert (message.to, message.sender) == (f"rcs:{BRITISH}", f"rcs:{RCS_FROM}")
        assert message.body.endswith(f"#{message.code}")
        assert (await records(rig))[0].micros == 30_000
        assert (await browser.code(message.code)).status == 303


async def test_each_country_has_its_sender(tmp_path: Path) -> None:
    senders = {"default": FROM, "GB": "Demo", "US": MESSAGING_SERVICE_SID, "FR": "12345"}
    async with (
        FakeTwilio() as twilio,
        sms_gateway(tmp_path, twilio, **{"from": None}, senders=senders) as rig,
    ):
        for name, phone in (("de", GERMAN), ("gb", BRITISH), ("us", AMERICAN), ("fr", FRENCH)):
            await rig.add_user(name, phone=phone)
            async with rig.browser() as browser:
                await ask_for_code(browser, name)
        sent = {
            one.to: (one.fields.get("From"), one.fields.get("MessagingServiceSid")) for one in twilio.messages
        }
        assert sent == {
            GERMAN: (FROM, None),
            BRITISH: ("Demo", None),
            AMERICAN: (None, MESSAGING_SERVICE_SID),
            FRENCH: ("12345", None),
        }


async def test_who_asks_again_gets_the_code_over_the_next_channel_unless_the_last_one_arrived(
    tmp_path: Path,
) -> None:
    """Without reports of deliveries nobody else tells that a number is not on WhatsApp."""
    async with (
        FakeTwilio() as twilio,
        sms_gateway(tmp_path, twilio, **CHATS) as rig,
        rig.browser() as browser,
    ):
        await rig.add_user(phone=GERMAN)
        await ask_for_code(browser)
        await resend(rig, browser)
        await twilio.report(twilio.messages[-1], "delivered")
        await resend(rig, browser)
        assert [one.to for one in twilio.messages] == [f"whatsapp:{GERMAN}", GERMAN, GERMAN]
        assert twilio.calls == []
        assert (await browser.code(twilio.messages[-1].code)).status == 303
        async with rig.browser() as another:  # a new sign-in begins with the country's first
            await ask_for_code(another)
        assert twilio.messages[-1].to == f"whatsapp:{GERMAN}"


async def test_a_text_that_is_not_known_to_have_arrived_is_followed_by_no_call(tmp_path: Path) -> None:
    async with (
        FakeTwilio() as twilio,
        sms_gateway(tmp_path, twilio, **CHATS) as rig,
        rig.browser() as browser,
    ):
        await rig.add_user(phone=FRENCH)
        await ask_for_code(browser)
        assert "Call me instead" in await resend(rig, browser)
        assert [one.to for one in twilio.messages] == [FRENCH, FRENCH]
        assert twilio.calls == []


async def test_verify_sends_over_the_channels_of_the_country_and_goes_on_where_one_is_off(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    channels = {"DE": ["whatsapp", "sms"]}
    async with (
        FakeTwilio() as twilio,
        sms_gateway(tmp_path, twilio, config=verify_config, channels=channels) as rig,
        rig.browser() as browser,
    ):
        await rig.add_user(phone=GERMAN)
        twilio.fail_next(status=400, code=60223)
        assert "WhatsApp" not in await ask_for_code(browser)
        rig.clock.advance(3600)
        async with rig.browser() as another:
            assert "by WhatsApp to" in await ask_for_code(another)
            assert [one.fields["Channel"] for one in twilio.messages] == ["sms", "whatsapp"]
            assert failed_channels(caplog) == [("whatsapp", "60223")]
            assert (await another.code(twilio.messages[-1].code)).status == 303
