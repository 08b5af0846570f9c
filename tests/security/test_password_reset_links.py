"""A link to a new password works once, for a while, and for nothing that has changed since."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from gateway.authn.one_time_links import Links
from gateway.stores.sql.engine import open_engine
from gateway.stores.sql.ledger import SqlLedger
from tests.databases import give_schema
from tests.mailbox import link_in
from tests.reset_rig import MAIL, NEW, ask, follow, prove, running
from tests.rig import FakeClock, Rig


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
