"""Rule 10 where factors are added: a password alone never adds one to an account that has one."""

import asyncio
from pathlib import Path

from tests.integration.test_factor_enrolment import begin_totp, code_of, enrol_totp
from tests.rig import running_gateway


async def test_a_password_alone_adds_nothing_to_an_account_with_a_factor(tmp_path: Path) -> None:
    async with running_gateway(tmp_path) as rig, rig.browser() as thief:
        await rig.add_user()
        await thief.password()
        response = await thief.get("/_auth/enrol?factor=totp")
        assert response.headers["Location"].startswith("/_auth/verify?rd=/_auth/enrol")
        token = await thief.token("/_auth/verify")
        form = {"factor": "sms", "address": "+4915199999999", "csrf_token": token}
        assert (await thief.post("/_auth/enrol", form)).status == 303
        user = await rig.directory.get("alice")
        assert user is not None
        assert user.phone != "+4915199999999"
        assert len(rig.codes) == 1  # the one that the verify page sent to the owner


async def test_a_setup_begun_before_the_owner_enrolled_is_worth_nothing_after(tmp_path: Path) -> None:
    async with running_gateway(tmp_path) as rig, rig.browser() as owner, rig.browser() as thief:
        await rig.add_user(phone="")
        await owner.password()
        await thief.password()
        secret, token = await begin_totp(thief)
        await enrol_totp(rig, owner)
        form = {"factor": "totp", "code": code_of(rig, secret), "csrf_token": token}
        response = await thief.post("/_auth/enrol", form)
        assert response.headers["Location"].startswith("/_auth/verify")
        assert (await thief.get("/")).status == 303


async def test_of_two_first_enrolments_in_a_race_one_succeeds(tmp_path: Path) -> None:
    async with running_gateway(tmp_path) as rig, rig.browser() as one, rig.browser() as two:
        await rig.add_user(phone="")
        for browser in (one, two):
            await browser.password()
        setups = [(browser, *await begin_totp(browser)) for browser in (one, two)]
        await asyncio.gather(
            *(
                browser.post(
                    "/_auth/enrol", {"factor": "totp", "code": code_of(rig, secret), "csrf_token": token}
                )
                for browser, secret, token in setups
            )
        )
        statuses = [(await browser.get("/")).status for browser in (one, two)]
        assert sorted(statuses) == [200, 303]


async def test_a_second_factor_proven_long_ago_must_be_proven_again_to_add_another(tmp_path: Path) -> None:
    async with running_gateway(tmp_path) as rig, rig.browser() as browser:
        await rig.add_user()
        await browser.sign_in()
        assert (await browser.get("/_auth/enrol")).status == 200
        rig.clock.advance(901)
        response = await browser.get("/_auth/enrol")
        assert response.headers["Location"] == "/_auth/verify?rd=/_auth/enrol%3Frd%3D/"
        answer = await browser.code(rd="/_auth/enrol")
        assert answer.headers["Location"] == "/_auth/enrol"
        assert (await browser.get("/_auth/enrol")).status == 200


async def test_a_code_sent_to_a_new_number_is_no_second_factor(tmp_path: Path) -> None:
    async with running_gateway(tmp_path) as rig, rig.browser() as browser:
        await rig.add_user(phone="")
        await browser.password()
        token = await browser.token("/_auth/enrol?factor=sms")
        form = {"factor": "sms", "csrf_token": token, "address": "+4915199999999"}
        await browser.post("/_auth/enrol", form)
        answer = await browser.post(
            "/_auth/verify", {"method": "sms", "code": rig.codes[-1], "csrf_token": token}
        )
        assert answer.headers["Location"].startswith("/_auth/enrol")
        assert (await browser.get("/")).status == 303


async def test_five_wrong_app_codes_end_the_attempt(tmp_path: Path) -> None:
    async with running_gateway(tmp_path) as rig, rig.browser() as browser:
        await rig.add_user(phone="")
        await browser.password()
        secret, _ = await enrol_totp(rig, browser)
        rig.clock.advance(60)
        good = code_of(rig, secret)
        wrong = f"{(int(good) + 1) % 1_000_000:06d}"
        for method in ("totp", "recovery"):
            async with rig.browser() as thief:
                await thief.password()
                statuses = [(await thief.code(wrong, method=method)).status for _ in range(5)]
                assert statuses == [401] * 5
                assert (await thief.code(good, method=method)).status == 429
                assert (await thief.get("/")).headers["Location"].startswith("/_auth/login")


async def test_without_enrolment_at_first_login_a_password_adds_nothing(tmp_path: Path) -> None:
    settings = {"at_first_login": False}
    async with running_gateway(tmp_path, enrolment=settings) as rig, rig.browser() as browser:
        await rig.add_user(phone="")
        await browser.password()
        assert (await browser.get("/_auth/enrol?factor=totp")).status == 403
