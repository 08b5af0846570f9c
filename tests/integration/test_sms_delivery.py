"""Deliveries as Twilio reports them, on the page of who waits, in the records and in the day's spending."""

import asyncio
import logging
from pathlib import Path

import pytest

from gateway.stores.protocols.sms import FINAL, Delivery
from tests.fake_twilio import FakeTwilio
from tests.rig import PHONE
from tests.sms_rig import ask_for_code, delivery, records, sms_gateway, spent, verify_config
from tests.twilio_rules import Message
from tests.waiting import leap, until


async def test_the_page_follows_a_message_to_the_phone(tmp_path: Path) -> None:
    async with FakeTwilio() as twilio, sms_gateway(tmp_path, twilio) as rig, rig.browser() as browser:
        await rig.add_user()
        page = await ask_for_code(browser)
        assert "on its way" in page
        assert 'data-delivery="/_auth/sms/delivery"' in page
        assert await twilio.report(twilio.messages[0], "sent") == 204
        assert (await delivery(browser))["state"] == "sent"
        assert await twilio.report(twilio.messages[0], "delivered") == 204
        assert await delivery(browser) == {
            "state": "delivered",
            "text": "Delivered to your phone.",
            "final": True,
            "status": 200,
        }
        page = await (await browser.get("/_auth/verify")).text()  # without JavaScript, by a reload
        assert "Delivered to your phone." in page
        assert "data-delivery" not in page
        (record,) = await records(rig)
        assert (record.status, record.country, record.masked) == ("delivered", "DE", "+49•••••678")
        assert record.sid == twilio.messages[0].sid
        assert (await browser.code(twilio.code_for(PHONE))).status == 303
        assert (await records(rig))[0].verified_at > 0


async def test_a_failure_tells_the_user_another_way_and_the_operator_the_mend(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    async with FakeTwilio() as twilio, sms_gateway(tmp_path, twilio) as rig, rig.browser() as browser:
        await rig.add_user()
        await ask_for_code(browser)
        await twilio.report(twilio.messages[0], "undelivered", 30005)
        told = await delivery(browser)
        assert told["state"] == "failed"
        assert "could not be delivered" in told["text"]
        assert "another way" in told["text"]
        events = [getattr(record, "fields", {}) for record in caplog.records]
        (failure,) = [event for event in events if event.get("event") == "sms_undelivered"]
        assert (failure["code"], failure["to"]) == ("30005", "+49•••••678")
        assert "check the user's phone number" in failure["mend"]
        assert PHONE not in caplog.text


async def test_a_report_that_overtakes_the_answer_is_not_lost(tmp_path: Path) -> None:
    async with (
        FakeTwilio(callbacks=("queued", "sent", "delivered")) as twilio,
        sms_gateway(tmp_path, twilio) as rig,
        rig.browser() as browser,
    ):
        await rig.add_user()
        await ask_for_code(browser)
        await twilio.reported()
        assert (await records(rig))[0].status == "delivered"
        assert (await records(rig))[0].sid == twilio.messages[0].sid


async def test_the_bill_replaces_the_estimate(tmp_path: Path) -> None:
    spending = {"price": 0.10, "prices": {"DE": 0.08}}
    async with (
        FakeTwilio() as twilio,
        sms_gateway(tmp_path, twilio, spending=spending) as rig,
        rig.browser() as browser,
    ):
        await rig.add_user()
        await ask_for_code(browser)
        assert await spent(rig) == 80_000
        settle = rig.gateway.services.messaging.sms.deliveries.settle
        rig.clock.advance(120)
        await settle()
        assert await spent(rig) == 80_000  # Twilio does not know yet
        twilio.prices[twilio.messages[0].sid] = "-0.07500"
        rig.clock.advance(300)
        await settle()
        await settle()
        assert await spent(rig) == 75_000
        (record,) = await records(rig)
        assert (record.micros, record.priced) == (75_000, True)


async def test_a_price_in_the_report_counts_once(tmp_path: Path) -> None:
    async with FakeTwilio() as twilio, sms_gateway(tmp_path, twilio) as rig, rig.browser() as browser:
        await rig.add_user()
        await ask_for_code(browser)
        price = {"Price": "-0.02", "PriceUnit": "USD"}
        for _ in range(2):
            await twilio.report(twilio.messages[0], "delivered", more=price)
        assert await spent(rig) == 20_000


async def test_a_bill_in_another_currency_is_said_and_not_counted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with FakeTwilio() as twilio, sms_gateway(tmp_path, twilio) as rig, rig.browser() as browser:
        await rig.add_user()
        await ask_for_code(browser)
        price = {"Price": "-0.02", "PriceUnit": "EUR"}
        await twilio.report(twilio.messages[0], "delivered", more=price)
        assert await spent(rig) == 100_000
        assert "sms.spending.currency" in caplog.text


async def test_what_twilio_refused_costs_nothing(tmp_path: Path) -> None:
    async with FakeTwilio() as twilio, sms_gateway(tmp_path, twilio) as rig, rig.browser() as browser:
        await rig.add_user()
        twilio.fail_next(1, status=400, code=21608)
        await ask_for_code(browser)
        assert await spent(rig) == 0
        (record,) = await records(rig)
        assert (record.status, record.error, record.micros) == ("failed", "21608", 0)


async def test_what_may_have_been_sent_costs_nothing_until_its_bill_comes(tmp_path: Path) -> None:
    async with (
        FakeTwilio() as twilio,
        sms_gateway(tmp_path, twilio) as rig,
        rig.browser() as browser,
    ):
        await rig.add_user()
        twilio.hang_next()
        asking = asyncio.create_task(ask_for_code(browser))
        await until(lambda: twilio.requests)
        leap(10)
        await asking
        assert await spent(rig) == 0
        (record,) = await records(rig)
        assert record.status == "unknown"
        sid = "SM" + "0" * 32
        await rig.gateway.stores.sms.messages.report(
            record.id, Delivery(status="delivered", stage=FINAL, sid=sid), rig.clock()
        )
        twilio.messages.append(Message(sid=sid, to=PHONE, body="", sender="", fields={}))
        twilio.prices[sid] = "-0.08"
        rig.clock.advance(120)
        await rig.gateway.services.messaging.sms.deliveries.settle()
        assert await spent(rig) == 80_000


async def test_verify_has_its_records_and_bills_too(tmp_path: Path) -> None:
    async with (
        FakeTwilio() as twilio,
        sms_gateway(tmp_path, twilio, config=verify_config) as rig,
        rig.browser() as browser,
    ):
        await rig.add_user()
        assert "data-delivery" not in await ask_for_code(browser)  # Verify reports nothing by itself
        (record,) = await records(rig)
        assert record.sid.startswith("VL")
        twilio.prices[record.sid] = "0.05"
        rig.clock.advance(120)
        await rig.gateway.services.messaging.sms.deliveries.settle()
        assert await spent(rig) == 50_000
        assert (await browser.code(twilio.code_for(PHONE))).status == 303
