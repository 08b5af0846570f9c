"""A second number helps its owner and no thief: proven, told of, cooled off, and no fresh chances (rules 2, 9, 10)."""

import asyncio
from pathlib import Path

from gateway.authn.factors.phone_lines import SECOND_PHONE as KIND
from tests.fake_twilio import FakeTwilio
from tests.integration.test_account import ACCOUNT, act, page
from tests.rig import PHONE, csrf_of, running_gateway
from tests.second_phone_rig import ENROL, OTHER, hold, other_number, start_adding
from tests.security.test_changed_number import DAY
from tests.sms_rig import SECOND_PHONE, ask_for_code, sms_gateway, verify_config


async def test_it_is_added_by_its_own_code_and_gets_codes_after_a_day(tmp_path: Path) -> None:
    async with FakeTwilio() as twilio, sms_gateway(tmp_path, twilio) as rig, rig.browser() as browser:
        await rig.add_user(email="alice@example.com")
        await ask_for_code(browser)
        await browser.code(twilio.code_for(PHONE))
        form, shown = await start_adding(browser)
        assert "+49•••••679" in shown
        assert (await browser.post("/_auth/enrol", {**form, "code": "000000"})).status == 401
        assert await rig.gateway.stores.credentials.list("alice", KIND) == []
        code = twilio.code_for(SECOND_PHONE)
        assert (await browser.post("/_auth/enrol", {**form, "code": code})).status == 303
        shown = await page(browser)
        assert "Second phone number" in shown
        assert "+49•••••679" in shown
        assert SECOND_PHONE[3:] not in shown

        async with rig.browser() as thief:  # who added it on a stolen session: nothing for a day
            assert OTHER not in await ask_for_code(thief)
            await other_number(thief)
            assert twilio.messages[-1].to == PHONE
        rig.clock.advance(DAY + 1)
        async with rig.browser() as later:
            await ask_for_code(later)
            rig.clock.advance(31)
            assert OTHER in await (await later.get("/_auth/verify")).text()
            assert "+49•••••679" in await other_number(later)
            assert twilio.messages[-1].to == SECOND_PHONE
            assert (await later.code(twilio.code_for(SECOND_PHONE))).status == 303


async def test_the_first_number_and_the_mailbox_hear_of_it(tmp_path: Path) -> None:
    async with FakeTwilio() as twilio, sms_gateway(tmp_path, twilio) as rig, rig.browser() as browser:
        await rig.add_user(email="alice@example.com")
        await ask_for_code(browser)
        await browser.code(twilio.code_for(PHONE))
        form, _ = await start_adding(browser)
        await browser.post("/_auth/enrol", {**form, "code": twilio.code_for(SECOND_PHONE)})
        await rig.gateway.services.messaging.notices.finish()
        told = twilio.messages[-1]
        assert (told.to, "second phone number was added" in told.body) == (PHONE, True)
        assert "A second phone number was set." in rig.terminal.getvalue()


async def test_a_password_alone_or_an_old_proof_adds_and_removes_none(tmp_path: Path) -> None:
    async with running_gateway(tmp_path) as rig, rig.browser() as browser:
        await rig.add_user()
        await hold(rig)
        await browser.password()
        assert (await browser.get(ENROL)).headers["Location"].startswith("/_auth/verify")
        await browser.sign_in()
        token = await browser.token(ACCOUNT)
        rig.clock.advance(901)
        form = {"factor": KIND, "csrf_token": token, "rd": ACCOUNT, "address": "+4915112345670"}
        assert (await browser.post("/_auth/enrol", form)).headers["Location"].startswith("/_auth/verify")
        removal = {"csrf_token": token, "do": "remove", "id": "held"}
        assert (await browser.post(ACCOUNT, removal)).headers["Location"].startswith("/_auth/verify")
        assert len(await rig.gateway.stores.credentials.list("alice", KIND)) == 1


async def test_whoever_has_no_number_or_may_not_set_one_adds_no_second(tmp_path: Path) -> None:
    async with running_gateway(tmp_path, enrolment={"factors": ["totp"]}) as rig, rig.browser() as browser:
        await rig.add_user()
        await browser.sign_in()
        assert "second_phone" not in await page(browser)
        assert "address" not in await (await browser.get(ENROL)).text()
        form, _ = await start_adding(browser)
        assert (await browser.post("/_auth/enrol", {**form, "code": "123456"})).status != 303
        assert len(rig.codes) == 1  # the one that signed in
    async with running_gateway(tmp_path / "second") as rig, rig.browser() as browser:
        await rig.add_user(phone="")
        await browser.password()
        assert "address" not in await (await browser.get(ENROL)).text()


async def test_the_first_number_is_no_second_one(tmp_path: Path) -> None:
    async with running_gateway(tmp_path) as rig, rig.browser() as browser:
        await rig.add_user()
        await browser.sign_in()
        _, shown = await start_adding(browser, PHONE)
        assert "your number already" in shown


async def test_a_code_that_adds_it_signs_nobody_in(tmp_path: Path) -> None:
    async with FakeTwilio() as twilio, sms_gateway(tmp_path, twilio) as rig, rig.browser() as browser:
        await rig.add_user()
        await ask_for_code(browser)
        await browser.code(twilio.code_for(PHONE))
        await start_adding(browser)
        async with rig.browser() as other:
            await ask_for_code(other)
            assert (await other.code(twilio.code_for(SECOND_PHONE))).status == 401


async def test_both_numbers_share_the_tries_and_a_new_code_voids_the_old(tmp_path: Path) -> None:
    async with FakeTwilio() as twilio, sms_gateway(tmp_path, twilio) as rig, rig.browser() as browser:
        await rig.add_user()
        await hold(rig)
        await ask_for_code(browser)
        first = twilio.code_for(PHONE)
        wrong = f"{(int(first) + 1) % 1_000_000:06d}"
        assert [(await browser.code(wrong)).status for _ in range(3)] == [401] * 3
        await other_number(browser)  # not yet: 30 seconds between two codes, wherever they go
        assert len(twilio.messages) == 1
        rig.clock.advance(31)
        await other_number(browser)
        assert [message.to for message in twilio.messages] == [PHONE, SECOND_PHONE]
        assert (await browser.code(first)).status == 401
        wrong = f"{(int(twilio.code_for(SECOND_PHONE)) + 1) % 1_000_000:06d}"
        assert (await browser.code(wrong)).status == 401
        assert (await browser.code(wrong)).status == 429


async def test_parallel_switches_send_one_code(tmp_path: Path) -> None:
    async with FakeTwilio() as twilio, sms_gateway(tmp_path, twilio) as rig, rig.browser() as browser:
        await rig.add_user()
        await hold(rig)
        await ask_for_code(browser)
        rig.clock.advance(31)
        token = await browser.token("/_auth/verify")
        form = {"csrf_token": token, "rd": "/", "resend": "other"}
        await asyncio.gather(*(browser.post("/_auth/verify", form) for _ in range(6)))
        assert [message.to for message in twilio.messages] == [PHONE, SECOND_PHONE]


async def test_no_page_and_no_log_holds_the_whole_number(tmp_path: Path) -> None:
    async with running_gateway(tmp_path) as rig, rig.browser() as browser:
        await rig.add_user()
        await hold(rig)
        await browser.password()
        await browser.get("/_auth/verify")
        rig.clock.advance(31)
        texts = [await other_number(browser)]
        assert (await browser.code(rig.codes[-1])).status == 303
        texts += [await page(browser), rig.terminal.getvalue()]
        await act(browser, "remove", id="held")
        await rig.gateway.services.audit.flush()
        texts += [
            str(await rig.gateway.services.stores.audit_log.tail(50)),
            str(await rig.gateway.stores.sms.reports.last(9)),
        ]
        assert all(SECOND_PHONE[3:] not in text for text in texts)
        stored = b"".join(file.read_bytes() for file in tmp_path.glob("gateway.db*"))
        assert PHONE.encode() in stored  # the directory keeps its numbers in the clear
        assert SECOND_PHONE.encode()[3:] not in stored


async def test_twilio_verify_checks_the_number_that_was_called_on(tmp_path: Path) -> None:
    async with (
        FakeTwilio() as twilio,
        sms_gateway(tmp_path, twilio, config=verify_config) as rig,
        rig.browser() as browser,
    ):
        await rig.add_user()
        await hold(rig)
        await ask_for_code(browser)
        rig.clock.advance(31)
        await other_number(browser)
        assert (await browser.code(twilio.code_for(SECOND_PHONE))).status == 303


async def test_when_the_first_number_fails_the_second_one_is_offered_at_once(tmp_path: Path) -> None:
    async with FakeTwilio() as twilio, sms_gateway(tmp_path, twilio) as rig, rig.browser() as browser:
        await rig.add_user(email="alice@example.com")
        await hold(rig)
        twilio.fail_next(status=400, code=21614)  # a landline
        await browser.password()
        answer = await browser.get("/_auth/verify")
        assert answer.status == 503
        shown = await answer.text()
        assert OTHER in shown
        assert "+49•••••679" in shown
        form = {"csrf_token": csrf_of(shown), "rd": "/", "resend": "other"}
        assert (await browser.post("/_auth/verify", form)).status == 200
        assert (await browser.code(twilio.code_for(SECOND_PHONE))).status == 303
