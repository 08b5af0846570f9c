"""Who answers no codes shuts no colleague off, at the same address or in the same range of numbers (FAULTS S24)."""

import logging
from pathlib import Path

import pytest

from gateway.stores.sql.sms import SqlSmsMessages
from tests.fake_twilio import FakeTwilio
from tests.integration.test_sms_money import events
from tests.rig import Browser, Rig
from tests.sms_rig import sms_gateway

PUMPING = {"sends": 8, "conversion": 0.5}


def number(of: int) -> str:
    return f"+4915112345{of:03}"


async def signed_in_before(rig: Rig, twilio: FakeTwilio, name: str, of: int, **form: str) -> Browser:
    await rig.add_user(name, phone=number(of))
    browser = rig.browser()
    await browser.password(name)
    await browser.get("/_auth/verify")
    assert (await browser.code(twilio.code_for(number(of)), **form)).status == 303
    return browser


async def asks(browser: Browser, name: str) -> int:
    await browser.password(name)
    return (await browser.get("/_auth/verify")).status


async def unanswered(rig: Rig, *names: str) -> None:
    """Insiders at the same address ask for codes and use none."""
    for name in names:
        async with rig.browser() as browser:
            await asks(browser, name)


async def test_an_address_whose_budget_insiders_spent_serves_those_who_answer(tmp_path: Path) -> None:
    budgets = {"ip_hourly": 4, "prefix_hourly": 4}
    async with FakeTwilio() as twilio, sms_gateway(tmp_path, twilio, budgets=budgets) as rig:
        before = await signed_in_before(rig, twilio, "carol", 0)
        await before.session.close()
        for of, name in enumerate(("mallory", "mallet", "dora"), 1):
            await rig.add_user(name, phone=number(of))
        await unanswered(rig, "mallory", "mallory", "mallet", "mallet")
        async with rig.browser() as carol, rig.browser() as dora, rig.browser() as again:
            assert await asks(carol, "carol") == 200
            assert twilio.messages[-1].to == number(0)
            assert await asks(dora, "dora") == 503, "nobody knows her yet"
            assert await asks(again, "mallory") == 503


async def test_silence_of_a_few_people_is_no_pumping_and_real_pumping_stops_no_known_user(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    budgets = {"ip_hourly": 1000, "ip_daily": 1000}
    async with FakeTwilio() as twilio, sms_gateway(tmp_path, twilio, pumping=PUMPING, budgets=budgets) as rig:
        carol = await signed_in_before(rig, twilio, "carol", 0)
        device = await signed_in_before(rig, twilio, "erin", 99, remember_device="on")
        for of in range(1, 12):
            await rig.add_user(f"user{of}", phone=number(of))
        rig.clock.advance(130)
        await unanswered(rig, *["user1"] * 9)
        rig.clock.advance(130)
        async with rig.browser() as first:
            assert await asks(first, "user2") == 200, "one person who answers nothing is no pumping"
        assert events(caplog, "sms_range_blocked") == []
        assert len(events(caplog, "sms_range_suspected")) == 1, "but the operator has heard"

        await unanswered(rig, *(f"user{of}" for of in range(3, 8)))
        rig.clock.advance(130)
        async with rig.browser() as stranger:
            assert await asks(stranger, "user10") == 503
        assert len(events(caplog, "sms_range_blocked")) == 1
        for known, name in ((carol, "carol"), (device, "erin")):
            token = await known.token("/_auth/logout")
            await known.post("/_auth/logout", {"csrf_token": token})
            assert await asks(known, name) in (200, 303)
            assert (await known.get("/_auth/verify?factor=sms")).status in (200, 303)
            await known.session.close()


async def test_a_remembered_device_passes_though_its_user_answered_nothing_lately(tmp_path: Path) -> None:
    route = {"host": "*", "upstream": "UPSTREAM", "policy": {"require": "two_factor", "factors": ["sms"]}}
    budgets = {"ip_hourly": 3}
    async with (
        FakeTwilio() as twilio,
        sms_gateway(tmp_path, twilio, budgets=budgets, sections={"routes": [route]}) as rig,
    ):
        erin = await signed_in_before(rig, twilio, "erin", 9, remember_device="on")
        token = await erin.token("/_auth/logout")
        await erin.post("/_auth/logout", {"csrf_token": token})
        await SqlSmsMessages(rig.gateway.stores.engine).purge(rig.clock.now + 1)  # as after sms.messages_kept
        await rig.add_user("mallory", phone=number(1))
        await unanswered(rig, "mallory", "mallory", "mallory")
        async with rig.browser() as other:
            assert await asks(other, "erin") == 503
        sent = len(twilio.messages)
        assert await asks(erin, "erin") == 200
        assert len(twilio.messages) == sent + 1
        await erin.session.close()
