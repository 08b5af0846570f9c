"""Twilio Lookup before a code goes out: calls for landlines, another factor for a changed SIM, and what it costs."""

import logging
import re
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from tests.admin_rig import shown
from tests.fake_twilio import FakeTwilio
from tests.fake_twilio_lookup import line, reassigned, risk, sim
from tests.lookup_rig import (
    FELL_BACK,
    LIMITS,
    NO_CODE,
    NUMBERS,
    REVEALING,
    asked_of,
    events,
    lookup,
    number,
    page_of,
    sent_to,
)
from tests.rig import Rig
from tests.sms_rig import ask_for_code, sms_gateway, spent

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def twilio() -> AsyncIterator[FakeTwilio]:
    async with FakeTwilio() as one:
        yield one


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def rig(tmp_path_factory: pytest.TempPathFactory, twilio: FakeTwilio) -> AsyncIterator[Rig]:
    """Everything is asked, nothing suspect gets a code; each test has users and numbers of its own."""
    options = {"lookup": lookup(twilio, on_voip="deny"), "budgets": LIMITS, "pumping": {"conversion": 0}}
    async with sms_gateway(tmp_path_factory.mktemp("lookup"), twilio, retries=0, **options) as one:
        yield one


def dated(rig: Rig, facts: dict[str, Any]) -> dict[str, Any]:
    """With the date for "3 days ago": other tests move the clock."""
    last = (facts.get("sim_swap") or {}).get("last_sim_swap") or {}
    if not str(last.get("last_sim_swap_date")).endswith("ago"):
        return facts
    at = rig.clock() - 86400 * int(last["last_sim_swap_date"].split()[0])
    moment = time.strftime("%Y-%m-%dT%H:%M:%S.322Z", time.gmtime(at))
    return {"sim_swap": {**facts["sim_swap"], "last_sim_swap": {**last, "last_sim_swap_date": moment}}}


async def test_an_answer_counts_for_a_while_and_the_sims_for_less(rig: Rig, twilio: FakeTwilio) -> None:
    phone, before = number(), await spent(rig)
    await rig.add_user("kept", phone=phone)

    async def sign_in() -> None:
        async with rig.browser() as browser:
            await ask_for_code(browser, "kept")
            assert (await browser.code(twilio.code_for(phone))).status == 303

    await sign_in()
    assert asked_of(twilio, phone) == [{"Fields": "line_type_intelligence,sim_swap,sms_pumping_risk"}]
    assert await spent(rig) == before + 110_000 + 100_000  # three answers and a message
    await sign_in()  # the number has answered a code now, so that it can have changed hands since
    today = time.strftime("%Y%m%d", time.gmtime(rig.clock()))
    assert asked_of(twilio, phone)[1:] == [{"Fields": "reassigned_number", "LastVerifiedDate": today}]
    rig.clock.advance(3601)
    await sign_in()
    assert asked_of(twilio, phone)[2:] == [{"Fields": "sim_swap"}]


async def test_a_landline_gets_a_call(rig: Rig, twilio: FakeTwilio) -> None:
    phone = number()
    twilio.lookup.facts[phone] = {"line_type_intelligence": line("landline")}
    assert "We are calling" in await page_of(rig, phone)
    assert sent_to(twilio, phone) == ["call"]


@pytest.mark.parametrize(
    ("reason", "facts"),
    [
        ("sim_swap", {"sim_swap": sim("3 days ago", swapped=True)}),
        ("sim_swap", {"sim_swap": sim("6 days ago", period="PT24H", swapped=False)}),
        ("sim_swap", {"sim_swap": sim(None, swapped=True)}),
        ("voip", {"line_type_intelligence": line("nonFixedVoip")}),
        ("voip", {"line_type_intelligence": line("fixedVoip")}),
        ("pumping_risk", {"sms_pumping_risk": risk(75)}),
        ("pumping_risk", {"sms_pumping_risk": risk(3, blocked=True)}),
    ],
)
async def test_a_suspect_number_gets_no_code_and_the_page_does_not_say_why(
    rig: Rig, twilio: FakeTwilio, caplog: pytest.LogCaptureFixture, reason: str, facts: dict[str, Any]
) -> None:
    caplog.set_level(logging.INFO)
    alone, other = number(), number()
    twilio.lookup.facts |= dict.fromkeys((alone, other), dated(rig, facts))
    page = await page_of(rig, alone)
    assert NO_CODE in page
    assert "Please ask your administrator." in page
    another = await page_of(rig, other, email=f"m{next(NUMBERS)}@example.test")
    assert FELL_BACK in another
    assert "Check your e-mail" in another
    for text in (page, another):
        assert [word for word in REVEALING if word in text] == []
    assert sent_to(twilio, alone) == sent_to(twilio, other) == []
    told = events(caplog, "number_suspected")
    assert [(one["reason"], one["action"]) for one in told] == [(reason, "no code sent")] * 2
    assert all(one["mend"] and one["to"].startswith("+1•••••") for one in told)
    assert alone not in caplog.text


@pytest.mark.parametrize(
    "facts",
    [
        {"sim_swap": sim("14 days ago", swapped=True)},
        {"sim_swap": sim(None, swapped=None)},
        {"sim_swap": None},
        {"sim_swap": {**sim(None), "last_sim_swap": None}},
        {"sim_swap": {**sim(None), "error_code": 60620}},
        {"line_type_intelligence": {**line("mobile"), "type": None, "error_code": 60600}},
        {"sms_pumping_risk": risk(74)},
    ],
)
async def test_what_is_long_ago_low_or_not_known_stops_nobody(
    rig: Rig, twilio: FakeTwilio, caplog: pytest.LogCaptureFixture, facts: dict[str, Any]
) -> None:
    caplog.set_level(logging.INFO)
    phone = number()
    twilio.lookup.facts[phone] = dated(rig, facts)
    await page_of(rig, phone)
    assert sent_to(twilio, phone) == ["sms"]
    assert events(caplog, "number_suspected") == events(caplog, "sms_lookup_failed") == []


async def test_a_number_that_changed_hands_since_its_last_code_gets_none(
    rig: Rig, twilio: FakeTwilio
) -> None:
    phone = number()
    await rig.add_user("moved", phone=phone, email="moved@example.test")
    async with rig.browser() as browser:
        await ask_for_code(browser, "moved")
        assert (await browser.code(twilio.code_for(phone))).status == 303
    twilio.lookup.facts[phone] = {"reassigned_number": reassigned("yes")}
    rig.clock.advance(90 * 86400)
    async with rig.browser() as browser:
        await browser.password("moved")
        page = await (await browser.get("/_auth/verify?factor=sms")).text()
        assert FELL_BACK in page
    assert sent_to(twilio, phone) == ["sms"]


@pytest.mark.parametrize("facts", [{"valid": False}, {"line_type_intelligence": line("pager")}])
async def test_a_number_that_is_none_gets_no_code(
    rig: Rig, twilio: FakeTwilio, facts: dict[str, Any]
) -> None:
    phone = number()
    twilio.lookup.facts[phone] = facts
    assert NO_CODE in await page_of(rig, phone)
    assert sent_to(twilio, phone) == []


async def test_what_the_account_lacks_is_told_once_and_stops_nobody(
    rig: Rig, twilio: FakeTwilio, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    phones = number(), number()
    twilio.lookup.facts |= {phone: {"sim_swap": {**sim(None), "error_code": 60606}} for phone in phones}
    for phone in phones:
        await page_of(rig, phone)
        assert sent_to(twilio, phone) == ["sms"]
    (told,) = events(caplog, "sms_lookup_failed")
    assert (told["packages"], told["code"]) == (["sim_swap"], "60606")
    assert "have Twilio enable it" in told["mend"]


@pytest.mark.parametrize(
    "broken",
    [{"sim_swap": "swapped"}, {"sim_swap": {}}, {"sms_pumping_risk": {"error_code": "?"}}, {"valid": None}],
)
async def test_an_answer_that_is_not_as_documented_is_none(
    rig: Rig, twilio: FakeTwilio, caplog: pytest.LogCaptureFixture, broken: dict[str, Any]
) -> None:
    caplog.set_level(logging.INFO)
    rig.clock.advance(3601)  # it is told once an hour
    phone = number()
    twilio.lookup.facts[phone] = broken
    await page_of(rig, phone)
    assert [one["code"] for one in events(caplog, "sms_lookup_failed")] == ["bad_answer"]
    assert sent_to(twilio, phone) == ["sms"]
    assert phone not in caplog.text
    rig.clock.advance(31)


async def test_nobody_is_looked_up_before_the_password_was_right(rig: Rig, twilio: FakeTwilio) -> None:
    phone, before = number(), len(twilio.lookup.asked)
    await rig.add_user("guarded", phone=phone)
    async with rig.browser() as browser:
        assert (await browser.password("guarded", "wrong")).status == 401
        assert (await browser.password("nobody at all", "wrong")).status == 401
    assert len(twilio.lookup.asked) == before


async def test_the_console_shows_what_is_known_of_a_users_number_and_asks_nobody(
    rig: Rig, twilio: FakeTwilio
) -> None:
    phone, own = number(), number()
    facts = {"line_type_intelligence": line("mobile"), "sms_pumping_risk": risk(61)}
    twilio.lookup.facts[phone] = facts | dated(rig, {"sim_swap": sim("14 days ago", swapped=True)})
    await rig.add_user("shown", phone=phone)
    await rig.add_user("root", phone=own, groups=("admins",))
    async with rig.browser() as browser, rig.browser() as admin:
        await ask_for_code(admin, "root")
        assert (await admin.code(twilio.code_for(own))).status == 303
        before = await shown(admin, "/user?name=shown")
        await ask_for_code(browser, "shown")
        asked = len(twilio.lookup.asked)
        after = await shown(admin, "/user?name=shown")
    assert len(twilio.lookup.asked) == asked
    assert 'id="known"' not in before
    known = after.partition('id="known"')[2].partition("</dl>")[0]
    changed = time.strftime("%Y-%m-%d", time.gmtime(rig.clock() - 14 * 86400))
    assert re.findall(r"mobile|61 / 100|SIM changed|new owner", known) == [
        "mobile",
        "SIM changed",
        "61 / 100",
    ]
    assert changed in known
