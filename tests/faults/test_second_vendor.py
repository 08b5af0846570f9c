"""Twilio is down and another vendor sends: nobody waits for long, and Twilio sends again when it is well."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from gateway.errors import SendFailed
from gateway.messaging.senders.twilio.errors import twilio_failure
from gateway.messaging.sms.failover import is_vendor_down
from gateway.observability import metrics
from tests.fake_twilio import FakeTwilio
from tests.fake_vendor import FakeVendor, simple
from tests.rig import Rig
from tests.sms_rig import ask_for_code, records, sms_gateway, spent
from tests.waiting import free_port, leap, until

MANY = {"resend_after": "1s", "timeout": "60s", "retries": 0}


def switches(caplog: pytest.LogCaptureFixture) -> Sequence[tuple[str, str]]:
    found = [getattr(record, "fields", {}) for record in caplog.records]
    return [(one["instead_of"], one["vendor"]) for one in found if one.get("event") == "sms_vendor_switched"]


@asynccontextmanager
async def two_vendors(
    folder: Path, twilio: FakeTwilio, vendor: FakeVendor, users: int = 4, **sms: Any
) -> AsyncIterator[Rig]:
    backup = simple(vendor, **sms.pop("backup", {}))
    async with sms_gateway(folder, twilio, backup=backup, **{**MANY, **sms}) as rig:
        for number in range(users):
            await rig.add_user(f"user{number}", phone=f"+4915112345{number:03d}")
        yield rig


async def signs_in(rig: Rig, number: int, code: Callable[[], str]) -> None:
    """Asks for a code, types it, and is in."""
    async with rig.browser() as browser:
        await ask_for_code(browser, f"user{number}")
        token = await browser.token("/_auth/verify")
        answer = await browser.post("/_auth/verify", {"code": code(), "csrf_token": token})
        assert answer.status == 303, await answer.text()


def code_of(text: str) -> str:
    return next(word.strip("#") for word in text.split() if word.strip("#").isdigit())


OUTAGES: Sequence[Callable[[FakeTwilio], None]] = (
    lambda twilio: twilio.fail_next(9, status=503),
    lambda twilio: twilio.fail_next(9, status=500, code=20500),
    lambda twilio: twilio.limit_rate(9),
    lambda twilio: twilio.fail_next(9, status=401, code=20003),
    lambda twilio: twilio.drop_next(9),
)


async def test_while_twilio_takes_nothing_the_second_vendor_sends_and_back_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    async with FakeTwilio() as twilio, FakeVendor() as vendor, two_vendors(tmp_path, twilio, vendor) as rig:
        for round, down in enumerate(OUTAGES, 1):
            vendor.asked.clear()
            requests, own = len(twilio.requests), len(twilio.messages)
            down(twilio)
            for number in (0, 1):
                await signs_in(rig, number, lambda: code_of(vendor.asked[-1].body["text"]))
            assert [one.body["to"] for one in vendor.asked] == ["+4915112345000", "+4915112345001"]
            assert len(twilio.requests) == requests + 1, "only the first one asked Twilio"
            found = (await records(rig))[:2]
            assert {(one.provider, one.sid, one.status) for one in found} == {("spare", "m-1", "queued")}
            assert {one.body["ref"] for one in vendor.asked} == {one.id for one in found}
            assert all(one.verified_at for one in found)
            assert switches(caplog) == [("twilio", "spare"), ("spare", "twilio")] * (round - 1) + [
                ("twilio", "spare")
            ]

            twilio._failures.clear()
            rig.clock.advance(61)
            await signs_in(rig, 2, lambda: twilio.messages[-1].code)
            await signs_in(rig, 3, lambda: twilio.messages[-1].code)
            assert (len(vendor.asked), len(twilio.messages)) == (2, own + 2)
            rig.clock.advance(86400)  # fresh budgets
        assert switches(caplog) == [("twilio", "spare"), ("spare", "twilio")] * len(OUTAGES)
        assert "SMS can't be sent" not in caplog.text
        said = [f"{record.getMessage()} {vars(record)}" for record in caplog.records]
        codes = [code_of(one.body["text"]) for one in vendor.asked] + [one.code for one in twilio.messages]
        assert not [line for line in said for code in codes if code in line]


async def test_a_twilio_that_hangs_is_waited_for_once_in_a_while_by_one(tmp_path: Path) -> None:
    async with FakeTwilio() as twilio, FakeVendor() as vendor, two_vendors(tmp_path, twilio, vendor) as rig:
        twilio.hang_next(2)
        for round, number in ((1, 0), (2, 2)):
            async with rig.browser() as first, rig.browser() as second:
                await first.password(f"user{number}")
                waiting = asyncio.create_task(first.get("/_auth/verify"))
                await until(lambda round=round: len(twilio.requests) == round)
                if round == 2:  # it is known to be down: nobody else waits
                    await ask_for_code(second, "user1")
                    assert len(vendor.asked) == 2
                leap(60)
                assert (await waiting).status == 200
            rig.clock.advance(61)
        assert [one.body["to"][-1] for one in vendor.asked] == ["0", "1", "2"]


async def test_a_port_that_nobody_listens_at_is_a_vendor_that_is_down(tmp_path: Path) -> None:
    async with FakeTwilio() as twilio, FakeVendor() as vendor:
        base_url = f"http://127.0.0.1:{free_port()}"
        async with two_vendors(tmp_path, twilio, vendor, base_url=base_url) as rig:
            await signs_in(rig, 0, lambda: code_of(vendor.asked[-1].body["text"]))


async def test_where_another_channel_comes_first_sms_goes_out_by_the_second_vendor_all_the_same(
    tmp_path: Path,
) -> None:
    chat = {"from": "+15005550010", "templates": {"default": f"HX{'0' * 32}"}}
    more = {"channels": {"default": ["whatsapp", "sms"]}, "whatsapp": chat}
    async with (
        FakeTwilio() as twilio,
        FakeVendor() as vendor,
        two_vendors(tmp_path, twilio, vendor, users=1, **more) as rig,
    ):
        twilio.fail_next(9, status=503)
        await signs_in(rig, 0, lambda: code_of(vendor.asked[-1].body["text"]))
        newest, before = (await records(rig))[:2]
        assert [(one.provider, one.channel) for one in (newest, before)] == [
            ("spare", "sms"),
            ("twilio", "whatsapp"),
        ]
        assert await spent(rig) == newest.micros


async def test_stop_and_what_is_wrong_with_one_number_is_not_sent_again_by_another(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    async with FakeTwilio() as twilio, FakeVendor() as vendor, two_vendors(tmp_path, twilio, vendor) as rig:
        for code in (21610, 21211, 21408, 30450):
            twilio.fail_next(status=400, code=code)
            async with rig.browser() as browser:
                await browser.password("user0")
                assert (await browser.get("/_auth/verify")).status == 503
            assert (vendor.asked, switches(caplog)) == ([], [])
        await signs_in(rig, 1, lambda: twilio.messages[-1].code)


async def test_when_both_are_down_it_costs_nobody_anything_and_is_told_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    limits = {"pumping": {"sends": 3}, "budgets": {"user_hourly": 2}}
    async with (
        FakeTwilio() as twilio,
        FakeVendor(lambda asked: (503, {})) as vendor,
        two_vendors(tmp_path, twilio, vendor, **limits) as rig,
    ):
        twilio.fail_next(99, status=503)
        for number in (0, 1, 2, 3, 0, 0, 0):
            async with rig.browser() as browser:
                await browser.password(f"user{number}")
                assert (await browser.get("/_auth/verify")).status == 503
            rig.clock.advance(31)
        assert await spent(rig) == 0
        assert caplog.text.count("SMS can't be sent") == 1
        vendor.answer = lambda asked: (200, {"id": "m-2"})
        rig.clock.advance(200)
        await signs_in(rig, 0, lambda: code_of(vendor.asked[-1].body["text"]))


async def test_money_is_counted_over_both_and_by_the_price_of_who_sent(tmp_path: Path) -> None:
    prices = {"price": 0.10, "prices": {"DE": 0.08}, "daily_cap": 0.30}
    async with (
        FakeTwilio() as twilio,
        FakeVendor() as vendor,
        two_vendors(
            tmp_path, twilio, vendor, spending=prices, backup={"prices": {"DE": 0.11}}, fallback=[]
        ) as rig,
    ):
        async with rig.browser() as browser:
            await ask_for_code(browser, "user0")
        twilio.fail_next(9, status=503)
        async with rig.browser() as browser:
            await ask_for_code(browser, "user1")
        assert await spent(rig) == 80_000 + 110_000
        twilio.prices[twilio.messages[0].sid] = "-0.05000"
        rig.clock.advance(61)
        asked = len(twilio.requests)
        twilio._failures.clear()
        await rig.gateway.services.messaging.sms.deliveries.settle()
        assert await spent(rig) == 50_000 + 110_000
        assert len(twilio.requests) == asked + 1, "Twilio is not asked what the other vendor charged"
        vendors = await rig.gateway.stores.sms.reports.vendors(0)
        assert [(one.provider, one.messages, one.micros) for one in vendors] == [
            ("spare", 1, 110_000),
            ("twilio", 1, 50_000),
        ]
        sample = metrics.sms_total.labels("spare", "sms", "DE", "queued")
        assert sample._value.get() >= 1
        twilio.fail_next(9, status=503)
        async with rig.browser() as browser:
            await ask_for_code(browser, "user2")
        async with rig.browser() as browser:  # 0.05 + 0.11 + 0.11 + 0.08 is over the cap
            await browser.password("user3")
            assert (await browser.get("/_auth/verify")).status == 503


async def test_what_twilio_may_have_sent_as_well_is_counted_as_well(tmp_path: Path) -> None:
    prices = {"price": 0.10, "daily_cap": 9}
    async with (
        FakeTwilio() as twilio,
        FakeVendor() as vendor,
        two_vendors(tmp_path, twilio, vendor, spending=prices, backup={"price": 0.07}) as rig,
    ):
        twilio.drop_next()
        async with rig.browser() as browser:
            await ask_for_code(browser, "user0")
        assert await spent(rig) == 170_000


def test_a_failure_is_the_vendors_or_this_messages() -> None:
    of_the_vendor = ("503", "20503", "connect", "timeout", "spare 502", "vonage 401")
    of_the_message = ("spare 9", "21610", "30003", "60410", "budget", "")
    assert [code for code in of_the_vendor if not is_vendor_down(SendFailed("x", code=code))] == []
    assert is_vendor_down(twilio_failure(400, 63038))
    assert [code for code in of_the_message if is_vendor_down(SendFailed("x", code=code))] == []
