"""Rules 2, 3, 4 and 10 for approval on another device: one answer for one sign-in, by a session that may give it."""

import asyncio
import re
from collections import Counter
from pathlib import Path

from gateway.authn.password_reset import ACCEPTED
from tests.approving import (
    APPROVE,
    LATE,
    NO,
    WRONG,
    YES,
    another,
    approve,
    ask,
    check,
    question,
    refuse,
    two_browsers,
)
from tests.rig import PASSWORD, Browser, Rig


async def is_in(browser: Browser) -> bool:
    return (await browser.get("/")).status == 200


async def approved(owner: Browser, asker: Browser) -> None:
    _, number = await ask(asker)
    assert await approve(owner, number) == YES
    assert (await check(asker)).status == 303


async def test_a_wrong_number_ends_the_question(tmp_path: Path) -> None:
    async with two_browsers(tmp_path) as (_, owner, asker):
        _, number = await ask(asker)
        form = await question(owner)
        assert await approve(owner, another(number)) == WRONG
        response = await owner.post(APPROVE, {**form, "do": "approve", "number": number})
        assert response.headers["Location"] == LATE
        assert (await check(asker)).status == 401
        assert not await is_in(asker)


async def test_one_approval_signs_in_one_session_once(tmp_path: Path) -> None:
    async with two_browsers(tmp_path) as (rig, owner, asker), rig.browser() as second:
        await second.password()
        _, number = await ask(asker)
        assert await approve(owner, number) == YES
        assert (await check(second)).status != 303  # bound to the session that asked
        before = asker.cookie()
        token = await asker.token("/_auth/logout")
        form = {"method": "approval", "csrf_token": token, "rd": "/"}
        await asyncio.gather(*(asker.post("/_auth/verify", form) for _ in range(6)))
        await rig.gateway.services.audit.flush()
        logins = await rig.gateway.services.stores.audit_log.tail(50, username="alice", event="login")
        assert ["approval" in row.data["factors"] for row in logins] == [False, True]  # type: ignore[operator]
        assert asker.cookie() != before  # rule 4: the session id changes
        assert not await is_in(second)


async def test_of_many_answers_at_once_one_counts(tmp_path: Path) -> None:
    """Else the owner's page could be raced for the right number."""
    async with two_browsers(tmp_path) as (_, owner, asker):
        await ask(asker)
        form = {**await question(owner), "do": "approve"}
        answers = await asyncio.gather(
            *(owner.post(APPROVE, {**form, "number": str(number)}) for number in range(10, 40))
        )
        assert Counter(answer.headers["Location"] for answer in answers)[LATE] == 29


async def test_only_the_same_user_is_asked(tmp_path: Path) -> None:
    async with two_browsers(tmp_path) as (rig, owner, asker), rig.browser() as bob:
        await rig.add_user("bob", phone="+4915112345679")
        await bob.sign_in("bob")
        _, number = await ask(asker)
        form = await question(owner)
        token = await bob.token("/_auth/logout")
        assert (await question(bob))["id"] == ""
        response = await bob.post(APPROVE, {**form, "csrf_token": token, "do": "approve", "number": number})
        assert response.headers["Location"] == LATE
        assert (await check(asker)).status == 200  # still waits
        assert await approve(owner, number) == YES


async def test_a_session_with_a_password_only_approves_nothing(tmp_path: Path) -> None:
    """Neither another one nor itself."""
    async with two_browsers(tmp_path) as (rig, owner, asker), rig.browser() as thief:
        await thief.password()
        _, number = await ask(asker)
        form = {**await question(owner), "do": "approve", "number": number}
        for browser in (thief, asker):
            token = await browser.token("/_auth/logout")
            response = await browser.post(APPROVE, {**form, "csrf_token": token})
            assert response.headers["Location"] == f"/_auth/verify?rd={APPROVE}"
        assert not await is_in(asker)
        assert await approve(owner, number) == YES


async def test_an_approved_session_approves_nobody_until_it_proves_a_factor_itself(tmp_path: Path) -> None:
    """Else a thief let in once could stay for ever, each session approved by the one before."""
    async with two_browsers(tmp_path) as (rig, owner, asker), rig.browser() as third:
        await approved(owner, asker)
        await owner.post("/_auth/logout", {"csrf_token": await owner.token("/_auth/logout")})
        await third.password()
        assert 'value="approval"' not in await (await third.get("/_auth/verify")).text()
        assert (await asker.get(APPROVE)).headers["Location"] == f"/_auth/verify?rd={APPROVE}"
        assert (await asker.code(method="sms", rd=APPROVE)).headers["Location"] == APPROVE
        await approved(asker, third)


async def test_an_approved_session_changes_no_factors_and_remembers_no_device(tmp_path: Path) -> None:
    """One approval by mistake must not become a factor of the thief's own, or a month without any."""
    async with two_browsers(tmp_path) as (_, owner, asker):
        _, number = await ask(asker)
        await approve(owner, number)
        token = await asker.token("/_auth/logout")
        form = {"method": "approval", "csrf_token": token, "rd": "/", "remember_device": "1"}
        response = await asker.post("/_auth/verify", form)
        assert response.status == 303
        assert "device" not in ";".join(response.headers.getall("Set-Cookie"))
        enrol = await asker.get("/_auth/enrol?factor=totp")
        assert enrol.headers["Location"].startswith("/_auth/verify?rd=/_auth/enrol")
        page = await (await asker.get("/_auth/account")).text()
        assert 'value="remove"' not in page
        answer = await asker.post(
            "/_auth/account",
            {"csrf_token": re.findall(r'csrf_token" value="([^"]+)', page)[0], "do": "recovery"},
        )
        assert answer.headers["Location"].startswith("/_auth/verify")
        verify = await (await asker.get("/_auth/verify?rd=/_auth/account")).text()
        assert 'value="approval"' not in verify


async def test_a_mailed_link_and_an_approval_give_no_new_password(tmp_path: Path) -> None:
    assert "approval" not in ACCEPTED.factors


async def test_forms_of_other_sites_and_without_token_approve_nothing(tmp_path: Path) -> None:
    async with two_browsers(tmp_path) as (_, owner, asker):
        _, number = await ask(asker)
        form = {**await question(owner), "do": "approve", "number": number}
        assert (await owner.post(APPROVE, form, Origin="https://evil.test")).status == 403
        assert (await owner.post(APPROVE, {**form, "csrf_token": "x"})).status == 403
        assert (await owner.get(f"{APPROVE}?do=approve&id={form['id']}&number={number}")).status == 200
        assert (await check(asker)).status == 200
        assert not await is_in(asker)


async def asked_anew(rig: Rig) -> str:
    async with rig.browser() as asker:
        await asker.password(password=PASSWORD)
        return (await ask(asker))[1]


async def test_two_refusals_stop_the_asking_for_an_hour(tmp_path: Path) -> None:
    async with two_browsers(tmp_path) as (rig, owner, _):
        for _ in range(2):
            assert await asked_anew(rig)
            assert await refuse(owner) == NO
        assert await asked_anew(rig) == ""
        assert (await question(owner))["id"] == ""
        rig.clock.advance(3601)
        async with rig.browser() as again:
            await again.sign_in()
            assert await asked_anew(rig)


async def test_a_device_is_asked_five_times_in_a_quarter_of_an_hour_at_most(tmp_path: Path) -> None:
    async with two_browsers(tmp_path) as (rig, _, _):
        asked = []
        for _ in range(7):
            asked.append(bool(await asked_anew(rig)))
            rig.clock.advance(149)
            if not asked[-1]:
                break
            rig.clock.advance(2)
        assert asked.count(True) == 5


async def test_numbers_and_addresses_rest_sealed_and_no_number_is_logged(tmp_path: Path) -> None:
    async with two_browsers(tmp_path) as (rig, owner, asker):
        _, number = await ask(asker)
        await rig.gateway.services.audit.flush()
        files = b"".join(file.read_bytes() for file in tmp_path.glob("gateway.db*"))
        assert b'user_agent": "' not in files
        assert f'"number": "{number}"'.encode() not in files
        rows = await rig.gateway.services.stores.audit_log.tail(50, username="alice")
        [row] = [row for row in rows if row.event == "approval_asked"]
        assert set(row.data) == {"sid"}
        assert await approve(owner, number) == YES
