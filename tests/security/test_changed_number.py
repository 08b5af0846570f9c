"""A changed number cools off: codes still go to the one before, which also hears of the change (rules 2 and 10)."""

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from gateway.messaging.sms.cool_off import trusted_number
from gateway.model import User
from gateway.stores.protocols.sms import PhoneChange
from tests.fake_twilio import FakeTwilio
from tests.rig import PHONE, Browser, Rig, running_gateway
from tests.sms_rig import SECOND_PHONE, ask_for_code, sms_gateway
from tests.waiting import until

DAY = 86400


def changes(*before: str) -> list[PhoneChange]:
    """Newest first."""
    return [PhoneChange(len(before) - place, "alice", number, 0.0) for place, number in enumerate(before)]


@pytest.mark.parametrize(
    ("now", "before", "trusted"),
    [
        ("+3", [], "+3"),
        ("+3", [""], "+3"),  # the first number
        ("+3", ["+2"], "+2"),
        ("+3", ["+2", "+1"], "+1"),
        ("+3", ["+2", ""], "+2"),  # the first number, corrected
        ("+3", ["", "+2"], ""),  # removed and given anew: the removed one is never used again
        ("+3", ["+2", "", "+1"], ""),
        ("", ["+2"], "+2"),
    ],
)
def test_the_number_before_the_changes_is_the_trusted_one(now: str, before: list[str], trusted: str) -> None:
    assert trusted_number(now, changes(*before)) == trusted


async def change_by_admin(rig: Rig, phone: str) -> None:
    user = await rig.directory.get("alice")
    assert user is not None
    await rig.directory.replace(replace(user, phone=phone))


async def user_of(rig: Rig, **fields: str) -> User:
    return await rig.add_user(email="alice@example.com", **fields)


async def heard_of(browser: Browser, done: Callable[[], bool]) -> None:
    """Until the worker has heard of a change."""

    async def heard() -> bool:
        await browser.get("/_auth/healthz")
        return done()

    await until(heard, "the worker hears of it")


async def told(twilio: FakeTwilio, browser: Browser) -> list[str]:
    """Messages that are no codes, once the worker has heard of the change."""
    await heard_of(browser, lambda: any("was" in message.body for message in twilio.messages))
    return [message.to for message in twilio.messages if "was" in message.body]


async def test_codes_go_to_the_number_before_for_a_day(tmp_path: Path) -> None:
    async with FakeTwilio() as twilio, sms_gateway(tmp_path, twilio) as rig, rig.browser() as browser:
        await user_of(rig)
        await change_by_admin(rig, SECOND_PHONE)
        page = await ask_for_code(browser)
        assert "•••••678" in page
        assert "codes still go to the one before" in page
        assert (await browser.code(twilio.code_for(PHONE))).status == 303
        rig.clock.advance(DAY + 1)
        async with rig.browser() as later:
            page = await ask_for_code(later)
            assert "•••••679" in page
            assert "the one before" not in page
            assert (await later.code(twilio.code_for(SECOND_PHONE))).status == 303


async def test_the_old_number_and_the_mailbox_hear_of_it_once(tmp_path: Path) -> None:
    async with FakeTwilio() as twilio, sms_gateway(tmp_path, twilio) as rig, rig.browser() as browser:
        await user_of(rig)
        await change_by_admin(rig, SECOND_PHONE)
        assert await told(twilio, browser) == [PHONE]
        text = next(message.body for message in twilio.messages if "was" in message.body)
        assert "was changed to +49*****679" in text
        assert "codes still come here" in text
        assert "http" not in text
        await heard_of(browser, lambda: "Mail to a•••••@example.com" in rig.terminal.getvalue())
        # Another change of the user is no news about the number.
        user = await rig.directory.get("alice")
        assert user is not None
        await rig.directory.replace(replace(user, name="Alice Doe"))
        await change_by_admin(rig, "+4915112345670")
        await heard_of(browser, lambda: SECOND_PHONE in [message.to for message in twilio.messages])
        assert await told(twilio, browser) == [PHONE, SECOND_PHONE]


async def test_a_removed_number_gets_nothing_and_the_user_another_factor(tmp_path: Path) -> None:
    async with FakeTwilio() as twilio, sms_gateway(tmp_path, twilio) as rig, rig.browser() as browser:
        await user_of(rig)
        await change_by_admin(rig, "")
        await change_by_admin(rig, SECOND_PHONE)
        page = await ask_for_code(browser)
        assert "Check your e-mail" in page
        assert "can’t send text messages" in page
        assert [message for message in twilio.messages if "is your" in message.body] == []
        await rig.gateway.services.messaging.sms.stores.changes.waive("alice")  # what --no-cool-off does
        await browser.get("/_auth/verify?factor=sms")
        assert twilio.messages[-1].to == SECOND_PHONE


async def test_a_cooling_number_is_still_a_second_factor(tmp_path: Path) -> None:
    """Else a thief with the password could add a factor to an account that seems to have none."""
    async with FakeTwilio() as twilio, sms_gateway(tmp_path, twilio) as rig, rig.browser() as thief:
        await rig.add_user()
        await change_by_admin(rig, "")
        await change_by_admin(rig, SECOND_PHONE)
        await thief.password()
        assert (await thief.get("/_auth/verify")).status == 503
        answer = await thief.get("/_auth/enrol?factor=totp&rd=/")
        assert answer.status == 303
        assert answer.headers["Location"].startswith("/_auth/verify")


async def test_a_number_that_is_being_added_is_proven_by_its_own_code(tmp_path: Path) -> None:
    async with running_gateway(tmp_path) as rig, rig.browser() as browser:
        await rig.add_user()
        await browser.sign_in()
        token = await browser.token("/_auth/enrol?factor=sms&rd=/_auth/account")
        form = {"factor": "sms", "csrf_token": token, "rd": "/_auth/account"}
        page = await (await browser.post("/_auth/enrol", {**form, "address": SECOND_PHONE})).text()
        assert "•••••679" in page
        added = await browser.post("/_auth/enrol", {**form, "code": rig.codes[-1]})
        assert added.status in (200, 303)
        sent = re.findall(r"SMS to (\S+)", rig.terminal.getvalue())
        assert sent[:2] == ["+49•••••678", "+49•••••679"]
        async with rig.browser() as other:
            await other.password()
            assert "•••••678" in await (await other.get("/_auth/verify")).text()
