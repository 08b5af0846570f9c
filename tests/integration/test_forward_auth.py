"""Forward-auth: the same verdict through every dialect and through the proxy door, and only trusted proxies may ask."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from yarl import URL

from gateway.config.sections.header_presets import IDENTITY, PRESETS
from tests.rig import Browser, running_gateway

TRUSTED = {"trusted_proxies": ["127.0.0.1/32"]}
ROUTES: list[dict[str, Any]] = [
    {"path": "/open", "upstream": "UPSTREAM", "policy": {"require": "bypass"}},
    {"path": "/shut", "upstream": "UPSTREAM", "policy": {"require": "deny"}},
    {"path": "/one", "upstream": "UPSTREAM", "policy": {"require": "one_factor"}},
    {"path": "/ops", "upstream": "UPSTREAM", "policy": {"groups": ["ops"]}},
    {"path": "/get", "upstream": "UPSTREAM", "policy": {"methods": ["GET"]}},
    {
        "path": "/",
        "upstream": "UPSTREAM",
        "rules": [
            {"paths": ["/app/*", "/home/{user}"]},
            {"paths": ["/pub"], "require": "bypass"},
            {"query": [{"key": {"one_of": ["k"]}}], "require": "bypass"},
        ],
    },
]
PATHS = (
    "/open",
    "/shut",
    "/one",
    "/ops",
    "/get",
    "/app/x",
    "/pub",
    "/nowhere",
    "/nowhere?key=k",
    "/nowhere?key=k&key=x",
    "/home/alice/x",
    "/home/%61lice",
    "/home/bob/alice",
    "/open/%2e%2e/shut",
    "/open//x",
    "/x;y",
)

Asker = Callable[[str, str, str], tuple[str, dict[str, str]]]
"""Method, authority and URI of the original request -> the path to ask at and the headers to ask with."""


def traefik(method: str, authority: str, uri: str) -> tuple[str, dict[str, str]]:
    names = {"Method": method, "Proto": "http", "Host": authority, "Uri": uri}
    return "/_auth/forward", {f"X-Forwarded-{name}": value for name, value in names.items()}


def nginx(method: str, authority: str, uri: str) -> tuple[str, dict[str, str]]:
    return "/_auth/forward", {"X-Original-URL": f"http://{authority}{uri}", "X-Original-Method": method}


def envoy(method: str, authority: str, uri: str) -> tuple[str, dict[str, str]]:
    return f"/_auth/forward{uri}", {"X-Forwarded-Proto": "http"}


def routes() -> list[dict[str, Any]]:
    return [dict(route) for route in ROUTES]


dialects = pytest.mark.parametrize("dialect", [traefik, nginx, envoy])


async def ask(browser: Browser, dialect: Asker, path: str, method: str = "GET", **headers: str) -> Any:
    where, asking = dialect(method, f"127.0.0.1:{browser.rig.port}", path)
    spoken = method if dialect is envoy else "GET"
    response = await browser.session.request(
        spoken,
        URL(browser.rig.url + where, encoded=True),
        headers={"Accept": "text/html", **asking, **headers},
        allow_redirects=False,
    )
    await response.read()
    return response


async def through_the_proxy(browser: Browser, path: str, method: str = "GET") -> Any:
    url = URL(browser.rig.url + path, encoded=True)
    headers = {"Accept": "text/html"}
    response = await browser.session.request(method, url, headers=headers, allow_redirects=False)
    await response.read()
    return response


def verdict(response: Any) -> str:
    if response.status in (301, 302, 303, 401):
        return "verify" if "/_auth/verify" in response.headers["Location"] else "login"
    return "allow" if response.status == 200 else "refused"


@dialects
@pytest.mark.parametrize("state", ["nobody", "password", "signed in"])
async def test_every_door_gives_the_same_verdict(dialect: Asker, state: str, tmp_path: Path) -> None:
    async with running_gateway(tmp_path, server=TRUSTED, routes=routes()) as rig, rig.browser() as browser:
        await rig.add_user("alice")
        if state == "password":
            await browser.password()
        if state == "signed in":
            await browser.sign_in(rd="/app/x")
        for path in PATHS:
            for method in ("GET", "POST"):
                door = verdict(await through_the_proxy(browser, path, method))
                assert verdict(await ask(browser, dialect, path, method)) == door, (path, method)


@dialects
async def test_a_yes_carries_the_identity_headers_of_the_route(dialect: Asker, tmp_path: Path) -> None:
    names = {"rename": {"Remote-User": "X-Who"}, "drop": ["Remote-Email"]}
    routes = [{"upstream": "UPSTREAM", "headers": names}]
    async with running_gateway(tmp_path, server=TRUSTED, routes=routes) as rig, rig.browser() as browser:
        await rig.add_user("alice", email="a@example.com", groups=("ops",))
        await browser.sign_in()
        answer = await ask(browser, dialect, "/", **{"Remote-User": "mallory"})
        assert answer.status == 200
        assert answer.headers["X-Who"] == "alice"
        assert answer.headers["Remote-Groups"] == "ops"
        assert answer.headers["X-Auth-Assertion"].count(".") == 2
        assert not {"Remote-User", "Remote-Email", "Set-Cookie"} & set(answer.headers)


async def test_presets_are_the_same_through_proxy_fast_path_and_forward_auth(tmp_path: Path) -> None:
    presets = ["x-auth-request", "authentik", "goog-iap", "cf-access"]
    routes = [{"upstream": "UPSTREAM", "headers": {"preset": presets}}]
    async with running_gateway(tmp_path, server=TRUSTED, routes=routes) as rig, rig.browser() as browser:
        await rig.add_user("alice", email="a@example.com", groups=("ops", "dev"))
        await browser.sign_in()
        answer = await ask(browser, traefik, "/")
        for _ in range(2):  # the second one takes the fast path
            forged = dict.fromkeys(
                ("Remote-User", "x_auth_request_user", "Cf_Access-Jwt-Assertion"), "mallory"
            )
            seen = await (await browser.get("/", **forged)).json()
            told = {name: value for name, value in seen["headers"] if name in IDENTITY}
            assert "mallory" not in str(seen)
            assert told.keys() == {name for preset in presets for name in PRESETS[preset]} | {
                "X-Auth-Assertion"
            }
            stable = {name for name in told if "jwt" not in name.lower() and "ssertion" not in name}
            assert {name: answer.headers[name] for name in stable} == {name: told[name] for name in stable}
        assert told["X-authentik-groups"] == "ops|dev"


@dialects
async def test_programs_get_401_without_a_place_to_go(dialect: Asker, tmp_path: Path) -> None:
    async with running_gateway(tmp_path, server=TRUSTED) as rig, rig.browser() as browser:
        answer = await ask(browser, dialect, "/api", Accept="application/json")
        assert (answer.status, "Location" in answer.headers) == (401, False)
        assert (await answer.json())["error"] == "sign_in_required"


async def test_nginx_gets_401_with_the_way_to_sign_in_others_a_redirect(tmp_path: Path) -> None:
    async with running_gateway(tmp_path, server=TRUSTED) as rig, rig.browser() as browser:
        expected = f"{rig.url}/_auth/login?rd=/x%3Fa%3D1"
        for dialect, status in ((nginx, 401), (traefik, 302), (envoy, 302)):
            answer = await ask(browser, dialect, "/x?a=1")
            assert (answer.status, answer.headers["Location"]) == (status, expected)


@dialects
async def test_nobody_is_believed_who_is_not_a_trusted_proxy(dialect: Asker, tmp_path: Path) -> None:
    for proxies in ([], ["192.0.2.0/24"]):
        folder = tmp_path / str(len(proxies))
        folder.mkdir()
        server = {"trusted_proxies": proxies}
        async with running_gateway(folder, server=server) as rig, rig.browser() as browser:
            await rig.add_user("alice")
            await browser.sign_in()
            answer = await ask(browser, dialect, "/")
            assert answer.status == 403
            assert "Remote-User" not in answer.headers


async def test_headers_of_two_dialects_are_refused_since_one_may_be_the_clients(tmp_path: Path) -> None:
    async with running_gateway(tmp_path, server=TRUSTED, routes=routes()) as rig, rig.browser() as browser:
        _, smuggled = nginx("GET", f"127.0.0.1:{rig.port}", "/open")
        for dialect in (traefik, envoy):
            assert (await ask(browser, dialect, "/shut", **smuggled)).status == 400
        bare = await browser.get("/_auth/forward")
        assert bare.status == 400


async def test_a_proxy_that_chose_another_route_than_we_would_is_refused(tmp_path: Path) -> None:
    async with running_gateway(tmp_path, server=TRUSTED, routes=routes()) as rig, rig.browser() as browser:
        _, headers = traefik("GET", f"127.0.0.1:{rig.port}", "/open")
        assert (await browser.get("/_auth/forward?route=*/open", **headers)).status == 200
        assert (await browser.get("/_auth/forward?route=*/shut", **headers)).status == 403


@dialects
async def test_websockets_from_foreign_pages_are_refused(dialect: Asker, tmp_path: Path) -> None:
    async with running_gateway(tmp_path, server=TRUSTED) as rig, rig.browser() as browser:
        await rig.add_user("alice")
        await browser.sign_in()
        handshake = {"Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ=="}
        assert (await ask(browser, dialect, "/ws", Origin=rig.url, **handshake)).status == 200
        assert (await ask(browser, dialect, "/ws", Origin="http://evil.example", **handshake)).status == 403


async def test_an_old_proof_is_asked_for_again_before_a_rule_with_max_age(tmp_path: Path) -> None:
    routes = [
        {"path": "/pay", "upstream": "UPSTREAM", "policy": {"max_age": "5m"}},
        {"path": "/one", "upstream": "UPSTREAM", "policy": {"require": "one_factor", "max_age": "5m"}},
        {"path": "/", "upstream": "UPSTREAM"},
    ]
    async with running_gateway(tmp_path, routes=routes) as rig, rig.browser() as browser:
        await rig.add_user("alice")
        await browser.sign_in(rd="/pay")
        assert (await browser.get("/pay")).status == 200
        rig.clock.advance(301)
        assert (await browser.get("/")).status == 200
        assert "/_auth/verify" in (await browser.get("/pay")).headers["Location"]
        stale = await browser.get("/one")
        assert "/_auth/login" in stale.headers["Location"]
        assert (await browser.get(stale.headers["Location"])).status == 200  # a form, not a loop
        await browser.get("/_auth/verify?rd=/pay")
        assert (await browser.code(rd="/pay")).headers["Location"] == "/pay"
        assert [(await browser.get(path)).status for path in ("/pay", "/one")] == [200, 200]
