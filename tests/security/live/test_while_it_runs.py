"""Limits, half sessions and what ends while it is used, over two workers and a replica."""

import base64
import re
from collections import Counter
from dataclasses import replace
from itertools import count

import aiohttp
import pytest

from gateway.model import User
from tests.live_rig import Answer, Live, cookies_of
from tests.rig import PASSWORD
from tests.waiting import until

_addresses = count(1)
SHUT = (
    "/",
    "/ops",
    "/_auth/account",
    "/_auth/admin",
    "/_auth/admin/users",
    "/_auth/enrol",
    "/_auth/approvals",
    "/_auth/approve",
    "/_auth/tokens",
    "/_auth/oidc/grants",
    "/_auth/access?rd=/edit",
    "/_auth/oidc/authorize?client_id=web&redirect_uri=https://app.example.com/callback&response_type=code&scope=openid"
    "&code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM&code_challenge_method=S256",
)


def address() -> dict[str, str]:
    """Each of these is another client."""
    number = next(_addresses)
    return {"X-Forwarded-For": f"203.0.{number // 250}.{number % 250 + 1}"}


def basic(user: User, password: str) -> dict[str, str]:
    pair = base64.b64encode(f"{user.username}:{password}".encode()).decode()
    return {"Authorization": f"Basic {pair}", "Origin": ""}


async def test_a_crowd_has_ten_guesses_at_one_password_by_all_doors_together(rig: Live) -> None:
    user = await rig.person()
    async with rig.browser() as browser:
        form = {"username": user.username, "csrf_token": await browser.token("/_auth/login"), "rd": "/"}
        cookies, guesses = cookies_of(browser), count(1)

        async def guess(at: str) -> Answer:
            number = next(guesses)
            if number % 2:
                return await rig.ask("/api", at=at, **basic(user, f"wrong{number}"), **address())
            wrong = form | {
                "password": f"wrong{number}",
                "username": (user.username.upper(), form["username"])[number % 4 == 0],
            }
            return await rig.ask("/_auth/login", wrong, at=at, cookies=cookies, **address())

        answers = await rig.race(24, guess)
        assert Counter(one.status for one in answers) == {401: 10, 429: 14}
        right = form | {"password": PASSWORD}
        assert (await rig.ask("/_auth/login", right, cookies=cookies, **address())).status == 429
    await rig.until_logged("password_failed", user.username, 10)
    await rig.until_logged("tries_spent", user.username)


async def test_one_address_has_thirty_guesses_however_it_is_written(rig: Live) -> None:
    async with rig.browser() as browser:
        form = {"password": "x", "csrf_token": await browser.token("/_auth/login"), "rd": "/"}
        cookies, names = cookies_of(browser), count(1)
        spellings = ("198.51.100.7", "::ffff:198.51.100.7", "198.51.100.7:1234", "[::ffff:198.51.100.7]:9")

        async def guess(at: str) -> Answer:
            number = next(names)
            sent = {"X-Forwarded-For": spellings[number % len(spellings)]}
            return await rig.ask(
                "/_auth/login", form | {"username": f"nobody{number}"}, at=at, cookies=cookies, **sent
            )

        answers = await rig.race(36, guess)
    assert Counter(one.status for one in answers) == {401: 30, 429: 6}


async def test_resends_by_text_and_voice_in_parallel_stay_few(rig: Live) -> None:
    user = await rig.person()
    async with rig.half_signed_in(user) as (cookies, token):
        await rig.ask("/_auth/verify", cookies=cookies)
        await rig.code(user)
        ways = count()

        async def resend(at: str) -> Answer:
            form = {"resend": ("sms", "voice")[next(ways) % 2], "csrf_token": token, "rd": "/"}
            return await rig.ask("/_auth/verify", form, at=at, cookies=cookies, **address())

        await rig.race(20, resend)
    calls = [one for one in rig.twilio.calls if one.to == user.phone]
    assert len(rig.codes_to(user)) + len(calls) <= 5


@pytest.mark.parametrize("groups", [("admins", "ops", "leads"), ()], ids=["administrator", "user"])
async def test_a_password_alone_opens_nothing_that_wants_two_factors(
    rig: Live, groups: tuple[str, ...]
) -> None:
    user = await rig.person(groups=groups)
    before = len(rig.upstream.requests)
    async with rig.half_signed_in(user) as (cookies, token):
        for path in SHUT:
            shown = await rig.ask(path, cookies=cookies)
            assert shown.status == 403 or shown.location.startswith("/_auth/verify?rd="), path
            if path.startswith("/_auth") and "authorize" not in path:
                form = {"csrf_token": token, "do": "add", "group": "editors", "rd": "/edit", "name": "x"}
                sent = await rig.ask(path, form, cookies=cookies)
                assert sent.status in (403, 405) or sent.location.startswith("/_auth/verify?rd="), path
        for asked in ({"X-Original-URL": f"{rig.url}/ops", "X-Original-Method": "GET"},):
            assert (await rig.ask("/_auth/forward", cookies=cookies, **asked)).status in (401, 403)
        for method, path in (("GET", "/users"), ("POST", "/users"), ("DELETE", "/users/alice")):
            answer = await rig.ask(
                f"/_auth/admin/api/v1{path}", method=method, cookies=cookies, **{"X-CSRF-Token": token}
            )
            assert answer.status in (401, 403), path
        handshake = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13"}
        handshake["Sec-WebSocket-Key"] = "dGhlIHNhbXBsZSBub25jZQ=="
        assert (await rig.ask("/ws", cookies=cookies, **handshake)).status == 401
    assert rig.upstream.requests[before:] == []
    assert rig.logged("access_requested", user.username) == 0


async def test_who_is_disabled_between_the_factors_comes_no_further(rig: Live) -> None:
    user = await rig.person()
    async with rig.half_signed_in(user) as (cookies, token):
        await rig.ask("/_auth/verify", cookies=cookies)
        form = {"code": await rig.code(user), "csrf_token": token, "rd": "/"}
        await rig.directory.replace(replace(user, disabled=True))
        answers = await rig.race(6, lambda at: rig.ask("/_auth/verify", form, at=at, cookies=cookies))
    assert "/" not in {one.location for one in answers}
    assert rig.logged("login", user.username) == 0


async def test_a_group_that_is_taken_away_is_gone_at_every_place(rig: Live) -> None:
    user = await rig.person(groups=("ops",))
    async with rig.signed_in(user) as browser:
        cookies = cookies_of(browser)
        before = await rig.race(6, lambda at: rig.ask("/ops", at=at, cookies=cookies))
        assert {one.status for one in before} == {200}
        await rig.directory.replace(replace(user, groups=()))

        async def gone() -> bool:
            answers = await rig.race(9, lambda at: rig.ask("/ops", at=at, cookies=cookies))
            return {one.status for one in answers} == {403}

        await until(gone, "403 at every place")


async def test_a_websocket_ends_with_its_session_whoever_ends_it(rig: Live) -> None:
    """The command runs in a process of its own; the sockets are at both workers and the replica."""
    user = await rig.person()
    async with rig.signed_in(user) as browser, aiohttp.ClientSession() as client:
        headers = {"Cookie": cookies_of(browser), "Host": rig.host, "Origin": rig.url}
        places = (rig.first.url,) * 4 + (rig.second.url,)
        sockets = [await client.ws_connect(f"{at}/ws", headers=headers) for at in places]
        for socket in sockets:
            await socket.send_str("hello")
            assert await socket.receive_str() == "hello"
        await rig.machine.command("session", "revoke", "--user", user.username)
        assert {(await socket.receive()).type for socket in sockets} <= {
            aiohttp.WSMsgType.CLOSE,
            aiohttp.WSMsgType.CLOSED,
            aiohttp.WSMsgType.CLOSING,
        }


@pytest.mark.parametrize("end", ["disable", "delete"])
async def test_the_tokens_of_who_is_gone_open_nothing(rig: Live, end: str) -> None:
    user = await rig.person()
    async with rig.signed_in(user, rd="/_auth/tokens") as browser:
        page = await (await browser.get("/_auth/tokens")).text()
        form = {"csrf_token": await browser.token("/_auth/tokens"), "do": "make", "name": "ci", "days": "7"}
        form["route:*/api"] = "on"
        page = await (await browser.post("/_auth/tokens", form)).text()
        found = re.search(r"agt_[\w-]+", page)
        assert found, page
    bearer = {"Authorization": f"Bearer {found[0]}", "Origin": ""}
    assert {one.status for one in await rig.race(6, lambda at: rig.ask("/api", at=at, **bearer))} == {200}
    if end == "delete":
        await rig.directory.delete(user.username)
    else:
        await rig.directory.replace(replace(user, disabled=True))

    async def refused() -> bool:
        answers = await rig.race(9, lambda at: rig.ask("/api", at=at, **bearer))
        return {one.status for one in answers} == {401}

    await until(refused, "401 at every place")
    assert (await rig.ask("/api", **basic(user, PASSWORD))).status == 401
