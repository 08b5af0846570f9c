"""Enrolment at first login, then signing in with what was enrolled: the real TOTP, a clock moved by hand."""

import asyncio
import re
from pathlib import Path

import pyotp

from tests.rig import Browser, Rig, csrf_of, running_gateway


async def begin_totp(browser: Browser, rd: str = "/") -> tuple[str, str]:
    """The secret on the setup page, and its csrf token."""
    page = await (await browser.get(f"/_auth/enrol?factor=totp&rd={rd}")).text()
    found = re.search(r"<code>([A-Z2-7 ]+)</code>", page)
    assert found, page
    return found[1].replace(" ", ""), csrf_of(page)


def code_of(rig: Rig, secret: str) -> str:
    return pyotp.TOTP(secret).at(int(rig.clock.now))


async def enrol_totp(rig: Rig, browser: Browser, rd: str = "/") -> tuple[str, list[str]]:
    """The secret and the recovery codes of a user who had no factor."""
    secret, token = await begin_totp(browser, rd)
    form = {"factor": "totp", "code": code_of(rig, secret), "csrf_token": token, "rd": rd}
    response = await browser.post("/_auth/enrol", form)
    page = await response.text()
    assert response.status == 200, page
    return secret, re.findall(r"<li><code>([a-z0-9-]+)</code>", page)


async def test_who_has_no_factor_is_led_to_enrolment_and_on_to_the_target(tmp_path: Path) -> None:
    async with running_gateway(tmp_path) as rig, rig.browser() as browser:
        await rig.add_user(phone="")
        await browser.password(rd="/dash")
        response = await browser.get("/_auth/verify?rd=/dash")
        assert (response.status, response.headers["Location"]) == (303, "/_auth/enrol?rd=/dash")
        choice = await (await browser.get("/_auth/enrol?rd=/dash")).text()
        assert "Authenticator app" in choice
        assert "Text message" in choice
        assert (await browser.get("/dash")).status == 303
        _, codes = await enrol_totp(rig, browser, "/dash")
        assert len(set(codes)) == 10
        assert (await browser.get("/dash")).status == 200


async def test_the_app_signs_in_and_a_time_step_works_once(tmp_path: Path) -> None:
    async with running_gateway(tmp_path) as rig, rig.browser() as browser:
        await rig.add_user(phone="")
        await browser.password()
        secret, _ = await enrol_totp(rig, browser)
        async with rig.browser() as second:
            await second.password()
            assert (await second.code(code_of(rig, secret), method="totp")).status == 401  # proved the app
            rig.clock.advance(30)
            code = code_of(rig, secret)
            assert (await second.code(code, method="totp")).status == 303
            assert (await second.get("/")).status == 200
        async with rig.browser() as third:
            await third.password()
            assert (await third.code(code, method="totp")).status == 401


async def test_one_step_of_drift_is_forgiven_and_two_are_not(tmp_path: Path) -> None:
    async with running_gateway(tmp_path) as rig, rig.browser() as browser:
        await rig.add_user(phone="")
        await browser.password()
        secret, _ = await enrol_totp(rig, browser)
        rig.clock.advance(300)
        app, now = pyotp.TOTP(secret), int(rig.clock.now)
        async with rig.browser() as other:
            await other.password()
            assert (await other.code(app.at(now - 60), method="totp")).status == 401
            assert (await other.code(app.at(now + 60), method="totp")).status == 401
            assert (await other.code(app.at(now - 30), method="totp")).status == 303


async def test_of_two_parallel_sign_ins_with_one_app_code_one_gets_in(tmp_path: Path) -> None:
    async with running_gateway(tmp_path) as rig, rig.browser() as first, rig.browser() as second:
        await rig.add_user(phone="")
        await first.password()
        secret, _ = await enrol_totp(rig, first)
        rig.clock.advance(60)
        async with rig.browser() as third:
            await second.password()
            await third.password()
            code = code_of(rig, secret)
            answers = await asyncio.gather(*(b.code(code, method="totp") for b in (second, third)))
            assert sorted(answer.status for answer in answers) == [303, 401]


async def test_a_recovery_code_works_once_even_in_a_race(tmp_path: Path) -> None:
    async with running_gateway(tmp_path) as rig, rig.browser() as browser:
        await rig.add_user(phone="")
        await browser.password()
        _, codes = await enrol_totp(rig, browser)
        async with rig.browser() as second, rig.browser() as third:
            await second.password()
            await third.password()
            answers = await asyncio.gather(
                *(b.code(codes[3].upper(), method="recovery") for b in (second, third))
            )
            assert sorted(answer.status for answer in answers) == [303, 401]


async def test_a_phone_number_is_enrolled_by_the_code_sent_there(tmp_path: Path) -> None:
    async with running_gateway(tmp_path) as rig, rig.browser() as browser:
        await rig.add_user(phone="")
        await browser.password()
        token = await browser.token("/_auth/enrol?factor=sms")
        form = {"factor": "sms", "csrf_token": token, "rd": "/"}
        bad = await browser.post("/_auth/enrol", {**form, "address": "12"})
        assert bad.status == 422
        assert (await browser.post("/_auth/enrol", {**form, "address": "+49 151 99999999"})).status == 200
        assert (await browser.post("/_auth/enrol", {**form, "code": rig.codes[-1]})).status == 200
        user = await rig.directory.get("alice")
        assert user is not None
        assert user.phone == "+4915199999999"
        assert (await browser.get("/")).status == 200


async def test_a_mail_code_signs_in(tmp_path: Path) -> None:
    async with running_gateway(tmp_path) as rig, rig.browser() as browser:
        await rig.add_user(phone="", email="alice@example.com")
        await browser.password()
        assert "a•••••@example.com" in await (await browser.get("/_auth/verify")).text()
        assert (await browser.code(method="email")).status == 303
        assert (await browser.get("/")).status == 200
