"""Rules 2, 3, 5, 9 and 10 for sign-in links: one browser, one use, one factor, and nothing tells who exists."""

import logging
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from gateway.config.schema import Policy
from gateway.model import User
from gateway.policy.decide import has_factors, has_two
from gateway.rate_limits import SIGN_IN_LINKS_PER_IP, SIGN_IN_LINKS_PER_TARGET
from tests.integration.test_sms_money import events
from tests.mailbox import Mailbox, link_in, running_mailbox
from tests.rig import Browser, Rig, csrf_of, running_gateway

HERE = "/_auth/email-link"
MAIL = "alice@example.test"
ON: dict[str, Any] = {"email_link": {"enabled": True}}


@asynccontextmanager
async def running(folder: Path, **overrides: Any) -> AsyncIterator[tuple[Rig, Mailbox]]:
    async with (
        running_mailbox() as (mailbox, email),
        running_gateway(folder, email=email, **{**ON, **overrides}) as rig,
    ):
        yield rig, mailbox


async def ask(browser: Browser, name: str = MAIL, rd: str = "/", **more: str) -> aiohttp.ClientResponse:
    token = await browser.token(HERE)
    return await browser.post(HERE, {"username": name, "csrf_token": token, "rd": rd, **more})


async def press(browser: Browser, link: str) -> aiohttp.ClientResponse:
    """Open the link and press its button."""
    page = await (await browser.get(link)).text()
    csrf = csrf_of(page) or await browser.token(HERE) or await browser.token("/_auth/logout")
    form = {"token": link.partition("token=")[2], "csrf_token": csrf}
    return await browser.post(HERE, form)


async def link_of(mailbox: Mailbox, count: int = 1) -> str:
    return link_in((await mailbox.wait(count))[-1])


async def test_a_link_is_the_first_factor_and_the_second_is_asked_as_ever(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    async with running(tmp_path) as (rig, mailbox), rig.browser() as browser:
        await rig.add_user(email=MAIL)
        assert (await ask(browser, rd="/wiki?x=1")).status == 200
        link = await link_of(mailbox)
        answer = await press(browser, link)
        assert (answer.status, answer.headers["Location"]) == (303, "/_auth/verify?rd=/wiki%3Fx%3D1")
        assert (await browser.get("/wiki")).headers["Location"].startswith("/_auth/verify")
        assert not rig.upstream.requests
        assert (await browser.code(rd="/wiki")).headers["Location"] == "/wiki"
        assert (await browser.get("/wiki")).status == 200
        [record] = await rig.gateway.stores.sessions.list("alice")
        assert record.amr == ("email_link", "sms")
        assert not record.kept
        assert [one["user"] for one in events(caplog, "email_link_ok")] == ["alice"]
        assert link.partition("token=")[2] not in caplog.text, "rule 9: a link is a secret"


async def test_looking_uses_nothing_up_and_a_link_works_once(tmp_path: Path) -> None:
    async with running(tmp_path) as (rig, mailbox), rig.browser() as browser, rig.browser() as scanner:
        await rig.add_user(email=MAIL)
        await ask(browser)
        link = await link_of(mailbox)
        for _ in range(3):  # what looks at mails, with and without pressing buttons
            assert (await scanner.get(link)).status == 403
            assert (await scanner.session.head(rig.url + link)).status == 403
            assert (await press(scanner, link)).status == 403
            assert (await browser.get(link)).status == 200
        assert not await rig.gateway.stores.sessions.list("alice")
        assert (await press(browser, link)).status == 303
        async with rig.browser() as again:
            again.session.cookie_jar.update_cookies({c.key: c.value for c in browser.session.cookie_jar})
            assert (await press(again, link)).status == 410
        assert len(await rig.gateway.stores.sessions.list("alice")) == 1


async def test_another_browser_is_told_what_to_do_and_learns_nothing_else(tmp_path: Path) -> None:
    async with running(tmp_path) as (rig, mailbox), rig.browser() as browser, rig.browser() as other:
        await rig.add_user(email=MAIL)
        await rig.add_user("bob", email="bob@example.test", phone="+4915112345679")
        await ask(browser, rd="/secret-page")
        link = await link_of(mailbox)
        await ask(other, "bob@example.test")  # it has a cookie of its own
        page = await other.get(link)
        text = await page.text()
        assert page.status == 403
        assert "open it in the browser in which you asked" in text
        assert "alice" not in text
        assert "secret-page" not in text
        assert (await press(other, link)).status == 403
        assert (await press(browser, link)).status == 303


async def test_the_answer_is_the_same_whoever_is_named(tmp_path: Path) -> None:
    async with running(tmp_path) as (rig, mailbox), rig.browser() as browser:
        await rig.add_user(email=MAIL)
        await rig.directory.add(User("invited", email="invited@example.test"))
        await rig.add_user("off", email="off@example.test", phone="")
        off = await rig.directory.get("off")
        assert off is not None
        await rig.directory.replace(replace(off, disabled=True))
        names = (MAIL, "alice", "nobody", "x@y.test", "off@example.test", "invited")
        answers = [await ask(browser, name) for name in names]
        pages = [re.sub(r'name="csrf_token" value="[^"]*"', "", await one.text()) for one in answers]
        assert len(set(pages)) == 1
        assert {one.status for one in answers} == {200}
        assert len({tuple(sorted(one.cookies)) for one in answers}) == 1
        await rig.gateway.services.messaging.notices.finish()
        assert [to for to, _ in mailbox.mails] == [MAIL, MAIL]


async def test_names_and_addresses_have_budgets_whether_or_not_they_are_somebodys(tmp_path: Path) -> None:
    async with running(tmp_path) as (rig, mailbox), rig.browser() as browser:
        await rig.add_user(email=MAIL)
        for name in ("alice", "nobody"):
            for _ in range(SIGN_IN_LINKS_PER_TARGET.limit):
                assert (await ask(browser, name)).status == 200
            assert (await ask(browser, name)).status == 429
        for number in range(SIGN_IN_LINKS_PER_IP.limit):
            last = await ask(browser, f"name{number}")
        assert last.status == 429
        await mailbox.wait(SIGN_IN_LINKS_PER_TARGET.limit)


@pytest.mark.parametrize("event", ["password", "address", "disabled", "time"])
async def test_what_ends_a_link(tmp_path: Path, event: str) -> None:
    async with running(tmp_path) as (rig, mailbox), rig.browser() as browser:
        user = await rig.add_user(email=MAIL)
        await ask(browser)
        link = await link_of(mailbox)
        rig.clock.advance(5)
        if event == "password":
            await rig.directory.set_password("alice", "another good passphrase")
        elif event == "address":
            await rig.directory.replace(replace(user, email="new@example.test"))
        elif event == "disabled":
            await rig.directory.replace(replace(user, disabled=True))
        else:
            rig.clock.advance(rig.config.email_link.lifetime)
        assert (await browser.get(link)).status == 410
        assert (await press(browser, link)).status == 410


async def test_a_code_to_the_same_mailbox_is_no_second_factor(tmp_path: Path) -> None:
    routes = [
        {"host": "*", "path": "/one", "upstream": "UPSTREAM", "policy": {"require": "one_factor"}},
        {"host": "*", "path": "/", "upstream": "UPSTREAM"},
    ]
    async with running(tmp_path, routes=routes) as (rig, mailbox), rig.browser() as browser:
        await rig.add_user(email=MAIL, phone="")
        await ask(browser)
        assert (await press(browser, await link_of(mailbox))).status == 303
        assert (await browser.get("/one")).status == 200
        assert (await browser.get("/")).headers["Location"].startswith("/_auth/verify")
        verify = await browser.get("/_auth/verify?rd=/")
        assert verify.headers["Location"].startswith("/_auth/enrol")
        enrol = await browser.get(verify.headers["Location"])
        assert enrol.status == 403, "and a mailbox alone adds no factor either"
        assert "Sign in with your password" in await enrol.text()
        for factor in ("email", "totp"):
            form = {"factor": factor, "csrf_token": await browser.token("/_auth/logout"), "rd": "/"}
            assert (await browser.post("/_auth/enrol", form)).status == 403
        token = await browser.token("/_auth/logout")
        for form in (
            {"method": "email", "code": "000000"},
            {"factor": "email"},
            {"method": "email", "resend": "1"},
        ):
            answer = await browser.post("/_auth/verify", {**form, "csrf_token": token, "rd": "/"})
            assert answer.headers["Location"].startswith("/_auth/enrol"), form
        assert len(mailbox.mails) == 1, "no code was sent"
        assert rig.upstream.requests == ["GET /one"]


@pytest.mark.parametrize(
    ("amr", "enough"),
    [
        (("email_link", "email"), False),
        (("email_link", "password"), False),
        (("email_link", "federated"), False),
        (("email_link", "sms"), True),
        (("email_link", "password", "email"), True),
        (("email_link", "email", "totp"), True),
    ],
)
def test_what_a_link_makes_two_factors_with(amr: tuple[str, ...], enough: bool) -> None:
    assert has_two(amr) is enough
    assert has_factors(Policy(require="two_factor"), amr) is enough
    assert has_factors(Policy(require="two_factor", factors=("email",)), amr) is (enough and "email" in amr)


async def test_a_remembered_device_does_not_stand_in_beside_a_link(tmp_path: Path) -> None:
    async with running(tmp_path) as (rig, mailbox), rig.browser() as browser:
        await rig.add_user(email=MAIL)
        await browser.password()
        await browser.code(remember_device="1")
        await browser.post("/_auth/logout", {"csrf_token": await browser.token("/_auth/logout")})
        await ask(browser)
        answer = await press(browser, await link_of(mailbox))
        assert answer.headers["Location"].startswith("/_auth/verify")


@pytest.mark.parametrize("rd", ["https://evil.test/", "//evil.test", "/\\evil.test", "javascript:alert(1)"])
async def test_a_link_leads_to_our_own_hosts_only(tmp_path: Path, rd: str) -> None:
    policy = {"require": "one_factor"}
    routes = [{"host": "*", "path": "/", "upstream": "UPSTREAM", "policy": policy}]
    async with running(tmp_path, routes=routes) as (rig, mailbox), rig.browser() as browser:
        await rig.add_user(email=MAIL)
        await ask(browser, rd=rd)
        [mail] = await mailbox.wait(1)
        assert "evil" not in mail
        assert (await press(browser, link_in(mail))).headers["Location"] == "/"


async def test_a_host_header_puts_no_other_address_into_the_mail(tmp_path: Path) -> None:
    async with running(tmp_path) as (rig, mailbox), rig.browser() as browser:
        await rig.add_user(email=MAIL)
        page = await browser.get(HERE, Host="evil.test")
        assert page.headers["Location"].startswith(f"{rig.url}{HERE}?rd=")
        token = await browser.token(HERE)
        form = {"username": MAIL, "csrf_token": token, "rd": "/"}
        await browser.post(HERE, form, Host="evil.test", Origin="http://evil.test")
        await ask(browser)
        for mail in await mailbox.wait(2):
            assert "evil" not in mail


async def test_the_tick_comes_along_with_the_link(tmp_path: Path) -> None:
    async with (
        running(tmp_path, session={"keep_signed_in": "30d"}) as (rig, mailbox),
        rig.browser() as browser,
    ):
        await rig.add_user(email=MAIL)
        await ask(browser, keep_signed_in="1")
        await press(browser, await link_of(mailbox))
        await browser.code()
        [record] = await rig.gateway.stores.sessions.list("alice")
        assert record.kept


async def test_there_are_no_links_unless_they_are_switched_on(tmp_path: Path) -> None:
    async with running(tmp_path, email_link={}) as (rig, _), rig.browser() as browser:
        assert (await browser.get(HERE)).status == 404
        assert (await browser.post(HERE, {"username": "alice"})).status == 404
        assert "email-link" not in await (await browser.get("/_auth/login")).text()
