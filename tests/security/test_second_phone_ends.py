"""When a second number counts no more: removed, changed, foreign, or all that is left."""

from dataclasses import replace
from pathlib import Path

from gateway.authn.factors.phone_lines import SECOND_PHONE as KIND
from gateway.authn.factors.phone_lines import SecondPhone, forget_second_phone, waive_second_phone
from tests.fake_twilio import FakeTwilio
from tests.integration.test_account import ACCOUNT, act, add_app, ids, page
from tests.rig import PHONE, running_gateway
from tests.second_phone_rig import ENROL, hold, other_number, start_adding
from tests.security.test_rule_02_codes import PLENTY
from tests.sms_rig import SECOND_PHONE, ask_for_code, sms_gateway


async def test_it_goes_when_its_owner_an_administrator_or_the_first_number_says_so(tmp_path: Path) -> None:
    async with running_gateway(tmp_path) as rig, rig.browser() as browser:
        await rig.add_user()
        await hold(rig)
        credentials = rig.gateway.stores.credentials
        await browser.sign_in()
        assert ids(await page(browser), "remove") == ["held"]  # the only factor stays
        assert await act(browser, "prefer", kind=KIND) != (303, f"{ACCOUNT}?done=preferred")
        assert await act(browser, "remove", id="held") == (303, f"{ACCOUNT}?done=removed")
        await hold(rig)
        await add_app(browser)
        assert await act(browser, "remove", id="sms") == (303, f"{ACCOUNT}?done=removed")
        assert await credentials.list("alice", KIND) == []
        await rig.gateway.services.audit.flush()
        events = [event.event for event in await rig.gateway.services.stores.audit_log.tail(9)]
        assert events.count("factor_removed") == 2


async def test_a_code_at_a_number_that_was_removed_or_changed_is_void(tmp_path: Path) -> None:
    async with FakeTwilio() as twilio, sms_gateway(tmp_path, twilio) as rig:
        await rig.add_user()
        credentials = rig.gateway.stores.credentials
        for changed in (False, True):
            await hold(rig)
            async with rig.browser() as browser:
                await ask_for_code(browser)
                rig.clock.advance(31)
                assert "+49•••••679" in await other_number(browser)
                await credentials.remove("alice", "held")
                if changed:
                    await SecondPhone(credentials, rig.clock).store("alice", "+4915112345670")
                assert (await browser.code(twilio.code_for(SECOND_PHONE))).status == 401
                rig.clock.advance(31)
                await browser.get(
                    "/_auth/verify"
                )  # sends another, which the next look at the page leaves alone
                assert (await browser.code(twilio.code_for(PHONE))).status == 303
            await forget_second_phone(credentials, "alice")


async def test_a_changed_first_number_hears_of_nothing_its_thief_adds(tmp_path: Path) -> None:
    """The number before does: the new one may be the thief's as well."""
    async with FakeTwilio() as twilio, sms_gateway(tmp_path, twilio) as rig, rig.browser() as browser:
        user = await rig.add_user()
        await ask_for_code(browser)
        await browser.code(twilio.code_for(PHONE))
        await rig.directory.replace(replace(user, phone="+4915112345670"))
        form, _ = await start_adding(browser)
        await browser.post("/_auth/enrol", {**form, "code": twilio.code_for(SECOND_PHONE)})
        await rig.gateway.services.messaging.notices.finish()
        told = [message.to for message in twilio.messages if "second phone number" in message.body]
        assert told == [PHONE]


async def test_a_first_number_that_the_directory_drops_leaves_a_second_factor(tmp_path: Path) -> None:
    """Else whoever has the password could add a factor of their own."""
    async with FakeTwilio() as twilio, sms_gateway(tmp_path, twilio) as rig, rig.browser() as browser:
        user = await rig.add_user()
        await hold(rig)
        await rig.directory.replace(replace(user, phone=""))
        await browser.password()
        answer = await browser.get("/_auth/enrol?factor=totp&rd=/")
        assert answer.headers["Location"].startswith("/_auth/verify")
        assert "+49•••••679" in await (await browser.get("/_auth/verify")).text()
        assert [message.to for message in twilio.messages if "is your" in message.body] == [SECOND_PHONE]
        assert (await browser.code(twilio.code_for(SECOND_PHONE))).status == 303
        assert ids(await page(browser), "remove") == []  # the only factor stays


async def test_while_it_cools_off_alone_nobody_gets_a_code(tmp_path: Path) -> None:
    async with FakeTwilio() as twilio, sms_gateway(tmp_path, twilio) as rig, rig.browser() as thief:
        user = await rig.add_user()
        credentials = rig.gateway.stores.credentials
        await SecondPhone(credentials, rig.clock).store("alice", SECOND_PHONE)
        await rig.directory.replace(replace(user, phone=""))
        await thief.password()
        assert (await thief.get("/_auth/verify")).status == 503
        assert (await thief.get("/_auth/enrol?factor=totp&rd=/")).status == 303
        assert [message for message in twilio.messages if "is your" in message.body] == []
        await waive_second_phone(credentials, "alice")  # what --no-cool-off does
        assert (await thief.get("/_auth/verify")).status == 200
        assert twilio.messages[-1].to == SECOND_PHONE


async def test_its_code_proves_nothing_about_the_session_that_adds_it(tmp_path: Path) -> None:
    async with running_gateway(tmp_path) as rig, rig.browser() as browser:
        await rig.add_user()
        await browser.sign_in()
        rig.clock.advance(600)
        form, _ = await start_adding(browser)
        assert (await browser.post("/_auth/enrol", {**form, "code": rig.codes[-1]})).status in (200, 303)
        assert "it gets codes later" in await page(browser)
        rig.clock.advance(600)
        answer = await browser.get(f"/_auth/enrol?factor=totp&rd={ACCOUNT}")
        assert answer.headers["Location"].startswith("/_auth/verify"), "that proof is 20 minutes old"


async def test_budgets_count_for_the_second_number_too(tmp_path: Path) -> None:
    budgets = {**PLENTY, "number_hourly": 1}
    async with (
        FakeTwilio() as twilio,
        sms_gateway(tmp_path, twilio, budgets=budgets) as rig,
        rig.browser() as browser,
    ):
        await rig.add_user()
        await hold(rig)
        await ask_for_code(browser)
        for _ in range(3):
            rig.clock.advance(31)
            await other_number(browser)
        assert [message.to for message in twilio.messages] == [PHONE, SECOND_PHONE]


async def test_no_second_number_lies_in_a_country_that_is_not_allowed(tmp_path: Path) -> None:
    async with running_gateway(tmp_path, sms={"allowed_countries": ["DE"]}) as rig, rig.browser() as browser:
        await rig.add_user()
        await browser.sign_in()
        token = await browser.token(ENROL)
        form = {"factor": KIND, "csrf_token": token, "rd": ACCOUNT, "address": "+33612345678"}
        assert (await browser.post("/_auth/enrol", form)).status == 503
        assert len(rig.codes) == 1


async def test_a_forged_form_adds_none(tmp_path: Path) -> None:
    async with running_gateway(tmp_path) as rig, rig.browser() as browser:
        await rig.add_user()
        await browser.sign_in()
        form = {"factor": KIND, "rd": ACCOUNT, "address": SECOND_PHONE}
        assert (await browser.post("/_auth/enrol", form)).status == 403
        form["csrf_token"] = await browser.token(ACCOUNT)
        assert (await browser.post("/_auth/enrol", form, Origin="https://evil.example")).status == 403
        assert len(rig.codes) == 1


async def test_a_removed_one_takes_along_the_devices_that_it_vouched_for(tmp_path: Path) -> None:
    async with running_gateway(tmp_path) as rig, rig.browser() as browser:
        await rig.add_user()
        await hold(rig)
        await browser.password()
        await browser.get("/_auth/verify")
        await browser.code(remember_device="1")
        devices = rig.gateway.stores.devices
        assert len(await devices.list("alice")) == 1
        assert await act(browser, "remove", id="held") == (303, f"{ACCOUNT}?done=removed")
        assert await devices.list("alice") == []
