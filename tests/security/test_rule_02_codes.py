"""Rule 2: codes are single use, short-lived, bound to one session, limited in tries and in number."""

import asyncio
from pathlib import Path

import pytest
from sqlalchemy import select

from gateway.authn.factors.challenge import random_digits
from gateway.config.sections.sms_budgets import SmsBudgets
from gateway.stores.sql import schema
from gateway.stores.sql.engine import open_engine
from gateway.stores.sql.transactions import reading
from tests.rig import PHONE, Rig, running_gateway

PLENTY = dict.fromkeys(SmsBudgets.model_fields, 1000)


async def stored_text(rig: Rig) -> str:
    engine = open_engine(rig.config.storage.url)
    try:
        async with reading(engine) as connection:
            rows = [
                repr(row)
                for table in schema.metadata.sorted_tables
                for row in await connection.execute(select(table))
            ]
    finally:
        await engine.dispose()
    return "\n".join(rows)


async def test_a_code_is_stored_only_as_keyed_hash(tmp_path: Path) -> None:
    async with running_gateway(tmp_path) as rig, rig.browser() as browser:
        await rig.add_user()
        await browser.password()
        await browser.get("/_auth/verify")
        stored = await stored_text(rig)
        assert '"hash"' in stored
        assert rig.codes[-1] not in stored


async def test_a_code_is_good_for_one_of_many_parallel_uses(tmp_path: Path) -> None:
    async with running_gateway(tmp_path) as rig, rig.browser() as browser:
        await rig.add_user()
        await browser.password()
        token = await browser.token("/_auth/verify")
        form = {"code": rig.codes[-1], "csrf_token": token, "rd": "/"}
        cookie = {"Cookie": f"auth_session={browser.cookie()}"}
        async with rig.browser() as one:
            answers = await asyncio.gather(*(one.post("/_auth/verify", form, **cookie) for _ in range(4)))
        signed_in = [a for a in answers if a.status == 303 and a.headers["Location"] == "/"]
        assert len(signed_in) == 1


async def test_an_old_code_is_refused(tmp_path: Path) -> None:
    async with running_gateway(tmp_path) as rig, rig.browser() as browser:
        await rig.add_user()
        await browser.password()
        await browser.get("/_auth/verify")
        code = rig.codes[-1]
        rig.clock.advance(301)
        assert (await browser.code(code)).status == 401


async def test_a_code_of_one_session_is_worth_nothing_in_another(tmp_path: Path) -> None:
    async with running_gateway(tmp_path) as rig, rig.browser() as mine, rig.browser() as theirs:
        await rig.add_user()
        await mine.password()
        await mine.get("/_auth/verify")
        code = rig.codes[-1]
        await theirs.password()
        await theirs.get("/_auth/verify")
        if rig.codes[-1] != code:
            assert (await theirs.code(code)).status == 401


async def test_sending_is_capped_per_user_and_the_page_says_so_kindly(tmp_path: Path) -> None:
    async with running_gateway(tmp_path, sms={"budgets": {"user_hourly": 2}}) as rig:
        await rig.add_user()
        statuses = []
        for _ in range(3):
            async with rig.browser() as browser:
                await browser.password()
                statuses.append((await browser.get("/_auth/verify")).status)
        assert statuses == [200, 200, 503]
        assert len(rig.codes) == 2


async def test_the_hourly_budget_over_all_users_holds(tmp_path: Path) -> None:
    async with running_gateway(tmp_path, sms={"budgets": {"hourly": 1}}) as rig:
        for name, phone in (("alice", PHONE), ("bob", "+4915112345679")):
            await rig.add_user(name, phone=phone)
            async with rig.browser() as browser:
                await browser.password(name)
                await browser.get("/_auth/verify")
        assert len(rig.codes) == 1


async def test_countries_outside_the_list_get_no_sms(tmp_path: Path) -> None:
    async with running_gateway(tmp_path, sms={"allowed_countries": ["US"]}) as rig, rig.browser() as browser:
        await rig.add_user()
        await browser.password()
        assert (await browser.get("/_auth/verify")).status == 503
        assert rig.codes == []


async def test_guessing_over_many_challenges_locks_the_second_factor(tmp_path: Path) -> None:
    async with running_gateway(tmp_path, sms={"budgets": PLENTY}) as rig:
        await rig.add_user()
        wrong = 0
        for _ in range(40):
            async with rig.browser() as browser:
                await browser.password()
                if (await browser.get("/_auth/verify")).status == 429:
                    break
                for _ in range(4):
                    guess = f"{(int(rig.codes[-1]) + 1) % 1_000_000:06d}"
                    wrong += (await browser.code(guess)).status == 401
        assert wrong <= 16


async def test_a_hundred_wrong_codes_in_a_row_lock_the_account_for_good(tmp_path: Path) -> None:
    async with running_gateway(tmp_path, sms={"budgets": PLENTY}) as rig:
        await rig.add_user()
        wrong = 0
        for _ in range(60):
            async with rig.browser() as browser:
                await browser.password()
                if (await browser.get("/_auth/verify")).status == 429:
                    rig.clock.advance(901)
                    if (await browser.get("/_auth/verify")).status == 429:
                        break
                for _ in range(4):
                    guess = f"{(int(rig.codes[-1]) + 1) % 1_000_000:06d}"
                    wrong += (await browser.code(guess)).status == 401
        else:
            pytest.fail("never locked")
        assert 80 <= wrong <= 100  # the sixth guess of each window counts and is a 429


async def test_after_five_wrong_codes_even_the_right_one_needs_a_new_login(tmp_path: Path) -> None:
    async with running_gateway(tmp_path) as rig, rig.browser() as browser:
        await rig.add_user()
        await browser.password()
        token = await browser.token("/_auth/verify")
        right = rig.codes[-1]
        wrong = f"{(int(right) + 1) % 1_000_000:06d}"
        for _ in range(5):
            assert (await browser.post("/_auth/verify", {"code": wrong, "csrf_token": token})).status == 401
        before = browser.cookie()
        late = await browser.post("/_auth/verify", {"code": right, "csrf_token": token})
        assert late.headers.get("Location") != "/"
        assert (await browser.get("/")).headers["Location"].startswith("/_auth/login")
        kept = await browser.get("/_auth/verify", Cookie=f"auth_session={before}")
        assert kept.headers["Location"].startswith("/_auth/login"), "the session is over, not only its cookie"
        assert rig.upstream.requests == []


async def test_a_new_code_voids_the_one_before_and_must_wait(tmp_path: Path) -> None:
    async with running_gateway(tmp_path) as rig, rig.browser() as browser:
        await rig.add_user()
        await browser.password()
        token = await browser.token("/_auth/verify")
        again = {"resend": "1", "csrf_token": token}
        await browser.post("/_auth/verify", again)
        assert len(rig.codes) == 1, "the pause between two codes"
        old = rig.codes[-1]
        while rig.codes[-1] == old:  # one in a million is the same again
            rig.clock.advance(31)
            await browser.post("/_auth/verify", again)
        assert (await browser.code(old)).status == 401
        assert (await browser.code(rig.codes[-1])).status == 303


def test_codes_are_digits_of_an_even_distribution() -> None:
    drawn = "".join(random_digits(6) for _ in range(5000))
    assert len(drawn) == 30_000
    assert all(2_600 < drawn.count(digit) < 3_400 for digit in "0123456789")  # 8 standard deviations


async def test_another_code_that_is_refused_leaves_the_first_one_good(tmp_path: Path) -> None:
    async with running_gateway(tmp_path, sms={"budgets": {"user_hourly": 1}}) as rig:
        await rig.add_user()
        async with rig.browser() as browser:
            await browser.password()
            token = await browser.token("/_auth/verify")
            rig.clock.advance(31)
            answer = await browser.post("/_auth/verify", {"csrf_token": token, "rd": "/", "resend": "1"})
            assert answer.status == 503
            form = {"csrf_token": token, "rd": "/", "method": "sms", "code": rig.codes[-1]}
            assert (await browser.post("/_auth/verify", form)).status == 303
