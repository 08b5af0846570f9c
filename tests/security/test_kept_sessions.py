"""Rules 4 and 10 for sessions that are kept: for who ticks it, as long as said, with all factors."""

import re
from dataclasses import replace
from html import unescape
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from gateway.model import SessionRecord
from gateway.portal.signin.keep_choice import link_token
from tests.approving import approve, ask, check
from tests.bound_browser import BoundBrowser
from tests.forging_provider import come_back, forging_rig, leave
from tests.rig import PASSWORD, Browser, Rig, csrf_of, running_gateway
from tests.software_key import SoftwareKey

DAY = 86400.0
KEEP: dict[str, Any] = {"session": {"keep_signed_in": "30d"}}
TICKED = {"keep_signed_in": "1"}


async def password(browser: Browser, rd: str = "/", **more: str) -> aiohttp.ClientResponse:
    form = {"username": "alice", "password": PASSWORD, "csrf_token": await browser.token("/_auth/login")}
    return await browser.post("/_auth/login", form | {"rd": rd} | more)


async def sign_in(browser: Browser, rd: str = "/", **more: str) -> None:
    assert (await password(browser, rd, **more)).status == 303
    assert (await browser.code(rd=rd)).status == 303


async def record_of(rig: Rig, username: str = "alice") -> SessionRecord:
    return (await rig.gateway.stores.sessions.list(username))[-1]


def lifetime(response: aiohttp.ClientResponse) -> int:
    """For how many seconds the browser keeps the session's cookie; 0 until it is closed."""
    value = response.cookies["auth_session"]["max-age"]
    return int(value) if value else 0


async def test_a_session_is_kept_for_who_ticks_it_and_for_nobody_else(tmp_path: Path) -> None:
    async with running_gateway(tmp_path, **KEEP) as rig, rig.browser() as mine, rig.browser() as other:
        await rig.add_user()
        first = await password(mine, **TICKED)
        assert lifetime(first) == 30 * DAY
        assert lifetime(await mine.code()) == 30 * DAY, "the choice survives the second step"
        assert lifetime(await password(other)) == 0
        assert lifetime(await other.code()) == 0
        rig.clock.advance(rig.config.session.idle_timeout + 1)
        assert (await mine.get("/")).status == 200
        assert (await other.get("/")).status == 303
        for _ in range(29):
            rig.clock.advance(DAY)
            assert (await mine.get("/")).status == 200
        rig.clock.advance(DAY)
        assert (await mine.get("/")).status == 303, "used or not, 30 days are all"


@pytest.mark.parametrize("config", [{}, KEEP])
async def test_only_our_own_tick_keeps_and_only_where_the_operator_allows_it(
    tmp_path: Path, config: dict[str, Any]
) -> None:
    async with running_gateway(tmp_path, **config) as rig:
        await rig.add_user()
        for wish in ("0", "on", "true", "11") if config else ("1",):
            async with rig.browser() as browser:
                assert lifetime(await password(browser, keep_signed_in=wish)) == 0
        for record in await rig.gateway.stores.sessions.list("alice"):
            assert not record.kept
            assert record.expires_at == rig.clock() + rig.config.session.absolute_timeout
        async with rig.browser() as browser:
            page = await (await browser.get("/_auth/login")).text()
            assert ("keep_signed_in" in page) is bool(config)


async def test_a_kept_session_proves_anew_what_rules_want_fresh(tmp_path: Path) -> None:
    routes = [
        {"host": "*", "path": "/fresh", "upstream": "UPSTREAM", "policy": {"max_age": "15m"}},
        {
            "host": "*",
            "path": "/one",
            "upstream": "UPSTREAM",
            "policy": {"require": "one_factor", "max_age": "15m"},
        },
        {"host": "*", "path": "/", "upstream": "UPSTREAM"},
    ]
    async with running_gateway(tmp_path, routes=routes, **KEEP) as rig, rig.browser() as browser:
        await rig.add_user()
        await sign_in(browser, **TICKED)
        assert (await browser.get("/fresh")).status == 200
        rig.clock.advance(DAY)
        assert (await browser.get("/")).status == 200
        assert (await browser.get("/fresh")).headers["Location"].startswith("/_auth/verify")
        assert (await browser.get("/one")).headers["Location"].startswith("/_auth/login")
        page = await (await browser.get("/_auth/account")).text()
        assert "confirm that it’s you first" in page
        assert "kept until" in page
        before = (await record_of(rig)).expires_at
        assert (await browser.code(rd="/fresh")).status == 303
        assert (await browser.get("/fresh")).status == 200
        assert "keep_signed_in" not in await (await browser.get("/_auth/login?rd=/one")).text()
        after = await record_of(rig)
        assert (after.kept, after.expires_at) == (True, before), "a new proof makes it no longer"


async def test_a_kept_session_with_a_password_alone_opens_nothing_that_wants_two(tmp_path: Path) -> None:
    async with running_gateway(tmp_path, **KEEP) as rig, rig.browser() as browser:
        await rig.add_user()
        await password(browser, **TICKED)
        rig.clock.advance(3 * DAY)
        assert (await browser.get("/")).headers["Location"].startswith("/_auth/verify")
        assert not rig.upstream.requests


async def test_what_ends_sessions_ends_kept_ones(tmp_path: Path) -> None:
    async with running_gateway(tmp_path, **KEEP) as rig, rig.browser() as browser:
        user = await rig.add_user()
        await sign_in(browser, **TICKED)
        await rig.directory.replace(replace(user, disabled=True))
        await browser.until_status(303)
        await rig.directory.replace(replace(user, disabled=False))
        await sign_in(browser, **TICKED)
        await rig.gateway.stores.sessions.delete_for_user("alice")
        await browser.until_status(303)
        await sign_in(browser, **TICKED)
        await browser.post("/_auth/logout", {"csrf_token": await browser.token("/_auth/logout")})
        assert (await browser.get("/")).status == 303


async def test_a_lower_limit_counts_for_sessions_that_are_kept_already(tmp_path: Path) -> None:
    async with running_gateway(tmp_path, **KEEP) as rig, rig.browser() as browser:
        await rig.add_user()
        await sign_in(browser, **TICKED)
        cookie = browser.cookie()
    for allowed, good in (("7d", 7 * DAY), ("0s", 3600.0)):
        settings = {"session": {"keep_signed_in": allowed}}
        async with (
            running_gateway(tmp_path, clock=rig.clock, **settings) as later,
            later.browser() as browser,
        ):
            began = (await record_of(later)).created_at
            later.clock.now = began + good - 1
            assert (await browser.get("/", Cookie=f"auth_session={cookie}")).status == 200, allowed
            later.clock.now = began + good
        async with (
            running_gateway(tmp_path, clock=rig.clock, **settings) as later,
            later.browser() as browser,
        ):
            if allowed == "0s":  # it was used a second ago; only its whole time is over
                later.clock.now = began + later.config.session.absolute_timeout
            assert (await browser.get("/", Cookie=f"auth_session={cookie}")).status == 303, allowed
            later.clock.now = began


async def test_the_choice_survives_approval_on_another_device(tmp_path: Path) -> None:
    async with running_gateway(tmp_path, **KEEP) as rig, rig.browser() as owner, rig.browser() as asker:
        await rig.add_user()
        await owner.sign_in()
        await password(asker, **TICKED)
        _, number = await ask(asker)
        await approve(owner, number)
        answer = await check(asker)
        assert (answer.status, lifetime(answer)) == (303, 30 * DAY)
        rig.clock.advance(2 * DAY)
        assert (await asker.get("/")).status == 200


async def test_a_passkey_keeps_the_session_that_was_ticked(tmp_path: Path) -> None:
    config = {"server": {"public_url": "http://localhost:PORT"}, **KEEP}
    async with running_gateway(tmp_path, **config) as rig:
        rig.url = f"http://localhost:{rig.port}"
        await rig.add_user()
        key = SoftwareKey()
        await rig.gateway.stores.credentials.add(key.stored("alice"))
        for wish, kept in ((TICKED, 30 * DAY), ({}, 0)):
            async with rig.browser() as browser:
                page = await (await browser.get("/_auth/passkey")).text()
                options = re.search(r"data-options=\"([^\"]*)\"", page)
                assert options
                form = {"csrf_token": csrf_of(page), "credential": key.answer(unescape(options[1]), rig.url)}
                answer = await browser.post("/_auth/passkey", {**form, "rd": "/", **wish})
                assert (answer.status, lifetime(answer)) == (303, kept)


async def test_a_provider_keeps_the_session_by_a_link_of_our_own_page_alone(tmp_path: Path) -> None:
    async with forging_rig(tmp_path, sections=KEEP) as (rig, provider):
        async with rig.browser() as browser:
            token = link_token(await browser.token("/_auth/login"))
            assert f"keep={token}" in await (await browser.get("/_auth/login")).text()
            query = await leave(browser, provider, f"&keep={token}")
            assert await come_back(browser, query["state"]) == 303
            assert (await record_of(rig, "mira")).kept
            assert (await browser.code()).status == 303
            assert (await record_of(rig, "mira")).kept
        for foreign in ("1", link_token("another browser's"), ""):
            async with rig.browser() as browser:
                await browser.get("/_auth/login")
                await rig.gateway.stores.sessions.delete_for_user("mira")
                query = await leave(browser, provider, f"&keep={foreign}")
                assert await come_back(browser, query["state"]) == 303
                assert not (await record_of(rig, "mira")).kept, foreign


async def test_a_key_of_the_browser_stays_bound_to_the_kept_session(tmp_path: Path) -> None:
    config = {"session": {**KEEP["session"], "bind": {"device": True}}}
    async with running_gateway(tmp_path, **config) as rig, rig.browser() as browser:
        await rig.add_user()
        await password(browser, **TICKED)
        last = await browser.code()
        mine = BoundBrowser(rig, {"auth_session": browser.cookie()})
        await mine.register(last)
        rig.clock.advance(DAY)
        assert (await mine.ask("/", "auth_session")).status == 303
        assert (await mine.refresh()).status == 200
        assert (await mine.ask()).status == 200
