"""whoami says of a user what their app hears anyway, to that app's own pages and programs, and nothing to others."""

import base64
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.domains_rig import CONFIG, WIKI
from tests.rig import PASSWORD, Rig, running_gateway

ROUTES: list[dict[str, Any]] = [
    {"path": "/open", "upstream": "UPSTREAM", "policy": {"require": "bypass"}},
    {"path": "/staff", "upstream": "UPSTREAM", "policy": {"groups": ["staff"]}},
    {"path": "/programs", "upstream": "UPSTREAM", "basic": True, "policy": {"require": "one_factor"}},
    {
        "path": "/quiet",
        "upstream": "UPSTREAM",
        "headers": {"preset": ["x-auth-request"], "drop": ["X_Auth_Assertion", "X-Auth-Request-Email"]},
    },
    {"path": "/", "upstream": "UPSTREAM"},
]
WHOAMI = "/_auth/whoami"


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    async with running_gateway(tmp_path, routes=ROUTES) as rig:
        await rig.add_user("alice", email="alice@example.com", groups=("ops", "night shift"))
        yield rig


async def test_pages_of_an_app_learn_what_the_app_hears_and_nothing_more(rig: Rig) -> None:
    async with rig.browser() as browser:
        nobody = await browser.get(WHOAMI, Accept="*/*")
        assert nobody.status == 401
        assert await nobody.json() == {
            "error": "sign_in_required",
            "login_url": f"{rig.url}/_auth/login",
        }
        await browser.password()
        half = await browser.get(WHOAMI)
        assert (half.status, (await half.json())["error"]) == (401, "second_factor_required")
        await browser.code()
        known = await browser.get(WHOAMI)
        assert known.status == 200
        told = await known.json()
        assert told == {
            "username": "alice",
            "name": "Alice",
            "email": "alice@example.com",
            "groups": ["ops", "night shift"],
            "amr": ["password", "sms"],
            "auth_time": int(rig.clock.now),
        }
        for answer in (nobody, half, known):
            assert answer.headers["Cache-Control"] == "no-store"
            assert answer.headers["Cross-Origin-Resource-Policy"] == "same-origin"
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
            assert "Cookie" in answer.headers["Vary"]
            assert not [name for name in answer.headers if name.startswith("Access-Control")]
        text = await known.text()
        assert browser.cookie() not in text
        principal = (await rig.gateway.stores.sessions.list("alice"))[0]
        assert principal.sid not in text


async def test_what_a_route_keeps_from_its_app_is_kept_from_its_pages(rig: Rig) -> None:
    async with rig.browser() as browser:
        await browser.sign_in()
        quiet = await (await browser.get(f"{WHOAMI}?path=/quiet/page")).json()
        assert quiet == {"username": "alice", "groups": ["ops", "night shift"]}
        refused = await browser.get(f"{WHOAMI}?path=/staff")
        assert (refused.status, await refused.json()) == (403, {"error": "denied"})


async def test_where_strangers_pass_nobody_is_said_to_be_nobody(rig: Rig) -> None:
    async with rig.browser() as browser:
        assert (await browser.get(f"{WHOAMI}?path=/open")).status == 401
        await browser.password()
        assert (await (await browser.get(f"{WHOAMI}?path=/open")).json())["username"] == "alice"


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "null", "Sec-Fetch-Site": "same-origin"},
        {"Origin": "https://evil.example", "Sec-Fetch-Site": "same-origin"},
    ],
)
async def test_a_page_of_another_origin_learns_nothing(rig: Rig, headers: dict[str, str]) -> None:
    async with rig.browser() as browser:
        await browser.sign_in()
        answers = [await browser.get(WHOAMI, **headers)]
        browser.session.cookie_jar.clear()
        answers.append(await browser.get(WHOAMI, **headers))
        for answer in answers:  # the same whether somebody is signed in or not
            assert (answer.status, await answer.json()) == (403, {"error": "cross_origin"})
            assert not [name for name in answer.headers if name.startswith("Access-Control")]


@pytest.mark.parametrize(
    "path",
    ["/a/../staff", "/a%2fb", "//staff", "staff", "/staff%00", "/.git", "http://x/", "/a\\b", "/st;aff"],
)
async def test_a_path_with_two_readings_is_not_judged(rig: Rig, path: str) -> None:
    async with rig.browser() as browser:
        await browser.sign_in()
        asked = await browser.session.get(rig.url + WHOAMI, params={"path": path})
        assert asked.status == 400
    async with rig.browser() as browser:
        assert (await browser.get(f"{WHOAMI}?path=/open&path=/")).status == 400


async def test_programs_ask_with_what_their_route_accepts(rig: Rig) -> None:
    pair = base64.b64encode(f"alice:{PASSWORD}".encode()).decode()
    wrong = base64.b64encode(b"alice:wrong").decode()
    async with aiohttp.ClientSession() as web:

        async def asked(path: str, secret: str) -> tuple[int, str]:
            headers = {"Authorization": f"Basic {secret}"}
            async with web.get(f"{rig.url}{WHOAMI}?path={path}", headers=headers) as answer:
                return answer.status, (await answer.json()).get("username", "")

        assert await asked("/programs", pair) == (200, "alice")
        assert await asked("/programs", wrong) == (401, "")
        assert await asked("/", pair) == (401, "")  # this route takes no passwords
        async with web.post(rig.url + WHOAMI) as answer:
            assert answer.status == 405


async def test_a_host_that_no_route_serves_has_no_whoami(tmp_path: Path) -> None:
    routes = [{"host": "app.test", "path": "/app", "upstream": "UPSTREAM"}]
    async with running_gateway(tmp_path, routes=routes) as rig, rig.browser() as browser:
        assert (await browser.get(WHOAMI, Host="other.test")).status == 404
        assert (await browser.get(WHOAMI, Host="app.test")).status == 404  # "/" is no route there
        assert (await browser.get(f"{WHOAMI}?path=/app", Host="app.test")).status == 401


async def test_at_a_host_of_another_domain_it_is_that_hosts_own(tmp_path: Path) -> None:
    async with running_gateway(tmp_path, **CONFIG) as rig, rig.browser() as browser:
        answer = await browser.get(WHOAMI, Host=f"{WIKI}:{rig.port}")
        assert (answer.status, (await answer.json())["error"]) == (401, "sign_in_required")
        assert (await answer.json())["login_url"] == f"http://{WIKI}:{rig.port}/_auth/login"
