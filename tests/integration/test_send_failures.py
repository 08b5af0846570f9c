"""A code that can't be sent: each failure says what it is and what helps, on every page that sends codes."""

import itertools
import re
from collections.abc import AsyncIterator

import pyotp
import pytest
import pytest_asyncio

from tests.fake_twilio import FakeTwilio
from tests.rig import Browser, Rig
from tests.sms_rig import sms_gateway
from tests.waiting import until

pytestmark = pytest.mark.asyncio(loop_scope="module")
NUMBERS = itertools.count(100_000)
MOMENT = "try again in a moment"
LANDLINE = "+493012345678"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def twilio() -> AsyncIterator[FakeTwilio]:
    async with FakeTwilio() as one:
        yield one


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def rig(tmp_path_factory: pytest.TempPathFactory, twilio: FakeTwilio) -> AsyncIterator[Rig]:
    """One gateway for all: each test has a user and a number of its own."""
    budgets = {"ip_hourly": 500, "prefix_hourly": 500, "number_hourly": 500}
    async with sms_gateway(tmp_path_factory.mktemp("failures"), twilio, retries=0, budgets=budgets) as one:
        yield one


async def user(rig: Rig, phone: str = "", **fields: str) -> str:
    number = next(NUMBERS)
    await rig.add_user(f"u{number}", phone=phone or f"+4915113{number:06d}", **fields)
    return f"u{number}"


async def told(browser: Browser, page: str = "/_auth/verify") -> str:
    """What the page says of a failure."""
    text = await (await browser.get(page)).text()
    found = re.search(r'<div class="message warn" id="send-failed"[^>]*>(.*?)</div>', text, re.DOTALL)
    return re.sub(r"\s+", " ", re.sub("<[^>]*>", "", found[1])).strip() if found else ""


@pytest.mark.parametrize(
    ("number", "sentence"),
    [
        ("+15005550001", "We could not send a code to your phone number."),
        ("+15005550003", "We can’t send codes to phone numbers of that country."),
        ("+15005550004", "Text START to our number"),
        ("+15005550009", "can’t receive text messages"),
    ],
)
async def test_a_number_that_gets_no_codes_is_told_why(rig: Rig, number: str, sentence: str) -> None:
    name = await user(rig, number)
    async with rig.browser() as browser:
        await browser.password(name)
        found = await told(browser)
        assert sentence in found
        assert MOMENT not in found


async def test_what_waiting_does_not_mend_is_not_said_to_be_a_matter_of_moments(
    rig: Rig, twilio: FakeTwilio
) -> None:
    name = await user(rig)
    async with rig.browser() as browser:
        await browser.password(name)
        twilio.fail_next(status=401, code=20003)
        found = await told(browser)
        assert "Trying again won’t help" in found
        assert MOMENT not in found


async def test_what_waiting_may_mend_is_said_so(rig: Rig, twilio: FakeTwilio) -> None:
    name = await user(rig)
    async with rig.browser() as browser:
        await browser.password(name)
        twilio.fail_next(status=503)
        assert MOMENT in await told(browser)


async def test_other_ways_are_named_where_the_user_has_some(rig: Rig) -> None:
    name = await user(rig, "+15005550004", email="a@example.test")
    async with rig.browser() as browser:
        await browser.password(name)
        assert "use another way below" in await told(browser, "/_auth/verify?factor=sms")


async def test_the_page_of_a_reset_says_it_too(rig: Rig) -> None:
    name = await user(rig, "+15005550004", email=f"r{next(NUMBERS)}@example.test")
    async with rig.browser() as browser:
        token, written = await browser.token("/_auth/reset"), rig.terminal.getvalue().count("reset?token=")
        await browser.post("/_auth/reset", {"csrf_token": token, "username": name})
        await until(lambda: rig.terminal.getvalue().count("reset?token=") > written, "a link is mailed")
        link = rig.terminal.getvalue().rpartition("token=")[2].split()[0]
        token = await browser.token(f"/_auth/reset?token={link}")
        form = {"csrf_token": token, "token": link, "factor": "sms"}
        page = await (await browser.post("/_auth/reset", form)).text()
        assert "Text START to our number" in page


async def test_adding_a_number_says_it_too(rig: Rig) -> None:
    name = f"u{next(NUMBERS)}"
    await rig.add_user(name, phone="")
    async with rig.browser() as browser:
        await browser.password(name)
        token = await browser.token("/_auth/enrol?factor=sms&rd=/")
        form = {"csrf_token": token, "rd": "/", "factor": "sms", "address": "+15005550004"}
        answer = await browser.post("/_auth/enrol", form)
        assert answer.status == 503
        assert "Text START to our number" in await answer.text()


async def test_a_landline_gets_a_call_at_once(rig: Rig, twilio: FakeTwilio) -> None:
    name = await user(rig, LANDLINE)
    async with rig.browser() as browser:
        await browser.password(name)
        page = await (await browser.get("/_auth/verify")).text()
        assert "We are calling" in page
        assert [call.to for call in twilio.calls][-1:] == [LANDLINE]
        assert LANDLINE not in [message.to for message in twilio.messages]
        assert (await browser.code(twilio.calls[-1].code)).status == 303


async def test_a_landline_is_refused_where_nobody_can_call(
    tmp_path_factory: pytest.TempPathFactory, twilio: FakeTwilio
) -> None:
    folder, before = tmp_path_factory.mktemp("landline"), len(twilio.messages)
    async with sms_gateway(folder, twilio, voice=False) as rig, rig.browser() as browser:
        await rig.add_user(phone=LANDLINE)
        await browser.password()
        found = await told(browser)
        assert "can’t receive text messages" in found
        assert MOMENT not in found
        assert len(twilio.messages) == before


async def test_wrong_codes_of_an_app_block_no_other_factor(rig: Rig, twilio: FakeTwilio) -> None:
    name = await user(rig, email="b@example.test")
    async with rig.browser() as browser:
        await browser.password(name)
        await browser.token("/_auth/verify?factor=sms")
        await browser.code(twilio.code_for((await rig.directory.get(name)).phone), rd="/")  # type: ignore[union-attr]
        token = await browser.token("/_auth/enrol?factor=totp&rd=/_auth/account")
        page = await (await browser.get("/_auth/enrol?factor=totp&rd=/_auth/account")).text()
        secret = re.search(r"secret=([A-Z2-7]+)", page)
        assert secret is not None
        code = pyotp.TOTP(secret[1]).at(int(rig.clock()))
        form = {"csrf_token": token, "rd": "/_auth/account", "factor": "totp", "code": code}
        await browser.post("/_auth/enrol", form)
    async with rig.browser() as browser:
        await browser.password(name)
        for _ in range(5):
            assert (await browser.code("000000", method="totp")).status == 401
        token = await browser.token("/_auth/verify")
        await browser.post("/_auth/verify", {"csrf_token": token, "rd": "/", "factor": "sms"})
        code = twilio.code_for((await rig.directory.get(name)).phone)  # type: ignore[union-attr]
        form = {"csrf_token": token, "rd": "/", "method": "sms", "code": code}
        assert (await browser.post("/_auth/verify", form)).status == 303
