"""Lookups that fail, that no money is left for, and what of them is kept: by gateways with rules of their own."""

import logging
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio

from tests.fake_twilio import FakeTwilio
from tests.fake_twilio_lookup import line, sim
from tests.lookup_rig import (
    FELL_BACK,
    LIMITS,
    NO_CODE,
    asked_of,
    events,
    lookup,
    number,
    page_of,
    sent_to,
)
from tests.second_phone_rig import start_adding
from tests.sms_rig import ask_for_code, sms_gateway, spent, verify_config

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def twilio() -> AsyncIterator[FakeTwilio]:
    async with FakeTwilio() as one:
        yield one


async def test_with_step_up_another_factor_is_asked_for_where_there_is_one(
    tmp_path: Path, twilio: FakeTwilio, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    rules = lookup(twilio, on_sim_swap="step_up", reassigned=False)
    alone, other = number(), number()
    twilio.lookup.facts |= {phone: {"sim_swap": sim(None, swapped=True)} for phone in (alone, other)}
    async with sms_gateway(tmp_path, twilio, lookup=rules, budgets=LIMITS) as rig:
        assert FELL_BACK in await page_of(rig, other, email="other@example.test")
        assert "digit code to" in await page_of(rig, alone)
    assert (sent_to(twilio, alone), sent_to(twilio, other)) == (["sms"], [])
    assert [one["action"] for one in events(caplog, "number_suspected")] == ["no code sent", "code sent"]


async def test_with_step_up_a_number_may_be_added_since_nothing_else_proves_it(
    tmp_path: Path, twilio: FakeTwilio
) -> None:
    first, added = number(), number()
    twilio.lookup.facts[added] = {"line_type_intelligence": line("nonFixedVoip")}
    async with (
        sms_gateway(tmp_path, twilio, lookup=lookup(twilio, on_voip="step_up")) as rig,
        rig.browser() as browser,
    ):
        await rig.add_user(phone=first, email="alice@example.test")
        await browser.password()
        await browser.get("/_auth/verify?factor=sms")
        assert (await browser.code(twilio.code_for(first), method="sms")).status == 303
        form, page = await start_adding(browser, added)
        assert "digit code to" in page
        code = twilio.code_for(added)
        assert (await browser.post("/_auth/enrol", {**form, "code": code})).status == 303


@pytest.mark.parametrize(("when_down", "sent"), [("allow", ["sms"]), ("refuse", [])])
async def test_while_lookup_is_down_codes_go_on_or_not_as_configured(
    tmp_path: Path, twilio: FakeTwilio, caplog: pytest.LogCaptureFixture, when_down: str, sent: Sequence[str]
) -> None:
    caplog.set_level(logging.INFO)
    rules, phone = lookup(twilio, when_down=when_down), number()
    async with sms_gateway(
        tmp_path, twilio, lookup=rules, retries=0, budgets={**LIMITS, "user_hourly": 1}
    ) as rig:
        await rig.add_user("down", phone=phone)
        twilio.fail_next(status=503)
        async with rig.browser() as browser:
            page = await ask_for_code(browser, "down")
            assert ("try again in a moment" in page) is (when_down == "refuse")
        assert sent_to(twilio, phone) == sent
        assert asked_of(twilio, phone) == []  # it was never taken
        (told,) = events(caplog, "sms_lookup_failed")
        assert told["code"] == "503"
        assert events(caplog, "sms_outage") == []  # messages are taken
        other = number()
        await page_of(rig, other)
        assert asked_of(twilio, other) == []  # nobody waits for it again so soon
        assert sent_to(twilio, other) == sent
        if when_down == "refuse":
            rig.clock.advance(31)
            async with rig.browser() as browser:
                await ask_for_code(browser, "down")
            assert sent_to(twilio, phone) == ["sms"]  # nothing of the user's budget was spent meanwhile
            assert await spent(rig) == 110_000 + 100_000


async def test_what_the_cap_leaves_no_money_for_is_not_asked(tmp_path: Path, twilio: FakeTwilio) -> None:
    rules, phone = lookup(twilio, when_down="refuse"), number()
    async with sms_gateway(tmp_path, twilio, lookup=rules, spending={"daily_cap": 0.1}) as rig:
        assert "try again in a moment" in await page_of(rig, phone)
        assert asked_of(twilio, phone) == sent_to(twilio, phone) == []
        assert await spent(rig) == 0


async def test_nobody_can_have_numbers_without_end_looked_up(tmp_path: Path, twilio: FakeTwilio) -> None:
    """Who adds numbers to the account one after the other spends a budget of lookups, not only one of messages."""
    rules, phones = lookup(twilio), [number() for _ in range(4)]
    async with sms_gateway(
        tmp_path, twilio, lookup=rules, budgets={**LIMITS, "user_hourly": 2}, cool_off="0s"
    ) as rig:
        await rig.add_user("greedy", phone=phones[0])
        for phone in phones:
            user = await rig.directory.get("greedy")
            assert user is not None
            await rig.directory.replace(replace(user, phone=phone))
            rig.clock.advance(61)
            async with rig.browser() as browser:
                await ask_for_code(browser, "greedy")
        assert [len(asked_of(twilio, phone)) for phone in phones] == [1, 1, 0, 0]


async def test_what_is_kept_says_nothing_of_the_number(tmp_path: Path, twilio: FakeTwilio) -> None:
    phone = number()
    twilio.lookup.facts[phone] = {"line_type_intelligence": line("fixedVoip")}
    async with sms_gateway(tmp_path, twilio, lookup=lookup(twilio)) as rig:
        await page_of(rig, phone)
    stored = b"".join(file.read_bytes() for file in tmp_path.glob("gateway.db*"))
    assert b"fixedVoip" not in stored
    assert b"line_type" not in stored


async def test_codes_of_twilio_verify_are_looked_up_as_well(tmp_path: Path, twilio: FakeTwilio) -> None:
    phone = number()
    twilio.lookup.facts[phone] = {"sim_swap": sim(None, swapped=True)}
    async with sms_gateway(tmp_path, twilio, config=verify_config, lookup=lookup(twilio)) as rig:
        assert NO_CODE in await page_of(rig, phone)
    assert sent_to(twilio, phone) == []
