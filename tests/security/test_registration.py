"""Rules 2, 3, 5, 6, 9 and 10 for accounts that people make: what is proven first, and what nobody gets."""

import asyncio
import logging
from pathlib import Path

import pytest

from gateway.model import User
from tests.integration.test_sms_money import events
from tests.registration_rig import (
    ADDRESS,
    HERE,
    NUMBER,
    SECRET,
    ask,
    asked,
    details,
    prove,
    registering,
    step,
)
from tests.rig import csrf_of


async def test_mailbox_and_phone_are_proven_before_there_is_an_account(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    async with (
        registering(tmp_path, {"phone": "required", "groups": ["guests"]}) as (rig, mailbox),
        rig.browser() as browser,
    ):
        assert 'href="/_auth/register?rd=/"' in await (await browser.get("/_auth/login")).text()
        link = await asked(rig, browser, mailbox, rd="/wiki?x=1")
        early = await details(browser, link, groups="admins")
        assert "Phone number" in await early.text(), "a form sent early changes nothing"
        assert await rig.directory.get(ADDRESS) is None
        wrong = await step(browser, link, address=NUMBER)
        assert "123 45670" not in await wrong.text()
        assert (await step(browser, link, code="000000")).status == 401
        assert (await step(browser, link, code=rig.codes[-1])).status == 200
        assert await rig.directory.get(ADDRESS) is None
        assert not await rig.gateway.stores.sessions.list(ADDRESS)
        done = await details(
            browser, link, groups="admins", email="boss@harbour.test", phone="+4915100000000"
        )
        assert done.status == 200
        assert 'href="/wiki?x=1"' in await done.text()
        user = await rig.directory.get(ADDRESS)
        assert user is not None
        assert (user.name, user.email, user.phone, user.groups) == ("Mira Lund", ADDRESS, NUMBER, ("guests",))
        [record] = await rig.gateway.stores.sessions.list(ADDRESS)
        assert record.amr == ("password", "sms")
        assert (await browser.get("/wiki")).status == 200
        assert [one["user"] for one in events(caplog, "account_created")] == [ADDRESS]
        assert link.partition("token=")[2] not in caplog.text, "rule 9: a link is a secret"
        assert NUMBER not in caplog.text
        assert SECRET not in caplog.text
        async with rig.browser() as other:
            assert (await other.password(ADDRESS, SECRET)).status == 303
            assert (await other.get("/wiki")).headers["Location"].startswith("/_auth/verify")


async def test_without_a_phone_the_second_factor_is_still_due(tmp_path: Path) -> None:
    async with registering(tmp_path) as (rig, mailbox), rig.browser() as browser:
        link = await asked(rig, browser, mailbox)
        done = await details(browser, link)
        assert (done.status, done.headers["Location"]) == (303, "/_auth/enrol?rd=/")
        assert (await browser.get("/")).headers["Location"].startswith("/_auth/verify")
        [record] = await rig.gateway.stores.sessions.list(ADDRESS)
        assert record.amr == ("password",)
        assert not rig.upstream.requests


async def test_looking_uses_nothing_up_and_a_link_works_once_and_here_alone(tmp_path: Path) -> None:
    async with (
        registering(tmp_path) as (rig, mailbox),
        rig.browser() as browser,
        rig.browser() as scanner,
    ):
        link = await asked(rig, browser, mailbox, rd="/secret-page")
        page = await scanner.get(link)
        assert page.status == 403
        assert "secret-page" not in (text := await page.text())
        assert ADDRESS not in text
        assert (await scanner.session.head(rig.url + link)).status == 403
        assert (await details(scanner, link)).status == 403
        await asked(rig, scanner, mailbox, "other@harbour.test")  # it has a cookie of its own now
        assert (await details(scanner, link)).status == 403
        assert await rig.directory.get(ADDRESS) is None
        assert (await browser.get(link)).status == 200
        assert (await details(browser, link)).status == 303
        async with rig.browser() as again:
            again.session.cookie_jar.update_cookies({c.key: c.value for c in browser.session.cookie_jar})
            assert (await details(again, link)).status == 410
        assert len(await rig.gateway.stores.sessions.list(ADDRESS)) == 1


async def test_a_weak_password_or_a_bad_name_does_not_cost_the_link(tmp_path: Path) -> None:
    async with registering(tmp_path) as (rig, mailbox), rig.browser() as browser:
        link = await asked(rig, browser, mailbox)
        assert (await details(browser, link, password="short")).status == 422
        for name in ("", "x" * 101, "a\r\nBcc: b@c.test", "visit https://evil.test", "www.evil.test", "<b>"):
            refused = await details(browser, link, name=name)
            assert (refused.status, "Please write your name" in await refused.text()) == (422, True), name
        assert await rig.directory.get(ADDRESS) is None
        assert (await details(browser, link)).status == 303


async def test_forms_of_other_sites_and_without_a_token_do_nothing(tmp_path: Path) -> None:
    async with registering(tmp_path) as (rig, mailbox), rig.browser() as browser:
        token = await browser.token(HERE)
        form = {"email": ADDRESS, "rd": "/"}
        assert (await browser.post(HERE, form)).status == 403
        foreign = await browser.post(HERE, {**form, "csrf_token": token}, Origin="https://evil.test")
        assert foreign.status == 403
        link = await asked(rig, browser, mailbox)
        fields = {"token": link.partition("token=")[2], "name": "M", "password": SECRET}
        assert (await browser.post(HERE, fields)).status == 403
        assert (
            await browser.post(HERE, {**fields, "csrf_token": token}, Origin="https://evil.test")
        ).status == 403
        assert await rig.directory.get(ADDRESS) is None
        assert len(mailbox.mails) == 1


async def test_of_two_links_for_one_address_one_makes_the_account(tmp_path: Path) -> None:
    async with (
        registering(tmp_path) as (rig, mailbox),
        rig.browser() as browser,
        rig.browser() as other,
    ):
        first = await asked(rig, browser, mailbox)
        second = await asked(rig, other, mailbox, ADDRESS.upper())
        page = await (await other.get(second)).text()
        assert (await details(browser, first)).status == 303
        fields = {"token": second.partition("token=")[2], "csrf_token": csrf_of(page)}
        late = await other.post(HERE, {**fields, "name": "Eve", "password": "another good passphrase"})
        assert late.status == 410
        assert (await other.password(ADDRESS, "another good passphrase")).status == 401


async def test_two_who_send_at_once_get_one_account(tmp_path: Path) -> None:
    async with (
        registering(tmp_path) as (rig, mailbox),
        rig.browser() as browser,
        rig.browser() as other,
    ):
        sending = [
            details(one, await asked(rig, one, mailbox), password=f"{SECRET} {number}")
            for number, one in enumerate((browser, other))
        ]
        assert sorted(one.status for one in await asyncio.gather(*sending)) == [303, 410]
        assert len(await rig.gateway.stores.sessions.list(ADDRESS)) == 1


@pytest.mark.parametrize("event", ["time", "user", "named", "closed domain"])
async def test_what_ends_a_link(tmp_path: Path, event: str) -> None:
    async with registering(tmp_path) as (rig, mailbox), rig.browser() as browser:
        link = await asked(rig, browser, mailbox)
        page = await (await browser.get(link)).text()
        if event == "time":
            rig.clock.advance(rig.config.registration.lifetime)
        elif event == "user":
            await rig.directory.add(User("mira", email="Mira@HARBOUR.test"))
        elif event == "named":
            await rig.directory.add(User(ADDRESS, email="elsewhere@harbour.test"))
        else:
            views = rig.gateway.services.config.registration
            object.__setattr__(views, "domains", ("other.test",))
        form = {"token": link.partition("token=")[2], "csrf_token": csrf_of(page)}
        assert (await browser.get(link)).status == 410
        assert (await browser.post(HERE, {**form, "name": "M", "password": SECRET})).status == 410
        assert not await rig.gateway.stores.sessions.list(ADDRESS)


@pytest.mark.parametrize("rd", ["https://evil.test/", "//evil.test", "/\\evil.test", "javascript:alert(1)"])
async def test_it_leads_to_our_own_hosts_only(tmp_path: Path, rd: str) -> None:
    async with registering(tmp_path) as (rig, mailbox), rig.browser() as browser:
        link = await asked(rig, browser, mailbox, rd=rd)
        assert "evil" not in mailbox.mails[0][1]
        assert (await details(browser, link)).headers["Location"] == "/_auth/enrol?rd=/"


async def test_a_host_header_puts_no_other_address_into_the_mail(tmp_path: Path) -> None:
    async with registering(tmp_path) as (rig, mailbox), rig.browser() as browser:
        page = await browser.get(HERE, Host="evil.test")
        assert page.headers["Location"].startswith(f"{rig.url}{HERE}?rd=")
        token = await browser.token(HERE)
        form = {"email": ADDRESS, "csrf_token": token, "rd": "/"}
        await browser.post(HERE, form, Host="evil.test", Origin="http://evil.test")
        await mailbox.wait(1)
        assert "evil" not in mailbox.mails[0][1]


async def test_a_number_to_which_no_code_may_go_is_said_so_and_another_does(tmp_path: Path) -> None:
    sms = {"provider": "console", "allowed_countries": ["DE"]}
    async with (
        registering(tmp_path, {"phone": "required"}, sms=sms) as (rig, mailbox),
        rig.browser() as browser,
    ):
        link = await asked(rig, browser, mailbox)
        for number, status in (("+1 201 555 0123", 503), ("nonsense", 422)):
            refused = await step(browser, link, address=number)
            assert (refused.status, "There is a problem" in await refused.text()) == (status, True), number
        assert rig.codes == []
        assert (await prove(rig, browser, link)).status == 200


async def test_mails_are_in_the_language_of_the_page(tmp_path: Path) -> None:
    async with registering(tmp_path) as (rig, mailbox), rig.browser() as browser:
        form = {"email": ADDRESS, "csrf_token": await browser.token(HERE), "rd": "/"}
        await browser.post(HERE, form, **{"Accept-Language": "de"})
        assert (await mailbox.wait(1))[0].startswith("auth-gateway: Ihr Konto anlegen\n")


async def test_nobody_registers_unless_it_is_switched_on(tmp_path: Path) -> None:
    async with registering(tmp_path, {"mode": "closed"}) as (rig, _), rig.browser() as browser:
        assert (await browser.get(HERE)).status == 404
        assert (await browser.post(HERE, {"email": ADDRESS})).status == 404
        assert "register" not in await (await browser.get("/_auth/login")).text()
        assert (await ask(browser)).status == 404
