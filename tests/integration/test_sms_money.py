"""What happens when SMS cost too much: voice, another factor, one word to the operator; and who is never locked out."""

import asyncio
import logging
from pathlib import Path
from typing import Any

import pytest

from gateway.observability import metrics
from tests.fake_twilio import FakeTwilio
from tests.rig import PHONE
from tests.sms_rig import SECOND_PHONE, ask_for_code, delivery, sms_gateway, spent, verify_config

NOTHING = {"daily_cap": 0}
NO_MONEY = {"daily_cap": 0, "daily_voice_cap": 0}


def events(caplog: pytest.LogCaptureFixture, name: str) -> list[dict[str, Any]]:
    found = [getattr(record, "fields", {}) for record in caplog.records]
    return [event for event in found if event.get("event") == name]


async def test_over_the_cap_the_code_is_read_out_in_a_call(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    async with (
        FakeTwilio() as twilio,
        sms_gateway(tmp_path, twilio, spending=NOTHING) as rig,
        rig.browser() as browser,
    ):
        await rig.add_user()
        page = await ask_for_code(browser)
        assert "We are calling" in page
        assert twilio.messages == []
        (call,) = twilio.calls
        assert (call.to, call.fields["Timeout"]) == (PHONE, "25")
        assert call.twiml.count(". ".join(call.code) + ".") == 3
        assert (await spent(rig), await spent(rig, "call")) == (0, 100_000)
        await twilio.report(call, "ringing")
        assert (await delivery(browser))["text"] == "Your phone is ringing."
        await twilio.report(call, "completed")
        assert (await delivery(browser))["state"] == "delivered"
        assert (await browser.code(call.code)).status == 303
        assert len(events(caplog, "sms_cap_reached")) == 1


async def test_a_call_that_nobody_answers_is_told(tmp_path: Path) -> None:
    async with (
        FakeTwilio() as twilio,
        sms_gateway(tmp_path, twilio, spending=NOTHING) as rig,
        rig.browser() as browser,
    ):
        await rig.add_user()
        await ask_for_code(browser)
        await twilio.report(twilio.calls[0], "no-answer")
        assert (await delivery(browser))["text"] == (
            "Our call did not reach you. Nobody answered. Please try another way."
        )


@pytest.mark.parametrize(
    ("fallback", "heading"),
    [
        (["voice", "email", "totp"], "Check your e-mail"),
        (["totp", "email"], "Check your e-mail"),  # no app is enrolled
        (["totp"], "Check your phone"),  # nothing stands in by itself, the mail is offered below
    ],
)
async def test_over_both_caps_another_factor_is_asked_for(
    tmp_path: Path, fallback: list[str], heading: str
) -> None:
    async with (
        FakeTwilio() as twilio,
        sms_gateway(tmp_path, twilio, spending=NO_MONEY, fallback=fallback) as rig,
        rig.browser() as browser,
    ):
        await rig.add_user(email="alice@example.com")
        page = await ask_for_code(browser)
        assert heading in page
        assert twilio.requests == []
        if heading == "Check your phone":
            assert 'name="factor" value="email"' in page
            page = await (await browser.get("/_auth/verify?factor=email")).text()
        assert (await browser.code(rig.codes[-1], method="email")).status == 303
        assert (await browser.get("/")).status == 200


async def test_a_stand_in_is_never_less_than_the_route_asks_for(tmp_path: Path) -> None:
    route = {"host": "*", "upstream": "UPSTREAM", "policy": {"require": "two_factor", "factors": ["sms"]}}
    async with (
        FakeTwilio() as twilio,
        sms_gateway(tmp_path, twilio, spending=NO_MONEY, sections={"routes": [route]}) as rig,
        rig.browser() as browser,
    ):
        await rig.add_user(email="alice@example.com")
        await browser.password()
        assert (await browser.get("/_auth/verify")).status == 503
        assert rig.codes == []  # no mail went out
        assert (await browser.get("/_auth/verify?factor=email")).status == 503


async def test_the_operator_hears_of_the_cap_once_a_day(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    async with FakeTwilio() as twilio, sms_gateway(tmp_path, twilio, spending=NO_MONEY) as rig:
        await rig.add_user()
        refused = metrics.sms_refused.labels("cap")._value.get()
        for _ in range(3):
            async with rig.browser() as browser:
                await browser.password()
                assert (await browser.get("/_auth/verify")).status == 503
        errors = [record for record in caplog.records if record.levelno >= logging.ERROR]
        told = [record.getMessage() for record in errors if record.name == "gateway.sms"]
        assert len(told) == 2  # SMS and calls
        assert "raise sms.spending.daily_cap" in told[0]
        assert [event["channel"] for event in events(caplog, "sms_cap_reached")] == ["sms", "call"]
        assert metrics.sms_refused.labels("cap")._value.get() == refused + 3
        rig.clock.advance(86400)
        async with rig.browser() as browser:
            await ask_for_code(browser)
        assert len(events(caplog, "sms_cap_reached")) == 4


async def test_parallel_sign_ins_never_overdraw_the_cap(tmp_path: Path) -> None:
    spending = {"price": 1.0, "daily_cap": 3.0, "daily_voice_cap": 0}
    async with FakeTwilio() as twilio, sms_gateway(tmp_path, twilio, spending=spending) as rig:
        names = [f"user{number}" for number in range(8)]
        for number, name in enumerate(names):
            await rig.add_user(name, phone=f"+491511234{number}000")
        browsers = [rig.browser() for _ in names]
        await asyncio.gather(*(ask_for_code(*pair) for pair in zip(browsers, names, strict=True)))
        assert len(twilio.messages) <= 3
        assert await spent(rig) == len(twilio.messages) * 1_000_000
        for browser in browsers:
            await browser.session.close()


async def test_a_new_day_has_a_new_cap(tmp_path: Path) -> None:
    spending = {"price": 1.0, "daily_cap": 1.0, "daily_voice_cap": 0}
    async with FakeTwilio() as twilio, sms_gateway(tmp_path, twilio, spending=spending) as rig:
        await rig.add_user()
        for sent, pause in ((1, 60), (1, 86400), (2, 0)):
            async with rig.browser() as browser:
                await ask_for_code(browser)
            assert len(twilio.messages) == sent
            rig.clock.advance(pause)


async def test_call_me_instead_is_offered_after_a_resend(tmp_path: Path) -> None:
    async with FakeTwilio() as twilio, sms_gateway(tmp_path, twilio) as rig, rig.browser() as browser:
        await rig.add_user()
        assert "Call me instead" not in await ask_for_code(browser)
        token = await browser.token("/_auth/verify")
        form = {"csrf_token": token, "rd": "/", "method": "sms"}
        rig.clock.advance(31)
        page = await (await browser.post("/_auth/verify", {**form, "resend": "1"})).text()
        assert "Call me instead" in page
        rig.clock.advance(31)
        page = await (await browser.post("/_auth/verify", {**form, "resend": "call"})).text()
        assert "We are calling" in page
        assert (len(twilio.messages), len(twilio.calls)) == (2, 1)
        assert (await browser.code(twilio.messages[-1].code)).status == 401  # the call's code took its place
        assert (await browser.code(twilio.calls[-1].code)).status == 303


async def test_calls_speak_the_language_of_the_page(tmp_path: Path) -> None:
    async with (
        FakeTwilio() as twilio,
        sms_gateway(tmp_path, twilio, spending=NOTHING) as rig,
        rig.browser() as browser,
    ):
        await rig.add_user()
        await browser.password()
        await browser.get("/_auth/verify", **{"Accept-Language": "de"})
        assert 'language="de-DE"' in twilio.calls[0].twiml
        assert "Anmeldecode" in twilio.calls[0].twiml


@pytest.mark.parametrize("sms", [{"voice": False}, {"from": "Harbour"}])
async def test_no_call_without_a_number_or_where_calls_are_off(tmp_path: Path, sms: dict[str, Any]) -> None:
    async with (
        FakeTwilio() as twilio,
        sms_gateway(tmp_path, twilio, spending=NOTHING, **sms) as rig,
        rig.browser() as browser,
    ):
        await rig.add_user()
        await browser.password()
        assert (await browser.get("/_auth/verify")).status == 503
        assert twilio.requests == []


async def test_verify_calls_too(tmp_path: Path) -> None:
    async with (
        FakeTwilio() as twilio,
        sms_gateway(tmp_path, twilio, config=verify_config, spending=NOTHING) as rig,
        rig.browser() as browser,
    ):
        await rig.add_user()
        assert "We are calling" in await ask_for_code(browser)
        assert twilio.messages[0].fields["Channel"] == "call"
        assert (await browser.code(twilio.code_for(PHONE))).status == 303


async def test_the_range_that_never_verifies_is_cut_off_and_others_are_not(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    pumping = {"sends": 3, "conversion": 0.5, "block": "2h"}
    async with FakeTwilio() as twilio, sms_gateway(tmp_path, twilio, pumping=pumping) as rig:
        for number in range(5):
            await rig.add_user(f"user{number}", phone=f"+4915112345{number}00")
        await rig.add_user("carol", phone="+15005550123", email="carol@example.com")
        for number in range(3):
            async with rig.browser() as browser:
                await ask_for_code(browser, f"user{number}")
        rig.clock.advance(130)  # time enough to type a code
        async with rig.browser() as browser:
            await browser.password("user3")
            assert (await browser.get("/_auth/verify")).status == 503
        assert len(twilio.messages) == 3
        (event,) = events(caplog, "sms_range_blocked")
        assert (event["range"], event["sends"], event["verified"]) == ("+49151123", 3, 0)
        assert "auth-gateway sms unblock +49151123" in event["mend"]
        async with rig.browser() as browser:
            await ask_for_code(browser, "carol")
        assert twilio.messages[-1].to == "+15005550123"
        rig.clock.advance(2 * 3600 + 1)
        async with rig.browser() as browser:
            await ask_for_code(browser, "user4")
        assert len(twilio.messages) == 5


async def test_a_range_whose_codes_come_back_is_not_cut_off(tmp_path: Path) -> None:
    async with FakeTwilio() as twilio, sms_gateway(tmp_path, twilio, pumping={"sends": 2}) as rig:
        await rig.add_user()
        for _ in range(4):
            async with rig.browser() as browser:
                await ask_for_code(browser)
                assert (await browser.code(twilio.code_for(PHONE))).status == 303
            rig.clock.advance(130)
        assert len(twilio.messages) == 4


@pytest.mark.parametrize(
    ("budget", "sent"),
    [("user_daily", 2), ("number_hourly", 2), ("ip_hourly", 2), ("prefix_daily", 2), ("daily", 2)],
)
async def test_each_budget_holds_and_says_its_name(tmp_path: Path, budget: str, sent: int) -> None:
    async with FakeTwilio() as twilio, sms_gateway(tmp_path, twilio, budgets={budget: sent}) as rig:
        await rig.add_user()
        await rig.add_user("bob", phone=SECOND_PHONE)
        before = metrics.sms_refused.labels(budget)._value.get()
        everyone = ("alice", "alice", "alice", "bob")
        for name in everyone:
            async with rig.browser() as browser:
                await ask_for_code(browser, name)
        own = budget.startswith(("user", "number"))
        assert len(twilio.messages) == (3 if own else 2)
        assert metrics.sms_refused.labels(budget)._value.get() == before + len(everyone) - len(
            twilio.messages
        )


async def test_a_number_outside_the_countries_is_refused_when_it_is_added(tmp_path: Path) -> None:
    async with (
        FakeTwilio() as twilio,
        sms_gateway(tmp_path, twilio, allowed_countries=["DE"]) as rig,
        rig.browser() as browser,
    ):
        await rig.add_user(phone="")
        await browser.password()
        token = await browser.token("/_auth/enrol?factor=sms")
        form = {"factor": "sms", "csrf_token": token, "rd": "/", "address": "+12025550143"}
        assert (await browser.post("/_auth/enrol", form)).status == 503
        assert (await browser.post("/_auth/enrol", {**form, "address": PHONE})).status == 200
        assert [message.to for message in twilio.messages] == [PHONE]
