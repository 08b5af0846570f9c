"""Rules 2, 3 and 10 for invitations: a link works once, and what it gives is a password, not two factors."""

import asyncio
from pathlib import Path

import aiohttp

from gateway.authn.invitations import LIFETIME, Invitations
from gateway.model import User
from gateway.stores.sql.engine import open_engine
from gateway.stores.sql.ledger import SqlLedger
from tests.mailbox import link_in
from tests.rig import PASSWORD, Browser, Rig, csrf_of, running_gateway


async def invite(rig: Rig, username: str = "nora", *, again: bool = False) -> str:
    """As the command line does, in another process; the link's path and query."""
    engine = open_engine(rig.config.storage.url)
    base = f"{rig.url}/_auth"
    invitations = Invitations(rig.directory, SqlLedger(engine, rig.clock), rig.clock, base=base)
    link = await (invitations.link(username) if again else invitations.invite(User(username)))
    await engine.dispose()
    return link_in(link)


async def accept(browser: Browser, link: str, password: str = PASSWORD) -> aiohttp.ClientResponse:
    page = await (await browser.get(link)).text()
    token = link.partition("token=")[2]
    form = {"token": token, "password": password, "csrf_token": csrf_of(page)}
    return await browser.post("/_auth/invite", form)


async def test_an_invited_person_must_add_a_second_factor_before_anything_else(tmp_path: Path) -> None:
    async with running_gateway(tmp_path) as rig, rig.browser() as browser:
        link = await invite(rig)
        assert (await browser.password("nora", "")).status == 401
        response = await accept(browser, link)
        assert response.status == 303
        assert response.headers["Location"].startswith("/_auth/enrol")
        assert (await browser.get("/")).status == 303
        assert "Authenticator app" in await (await browser.get("/_auth/enrol?rd=/")).text()
        assert rig.upstream.requests == []


async def test_an_invitation_works_once_and_looking_does_not_use_it_up(tmp_path: Path) -> None:
    async with running_gateway(tmp_path) as rig, rig.browser() as browser, rig.browser() as late:
        link = await invite(rig)
        for _ in range(3):
            assert (await late.get(link)).status == 200
        assert (await accept(browser, link)).status == 303
        assert (await accept(late, link, "somebody else's passphrase")).status in (403, 410)
        assert (await late.get(link)).status == 410
        assert (await late.password("nora", "somebody else's passphrase")).status == 401


async def test_an_invitation_is_for_nobody_who_gets_the_name_later(tmp_path: Path) -> None:
    """A user without a password is no rare thing where people sign in with an account elsewhere."""
    async with running_gateway(tmp_path) as rig, rig.browser() as browser:
        link = await invite(rig)
        await rig.directory.delete("nora")
        rig.clock.advance(60)
        await rig.directory.add(User("nora"))
        assert (await browser.get(link)).status == 410
        again = await invite(rig, again=True)
        assert (await accept(browser, again)).status == 303


async def test_of_two_who_accept_at_once_one_sets_the_password(tmp_path: Path) -> None:
    async with running_gateway(tmp_path) as rig, rig.browser() as one, rig.browser() as two:
        link = await invite(rig)
        first, second = "the passphrase of one", "the passphrase of two"
        answers = await asyncio.gather(accept(one, link, first), accept(two, link, second))
        assert sorted(answer.status for answer in answers) == [303, 410]


async def test_a_weak_password_is_refused_and_costs_nothing(tmp_path: Path) -> None:
    async with running_gateway(tmp_path) as rig, rig.browser() as browser:
        link = await invite(rig)
        assert (await accept(browser, link, "short")).status == 422
        assert (await accept(browser, link)).status == 303


async def test_invitations_end_by_time_by_a_newer_one_and_by_disabling(tmp_path: Path) -> None:
    async with running_gateway(tmp_path) as rig, rig.browser() as browser:
        first = await invite(rig)
        second = await invite(rig, again=True)
        assert (await browser.get(first)).status == 410
        assert (await browser.get(second)).status == 200
        await rig.directory.replace(User("nora", disabled=True))
        assert (await browser.get(second)).status == 410
        await rig.directory.replace(User("nora"))
        rig.clock.advance(LIFETIME + 1)
        assert (await browser.get(second)).status == 410


async def test_an_account_with_a_password_is_never_taken_over_by_an_invitation(tmp_path: Path) -> None:
    async with running_gateway(tmp_path) as rig, rig.browser() as browser:
        link = await invite(rig)
        await rig.directory.set_password("nora", "set by the administrator")
        assert (await browser.get(link)).status == 410
        response = await browser.post("/_auth/invite", {"token": link.partition("token=")[2]})
        assert response.status in (403, 410)
        assert (await browser.password("nora", "set by the administrator")).status == 303


async def test_guessing_links_is_limited(tmp_path: Path) -> None:
    async with running_gateway(tmp_path) as rig, rig.browser() as browser:
        statuses = [(await browser.get(f"/_auth/invite?token=guess{n}")).status for n in range(31)]
        assert statuses == [410] * 30 + [429]
        assert (await browser.get(await invite(rig))).status == 429
