"""Rules 2, 3, 4 and 10 for resets: a mailbox alone sets no password, links work once, nothing tells who exists."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from gateway.authn.login import LoginOrigin
from gateway.authn.one_time_links import Links
from gateway.authn.password_reset import Resets
from gateway.model import SessionRecord
from gateway.rate_limits import RESETS_IN_ALL
from gateway.stores.sql.engine import open_engine
from gateway.stores.sql.ledger import SqlLedger
from tests.databases import give_schema
from tests.mailbox import Mailbox, link_in, running_mailbox
from tests.rig import Browser, FakeClock, Rig, csrf_of, running_gateway

MAIL = "alice@example.test"
NEW = "an entirely new passphrase"


@asynccontextmanager
async def running(folder: Path, **overrides: Any) -> AsyncIterator[tuple[Rig, Mailbox]]:
    async with running_mailbox() as (mailbox, email):
        email |= overrides.pop("email", {})
        async with running_gateway(folder, email=email, **overrides) as rig:
            yield rig, mailbox


async def ask(browser: Browser, name: str = "alice") -> aiohttp.ClientResponse:
    token = await browser.token("/_auth/reset")
    return await browser.post("/_auth/reset", {"username": name, "csrf_token": token})


async def follow(browser: Browser, link: str) -> tuple[aiohttp.ClientResponse, dict[str, str]]:
    """Opens the link and presses Continue; the answer and the hidden fields of its form."""
    page = await (await browser.get(link)).text()
    token = link.partition("token=")[2]
    response = await browser.post("/_auth/reset", {"token": token, "csrf_token": csrf_of(page)})
    return response, hidden(await response.text())


def hidden(page: str) -> dict[str, str]:
    return dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', page))


async def prove(
    browser: Browser, rig: Rig, form: dict[str, str]
) -> tuple[aiohttp.ClientResponse, dict[str, str]]:
    response = await browser.post("/_auth/reset", form | {"code": rig.codes[-1]})
    return response, hidden(await response.text())


async def test_link_then_second_factor_then_password(tmp_path: Path) -> None:
    async with running(tmp_path) as (rig, mailbox), rig.browser() as browser, rig.browser() as elsewhere:
        await rig.add_user(email=MAIL)
        await elsewhere.sign_in()
        rig.clock.advance(5)
        assert (await ask(browser)).status == 200
        [mail] = await mailbox.wait(1)
        response, form = await follow(browser, link_in(mail))
        assert "Check your phone" in await response.text()
        response, form = await prove(browser, rig, form)
        assert "Choose a new password" in await response.text()
        response = await browser.post("/_auth/reset", form | {"password": NEW})
        assert "Your password is changed" in await response.text()
        assert (await browser.get("/")).status == 303, "a reset signs nobody in"
        await elsewhere.until_status(303)
        assert (await browser.password()).status == 401
        assert (await browser.password(password=NEW)).status == 303
        assert "was just changed" in (await mailbox.wait(2))[1]


async def test_a_reset_ends_sessions_that_no_password_began_as_well(tmp_path: Path) -> None:
    async with running(tmp_path) as (rig, mailbox), rig.browser() as browser:
        await rig.add_user(email=MAIL)
        now = rig.clock()
        passkey = SessionRecord("s", "alice", ("webauthn",), {"webauthn": now}, now, now, now + 9999)
        await rig.gateway.stores.sessions.put(passkey)
        await ask(browser)
        [mail] = await mailbox.wait(1)
        _, form = await follow(browser, link_in(mail))
        _, form = await prove(browser, rig, form)
        assert await rig.gateway.stores.sessions.get("s") is not None
        await browser.post("/_auth/reset", form | {"password": NEW})
        assert await rig.gateway.stores.sessions.get("s") is None


async def test_a_password_set_meanwhile_ends_a_reset_that_was_under_way(tmp_path: Path) -> None:
    async with running(tmp_path) as (rig, mailbox), rig.browser() as browser:
        await rig.add_user(email=MAIL)
        await ask(browser)
        [mail] = await mailbox.wait(1)
        _, form = await follow(browser, link_in(mail))
        rig.clock.advance(1)
        await rig.directory.set_password("alice", NEW)
        assert (await prove(browser, rig, form))[0].status == 410


async def test_the_answer_is_the_same_whoever_is_named(tmp_path: Path) -> None:
    async with running(tmp_path) as (rig, mailbox), rig.browser() as browser:
        await rig.add_user(email=MAIL)
        pages = [await (await ask(browser, name)).text() for name in ("alice", "nobody", MAIL, "x@y.test")]
        assert len({re.sub(r'name="csrf_token" value="[^"]*"', "", page) for page in pages}) == 1
        assert {to for to, _ in mailbox.mails} <= {MAIL}
        await mailbox.wait(2)


async def test_the_link_alone_sets_no_password(tmp_path: Path) -> None:
    async with running(tmp_path) as (rig, mailbox), rig.browser() as browser:
        await rig.add_user(email=MAIL)
        await ask(browser)
        [mail] = await mailbox.wait(1)
        _, form = await follow(browser, link_in(mail))
        for extra in (
            {"password": NEW},
            {"password": NEW, "code": ""},
            {"password": NEW, "step": "password"},
        ):
            response = await browser.post("/_auth/reset", form | extra)
            assert "Your password is changed" not in await response.text()
        wrong = f"{(int(rig.codes[-1]) + 1) % 10**6:06d}"
        response = await browser.post("/_auth/reset", form | {"code": wrong, "password": NEW})
        assert response.status == 401
        assert (await browser.password(password=NEW)).status == 401
        assert (await browser.password()).status == 303


async def test_mail_is_no_second_factor_for_a_mailed_link(tmp_path: Path) -> None:
    email = {"second_factor": True}
    async with running(tmp_path, email=email) as (rig, mailbox), rig.browser() as browser:
        await rig.add_user(email=MAIL, phone="")
        await ask(browser)
        [mail] = await mailbox.wait(1)
        assert "token=" not in mail
        assert "ask your administrator" in mail


async def test_a_link_works_once_and_looking_does_not_use_it_up(tmp_path: Path) -> None:
    async with running(tmp_path) as (rig, mailbox), rig.browser() as browser, rig.browser() as thief:
        await rig.add_user(email=MAIL)
        await ask(browser)
        [mail] = await mailbox.wait(1)
        for _ in range(3):
            assert (await thief.get(link_in(mail))).status == 200
        response, _ = await follow(browser, link_in(mail))
        assert response.status == 200
        response, _ = await follow(thief, link_in(mail))
        assert response.status == 410


async def test_of_two_who_follow_a_link_at_once_one_gets_through(tmp_path: Path) -> None:
    async with running(tmp_path) as (rig, mailbox), rig.browser() as one, rig.browser() as two:
        await rig.add_user(email=MAIL)
        await ask(one)
        [mail] = await mailbox.wait(1)
        answers = await asyncio.gather(follow(one, link_in(mail)), follow(two, link_in(mail)))
        assert sorted(response.status for response, _ in answers) == [200, 410]


async def test_a_ticket_is_bound_to_the_browser_that_opened_it(tmp_path: Path) -> None:
    async with running(tmp_path) as (rig, mailbox), rig.browser() as browser, rig.browser() as thief:
        await rig.add_user(email=MAIL)
        await ask(browser)
        [mail] = await mailbox.wait(1)
        _, form = await follow(browser, link_in(mail))
        _, form = await prove(browser, rig, form)
        token = await thief.token("/_auth/reset")
        stolen = {"ticket": form["ticket"], "csrf_token": token, "password": NEW}
        assert (await thief.post("/_auth/reset", stolen)).status == 410
        assert (await browser.password(password=NEW)).status == 401


@pytest.mark.parametrize("wait", [901, 100_000])
async def test_links_and_tickets_end(tmp_path: Path, wait: int) -> None:
    async with running(tmp_path) as (rig, mailbox), rig.browser() as browser:
        await rig.add_user(email=MAIL)
        await ask(browser)
        [mail] = await mailbox.wait(1)
        rig.clock.advance(wait)
        assert (await follow(browser, link_in(mail)))[0].status == 410


async def test_a_newer_link_ends_the_one_before(tmp_path: Path) -> None:
    async with running(tmp_path) as (rig, mailbox), rig.browser() as browser:
        await rig.add_user(email=MAIL)
        await ask(browser)
        await mailbox.wait(1)
        await ask(browser)
        first, second = await mailbox.wait(2)
        assert (await follow(browser, link_in(first)))[0].status == 410
        assert (await follow(browser, link_in(second)))[0].status == 200


async def test_weak_passwords_are_refused_and_cost_nothing(tmp_path: Path) -> None:
    async with running(tmp_path) as (rig, mailbox), rig.browser() as browser:
        await rig.add_user(email=MAIL)
        await ask(browser)
        [mail] = await mailbox.wait(1)
        _, form = await follow(browser, link_in(mail))
        _, form = await prove(browser, rig, form)
        for weak in ("short", "password1", ""):
            assert (await browser.post("/_auth/reset", form | {"password": weak})).status == 422
        assert (await browser.post("/_auth/reset", form | {"password": NEW})).status == 200


async def test_asking_is_limited_for_known_and_unknown_names_alike(tmp_path: Path) -> None:
    for number, name in enumerate(("alice", "nobody")):
        folder = tmp_path / str(number)
        folder.mkdir()
        async with running(folder) as (rig, _), rig.browser() as browser:
            await rig.add_user(email=MAIL)
            assert [(await ask(browser, name)).status for _ in range(4)] == [200, 200, 200, 429]


async def test_forms_from_elsewhere_are_refused(tmp_path: Path) -> None:
    async with running(tmp_path) as (rig, mailbox), rig.browser() as browser:
        await rig.add_user(email=MAIL)
        token = await browser.token("/_auth/reset")
        form = {"username": "alice", "csrf_token": token}
        assert (await browser.post("/_auth/reset", form, Origin="https://evil.test")).status == 403
        assert (await browser.post("/_auth/reset", form | {"csrf_token": "x"})).status == 403
        assert mailbox.mails == []


async def test_tokens_rest_as_digests_and_are_not_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    async with running(tmp_path) as (rig, mailbox), rig.browser() as browser:
        await rig.add_user(email=MAIL)
        await ask(browser)
        [mail] = await mailbox.wait(1)
        link = link_in(mail)
        token = link.partition("token=")[2]
        response = await browser.get(link)
        assert response.headers["Referrer-Policy"] == "strict-origin"
        await follow(browser, link)
        stored = b"".join(path.read_bytes() for path in tmp_path.glob("gateway.db*"))
        assert token.encode() not in stored
        logged = "\n".join(str(r.__dict__) for r in caplog.records if r.name.startswith("gateway"))
        assert "reset_opened" in logged
        assert token not in logged


async def test_a_disabled_user_gets_no_link_and_a_foreign_kind_of_link_is_none(tmp_path: Path) -> None:
    from gateway.authn.one_time_links import Links

    async with running(tmp_path) as (rig, mailbox), rig.browser() as browser:
        await rig.add_user(email=MAIL)
        engine = open_engine(rig.config.storage.url)
        invite = await Links("invite", SqlLedger(engine, rig.clock), rig.clock, lifetime=900).issue("alice")
        await engine.dispose()
        assert (await follow(browser, f"/_auth/reset?token={invite}"))[0].status == 410
        await rig.add_user("dora", email="dora@example.test", disabled=True, phone="+4915112345679")
        await ask(browser, "dora")
        await ask(browser, "alice")
        await mailbox.wait(1)
        assert mailbox.mails[0][0] == MAIL


async def test_resets_can_be_switched_off(tmp_path: Path) -> None:
    async with running_gateway(tmp_path, passwords={"reset_by_mail": False}) as rig, rig.browser() as browser:
        assert (await browser.get("/_auth/reset")).status == 404
        assert "Forgot" not in await (await browser.get("/_auth/login")).text()


async def change(rig: Rig, what: str) -> None:
    alice = await rig.directory.get("alice")
    assert alice is not None
    if what == "mail":
        await rig.directory.replace(replace(alice, email="elsewhere@example.test"))
    elif what == "password":
        await rig.directory.set_password("alice", "set by the operator, long")
    elif what == "user":
        await rig.directory.delete("alice")
        rig.clock.advance(1)
        await rig.add_user(email=MAIL)


@pytest.mark.parametrize("what", ["mail", "password", "user"])
@pytest.mark.parametrize("opened", [False, True])
async def test_a_link_ends_with_any_change_of_mail_password_or_user(
    tmp_path: Path, what: str, opened: bool
) -> None:
    async with running(tmp_path) as (rig, mailbox), rig.browser() as browser:
        await rig.add_user(email=MAIL)
        await ask(browser)
        [mail] = await mailbox.wait(1)
        rig.clock.advance(1)
        if not opened:
            await change(rig, what)
        response, form = await follow(browser, link_in(mail))
        if opened:
            assert response.status == 200
            await change(rig, what)
            response, _ = await prove(browser, rig, form)
        assert response.status == 410
        assert not await rig.directory.authenticate("alice", NEW)


async def test_of_three_asks_at_once_one_link_lives(tmp_path: Path) -> None:
    async with running(tmp_path) as (rig, mailbox):
        await rig.add_user(email=MAIL)
        browsers = [rig.browser() for _ in range(3)]
        await asyncio.gather(*(ask(one) for one in browsers))
        links = [link_in(mail) for mail in await mailbox.wait(3)]
        statuses = [(await follow(one, link))[0].status for one, link in zip(browsers, links, strict=True)]
        assert sorted(statuses) == [200, 410, 410]
        for one in browsers:
            await one.session.close()


async def test_of_links_made_at_the_same_moment_the_last_one_lives(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'links.db'}"
    await give_schema(url)
    engine = open_engine(url)
    links = Links("reset", SqlLedger(engine, FakeClock()), FakeClock(), lifetime=60)
    made = await asyncio.gather(*(links.issue("alice") for _ in range(5)))
    living = [token for token in made if await links.look(token)]
    assert len(living) == 1
    taken = await asyncio.gather(*(links.take(token) for token in (*made, *made)))
    assert taken.count("alice") == 1
    await engine.dispose()


async def test_a_password_is_set_by_nobody_who_has_not_proven_the_second_factor(tmp_path: Path) -> None:
    """Whatever the pages do: the act itself asks."""
    async with running(tmp_path) as (rig, mailbox), rig.browser() as browser:
        await rig.add_user(email=MAIL)
        await ask(browser)
        [mail] = await mailbox.wait(1)
        services = rig.gateway.services
        assert services.users.writable is not None
        resets = Resets(
            directory=services.users.writable,
            signin=services.authn.signin,
            sessions=services.stores.records,
            ledger=services.stores.ledger,
            limits=services.limits,
            passwords=services.users.passwords,
            audit=services.audit,
            notices=services.messaging.notices,
            clock=services.clock,
            base="",
        )
        client = LoginOrigin(ip_address("192.0.2.1"), "", "app.test")
        ticket = await resets.open(client, link_in(mail).partition("token=")[2], "browser")
        assert ticket is not None
        assert not ticket.proven
        assert await resets.finish(client, ticket, NEW) is False
        assert not await rig.directory.authenticate("alice", NEW)


async def test_made_up_names_spend_nothing_that_all_users_share(tmp_path: Path) -> None:
    async with running(tmp_path) as (rig, mailbox), rig.browser() as browser:
        await rig.add_user(email=MAIL)
        limits = rig.gateway.services.limits
        for number in range(5):
            assert (await ask(browser, f"nobody{number}")).status == 200
        await ask(browser)
        await mailbox.wait(1)
        assert await limits.check(RESETS_IN_ALL, "") == 1


async def test_a_stranger_does_not_spend_the_resets_of_the_owners_device(tmp_path: Path) -> None:
    async with running(tmp_path) as (rig, mailbox), rig.browser() as owner, rig.browser() as stranger:
        await rig.add_user(email=MAIL)
        await owner.password()
        await owner.code(remember_device="on")
        token = await owner.token("/_auth/logout")
        await owner.post("/_auth/logout", {"csrf_token": token})
        assert [(await ask(stranger)).status for _ in range(4)] == [200, 200, 200, 429]
        await mailbox.wait(3)
        assert (await ask(owner)).status == 200
        [*_, mail] = await mailbox.wait(4)
        assert "token=" in link_in(mail)
