"""Accounts that an administrator must agree to: who waits has nothing, and one decision counts."""

import asyncio
import logging
from pathlib import Path
from typing import Any

import pytest

from gateway.model import User
from tests.admin_rig import ADMIN, API
from tests.integration.test_sms_money import events
from tests.mailbox import link_in
from tests.registration_rig import ADDRESS, NUMBER, SECRET, ask, asked, details, prove, registering
from tests.rig import PASSWORD, Browser, Rig

APPROVAL: dict[str, Any] = {"mode": "approval", "groups": ["guests"]}
PAGE = "/_auth/admin/registrations"


async def _administrator(rig: Rig, browser: Browser, name: str = "root") -> None:
    number = "+4915112345600" if name == "root" else "+4915112345601"
    await rig.add_user(name, email=f"{name}@harbour.test", phone=number, groups=("admins",))
    await browser.sign_in(name, rd=ADMIN)


async def _waiting(rig: Rig) -> list[Any]:
    return list(await rig.gateway.stores.registrations.waiting(rig.clock(), limit=10))


async def _decide(browser: Browser, id: str, what: str) -> int:
    token = await browser.token(PAGE) or await browser.token("/_auth/logout")
    return (await browser.post(PAGE, {"csrf_token": token, "do": what, "id": id})).status


async def _mails(rig: Rig) -> None:
    await rig.gateway.services.messaging.notices.finish()


async def test_who_waits_can_not_sign_in_and_one_decision_counts(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    async with (
        registering(tmp_path, APPROVAL) as (rig, mailbox),
        rig.browser() as browser,
        rig.browser() as root,
        rig.browser() as other,
    ):
        await _administrator(rig, root)
        await _administrator(rig, other, "second")
        link = await asked(rig, browser, mailbox)
        page = await details(browser, link, groups="admins", do="approve")
        assert (page.status, "You will get a mail" in await page.text()) == (200, True)
        assert await rig.directory.get(ADDRESS) is None
        assert not await rig.gateway.stores.sessions.list(ADDRESS)
        waiting = [await browser.password(one, SECRET) for one in (ADDRESS, "nobody@harbour.test")]
        assert [one.status for one in waiting] == [401, 401]
        [same, other_page] = [await one.text() for one in waiting]
        assert same.count("Wrong username or password") == other_page.count("Wrong username or password") == 1
        await _mails(rig)
        [told] = {text for to, text in mailbox.mails if to in ("root@harbour.test", "second@harbour.test")}
        assert "Mira Lund (mira@harbour.test) asks for an account" in told
        assert link_in(told) == PAGE

        [row] = await _waiting(rig)
        for stranger in (browser,):
            assert (await stranger.get(PAGE)).headers["Location"].startswith("/_auth/login")
            assert await _decide(stranger, row.id, "approve") in (303, 401, 403)
        assert (await root.get(PAGE)).status == 200, "looking decides nothing"
        assert [one.state for one in await _waiting(rig)] == ["waiting"]
        assert sorted(
            await asyncio.gather(_decide(root, row.id, "approve"), _decide(other, row.id, "approve"))
        ) == [303, 409]
        user = await rig.directory.get(ADDRESS)
        assert user is not None
        assert (user.name, user.groups, user.password_hash) == ("Mira Lund", ("guests",), "")
        assert await _decide(root, row.id, "refuse") == 409
        [event] = events(caplog, "registration_approved")
        assert (event["user"], event["by"] in ("root", "second")) == (ADDRESS, True)
        await _mails(rig)
        [invitation] = [link_in(text) for to, text in mailbox.mails if to == ADDRESS and "/invite" in text]
        token = await browser.token(invitation)
        form = {"token": invitation.partition("token=")[2], "csrf_token": token, "password": SECRET}
        assert (await browser.post("/_auth/invite", form)).headers["Location"] == "/_auth/enrol?rd=/"
        assert (await browser.get("/")).headers["Location"].startswith("/_auth/verify")


async def test_who_is_refused_is_told_and_no_older_link_opens_it_again(tmp_path: Path) -> None:
    async with (
        registering(tmp_path, APPROVAL) as (rig, mailbox),
        rig.browser() as browser,
        rig.browser() as other,
        rig.browser() as root,
    ):
        first, second = [await asked(rig, one, mailbox) for one in (browser, other)]
        assert (await details(browser, first)).status == 200
        assert (await details(other, second)).status == 410, "one request an address"
        third = len(mailbox.mails)
        await ask(browser)
        await _mails(rig)
        assert "waits for an administrator" in mailbox.mails[third][1]
        await _administrator(rig, root)
        [row] = await _waiting(rig)
        assert await _decide(root, row.id, "refuse") == 303
        assert await _decide(root, row.id, "approve") == 409
        assert (await details(other, second)).status == 410
        await _mails(rig)
        assert "refused your request" in mailbox.mails[-1][1]
        rig.clock.advance(3601)
        count = len(mailbox.mails)
        assert (await ask(browser)).status == 200
        await _mails(rig)
        assert len(mailbox.mails) == count, "and the page says the same as ever"
        rig.clock.advance(31 * 86400)
        await asked(rig, browser, mailbox)


async def test_a_user_who_came_meanwhile_is_not_replaced(tmp_path: Path) -> None:
    async with (
        registering(tmp_path, APPROVAL) as (rig, mailbox),
        rig.browser() as browser,
        rig.browser() as root,
    ):
        link = await asked(rig, browser, mailbox)
        assert (await details(browser, link)).status == 200
        await rig.directory.add(User(ADDRESS, email="other@harbour.test"), PASSWORD)
        await _administrator(rig, root)
        [row] = await _waiting(rig)
        assert await _decide(root, row.id, "approve") >= 400
        assert [one.id for one in await _waiting(rig)] == [row.id], "it can be refused yet"
        user = await rig.directory.get(ADDRESS)
        assert user is not None
        assert (user.email, user.groups) == ("other@harbour.test", ())
        await rig.directory.delete(ADDRESS)
        assert await _waiting(rig) == [], "who is deleted leaves no request behind"


async def test_only_administrators_decide_and_the_api_does_what_the_console_does(tmp_path: Path) -> None:
    async with (
        registering(tmp_path, {**APPROVAL, "phone": "required", "approvers": ["desk"]}) as (rig, mailbox),
        rig.browser() as browser,
        rig.browser() as desk,
        rig.browser() as root,
    ):
        await rig.add_user("desk", email="desk@harbour.test", groups=("desk",))
        await desk.sign_in("desk")
        link = await asked(rig, browser, mailbox)
        assert (await prove(rig, browser, link)).status == 200
        assert (await details(browser, link)).status == 200
        await _mails(rig)
        assert [to for to, _ in mailbox.mails[1:]] == ["desk@harbour.test"]
        [row] = await _waiting(rig)
        assert (await desk.get(PAGE)).status == 403
        assert await _decide(desk, row.id, "approve") == 403
        assert (await desk.get(f"{API}/registrations", Accept="*/*")).status == 403
        await _administrator(rig, root)
        [item] = (await (await root.get(f"{API}/registrations", Accept="*/*")).json())["items"]
        assert (item["address"], item["name"], item["phone"]) == (ADDRESS, "Mira Lund", NUMBER)
        url = f"{rig.url}{API}/registrations/{row.id}/approve"
        assert (await root.session.post(url)).status == 403, "a session needs its token"
        csrf = (await (await root.get(f"{API}/me", Accept="*/*")).json())["csrf_token"]
        given = {"X-CSRF-Token": csrf, "Origin": rig.url}
        assert (await root.session.post(url, headers=given)).status == 200
        assert (await root.session.post(url, headers=given)).status == 409
        user = await rig.directory.get(ADDRESS)
        assert user is not None
        assert user.phone == NUMBER


async def test_the_console_speaks_of_registrations_only_where_there_are_some(tmp_path: Path) -> None:
    async with registering(tmp_path) as (rig, _), rig.browser() as root:
        await _administrator(rig, root)
        assert "admin/registrations" not in await (await root.get(ADMIN)).text()
    async with registering(tmp_path, APPROVAL) as (rig, _), rig.browser() as root:
        await root.sign_in("root", rd=ADMIN)
        page = await (await root.get(ADMIN)).text()
        assert "admin/registrations" in page
