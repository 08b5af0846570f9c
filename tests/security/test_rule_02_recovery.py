"""Rule 2 for codes that are kept for years: nobody reads them in the database or goes on guessing at another kind."""

from dataclasses import replace
from pathlib import Path

import pytest

from tests.integration.test_factor_enrolment import code_of, enrol_totp
from tests.rig import PHONE, running_gateway


async def test_neither_secrets_nor_recovery_codes_rest_in_the_clear(tmp_path: Path) -> None:
    async with running_gateway(tmp_path) as rig, rig.browser() as browser:
        await rig.add_user(phone="")
        await browser.password()
        secret, codes = await enrol_totp(rig, browser)
        files = b"".join(file.read_bytes() for file in tmp_path.glob("gateway.db*"))
        assert b"alice" in files
        for kept_secret in (secret, *codes, *(code.replace("-", "") for code in codes)):
            assert kept_secret.encode() not in files


async def test_guesses_at_several_factors_are_counted_together(tmp_path: Path) -> None:
    async with running_gateway(tmp_path) as rig:
        user = await rig.add_user(phone="")
        async with rig.browser() as browser:
            await browser.password()
            await enrol_totp(rig, browser)
        await rig.directory.replace(replace(user, phone=PHONE))
        async with rig.browser() as browser:
            await browser.password()
            statuses = []
            for factor in ("totp", "recovery", "sms"):
                for _ in range(5):
                    token = await browser.token(f"/_auth/verify?factor={factor}")
                    wrong = {"code": "wrong", "method": factor, "csrf_token": token}
                    statuses.append((await browser.post("/_auth/verify", wrong)).status)
            assert statuses == [401] * 14 + [429]
            rig.clock.advance(301)  # each factor has its own five again
            assert (await browser.get("/_auth/verify?factor=totp")).status == 429
            rig.clock.advance(600)
            assert (await browser.get("/_auth/verify?factor=totp")).status == 200


@pytest.mark.parametrize("factor", ["totp", "recovery"])
async def test_after_five_wrong_guesses_the_right_code_is_refused(tmp_path: Path, factor: str) -> None:
    async with running_gateway(tmp_path) as rig:
        await rig.add_user(phone="")
        async with rig.browser() as browser:
            await browser.password()
            secret, codes = await enrol_totp(rig, browser)
        rig.clock.advance(60)
        right = {"totp": code_of(rig, secret), "recovery": codes[0]}[factor]
        async with rig.browser() as browser:
            await browser.password()
            token = await browser.token(f"/_auth/verify?factor={factor}")
            form = {"method": factor, "csrf_token": token}
            for _ in range(5):
                assert (await browser.post("/_auth/verify", {**form, "code": "wrong"})).status in (401, 429)
            assert (await browser.post("/_auth/verify", {**form, "code": right})).headers.get(
                "Location"
            ) != "/"
            assert (await browser.get("/")).status == 303
