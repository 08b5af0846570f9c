"""The exported configurations at work: sign-in through the engine, identity at the app, forgeries, revocation."""

import asyncio
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from yarl import URL

from gateway.cli.export import export_files
from gateway.engines.plan import plan
from tests.integration.engines import ENGINES, behind, command, process
from tests.integration.test_proxy_upstream_tls import tls_app
from tests.rig import HTML, Browser, Rig, running_gateway
from tests.waiting import free_port

engines = pytest.mark.parametrize("engine", ENGINES)
TWO = {"require": "two_factor"}


async def page(browser: Browser, path: str, **headers: str) -> tuple[int, dict[str, Any]]:
    """What a browser ends up with, following redirects."""
    answer = await browser.session.get(browser.rig.url + path, headers={"Accept": "text/html", **headers})
    body = await answer.read()
    return answer.status, await answer.json() if answer.content_type == "application/json" else {"text": body}


def seen(body: dict[str, Any]) -> dict[str, str]:
    return {name.lower(): value for name, value in body["headers"]}


def forged() -> dict[str, str]:
    names = (
        "Remote-User",
        "remote_user",
        "REMOTE-USER",
        "X-Forwarded_User",
        "X_Forwarded-Groups",
        "X-Auth-Assertion",
    )
    return dict.fromkeys(names, "mallory")


@engines
async def test_signing_in_through_the_engine_brings_identity_to_the_app(engine: str, tmp_path: Path) -> None:
    async with behind(engine, tmp_path) as rig, rig.browser() as browser:
        await rig.add_user("alice", name="Alice Ähren", email="alice@example.com", groups=("ops", "dev"))
        stranger = await browser.get("/dash?x=1")
        assert stranger.status in (302, 303)
        assert "/_auth/login?rd=" in stranger.headers["Location"]
        await browser.sign_in(rd="/dash?x=1")
        for _ in range(2):  # HAProxy's second answer is its own
            status, body = await page(browser, "/dash?x=1", **forged())
            headers = seen(body)
            assert (status, body["path"]) == (200, "/dash?x=1")
            assert headers["remote-user"] == "alice"
            assert headers["remote-name"] == "Alice Ähren".encode().decode("latin-1")
            assert headers["remote-groups"] == "ops,dev"
            assert headers["x-auth-assertion"].count(".") == 2
            assert "mallory" not in str(body)
            assert "auth_session" not in headers.get("cookie", "")


@engines
async def test_forged_identity_never_reaches_an_open_app(engine: str, tmp_path: Path) -> None:
    routes = [{"host": "*", "path": "/", "upstream": "UPSTREAM", "policy": {"require": "bypass"}}]
    async with behind(engine, tmp_path, routes=routes) as rig, rig.browser() as browser:
        names = ("auth_session", "auth_session_device", "__Host-auth_session_trail", "auth_session_kept")
        stolen = "; ".join(f"{name}=stolen" for name in names)
        status, body = await page(browser, "/", Cookie=f"a=1; {stolen}; b=2", **forged())
        assert status == 200
        assert "mallory" not in str(body)
        assert "stolen" not in str(body)
        assert "a=1" in seen(body)["cookie"]
        assert "b=2" in seen(body)["cookie"]


@engines
async def test_rules_hold_behind_the_engine(engine: str, tmp_path: Path) -> None:
    routes = [
        {"path": "/open", "upstream": "UPSTREAM", "policy": {"require": "bypass"}},
        {"path": "/shut", "upstream": "UPSTREAM", "policy": {"require": "deny"}},
        {"path": "/ops", "upstream": "UPSTREAM", "policy": {"require": "two_factor", "groups": ["ops"]}},
        {
            "path": "/",
            "upstream": "UPSTREAM",
            "rules": [
                {"paths": ["/admin"], "users": ["root"]},
                {"methods": ["GET"], "require": "two_factor"},
            ],
        },
    ]
    async with behind(engine, tmp_path, routes=routes) as rig, rig.browser() as browser:
        await rig.add_user("alice")
        assert (await page(browser, "/open/x"))[0] == 200
        assert (await page(browser, "/shut"))[0] == 403
        await browser.sign_in()
        for _ in range(2):
            assert (await page(browser, "/"))[0] == 200
            assert (await page(browser, "/opsx"))[0] == 200
            assert (await page(browser, "/ops/x"))[0] == 403
            assert (await page(browser, "/shut"))[0] == 403
        assert (await browser.post("/", {})).status == 403
        assert await raw(rig, "/open/%2e%2e/shut") in (400, 403)
        assert await raw(rig, "/open/..;/shut") in (400, 403)
        assert await raw(rig, "/open%2f..%2fshut") in (400, 403)
        assert not any("shut" in asked for asked in rig.upstream.requests)


async def raw(rig: Rig, path: str) -> int:
    reader, writer = await asyncio.open_connection("127.0.0.1", rig.port)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{rig.port}\r\nConnection: close\r\n\r\n".encode())
    status = int((await reader.readline()).split()[1])
    writer.close()
    return status


@engines
async def test_the_door_for_proxies_is_shut_to_clients(engine: str, tmp_path: Path) -> None:
    async with behind(engine, tmp_path) as rig, rig.browser() as browser:
        await rig.add_user()
        await browser.sign_in()
        for path in ("/_auth/forward", "/_auth/forward/x", "/_auth/forward?route=*/"):
            assert (await asked_raw(browser, path)).status == 404
        # Spellings that the gateway reads as the same. nginx and Caddy do, too.
        for path in (
            "/_auth/%66orward",
            "/_auth/forwar%64/x",
            "/_auth/%66orward?route=*/",
            "/_auth/forward;x",
        ):
            answer = await asked_raw(browser, path)
            assert answer.status in (403, 404), path
            assert "Remote-User" not in answer.headers, path


async def asked_raw(browser: Browser, path: str) -> aiohttp.ClientResponse:
    """The answer at this very spelling, to a client that speaks as a proxy does."""
    url = URL(browser.rig.url + path, encoded=True)
    headers = {"X-Original-URL": browser.rig.url + "/", "X-Original-Method": "GET"}
    answer = await browser.session.get(url, headers=headers, allow_redirects=False)
    await answer.read()
    return answer


@engines
async def test_websockets_pass_with_a_session_and_from_our_own_pages_only(
    engine: str, tmp_path: Path
) -> None:
    async def app(request: aiohttp.web.Request) -> aiohttp.web.StreamResponse:
        socket = aiohttp.web.WebSocketResponse()
        await socket.prepare(request)
        await socket.send_str(request.headers["Remote-User"])
        await socket.close()
        return socket

    async with behind(engine, tmp_path, handler=app) as rig, rig.browser() as browser:
        await rig.add_user("alice")
        await browser.sign_in()
        async with browser.session.ws_connect(f"{rig.url}/ws", headers={"Origin": rig.url}) as socket:
            assert await socket.receive_str() == "alice"
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await browser.session.ws_connect(f"{rig.url}/ws", headers={"Origin": "http://evil.example"})
        assert refused.value.status == 403


@pytest.mark.parametrize(("engine", "bound"), [("nginx", 2), ("haproxy", 5), ("caddy", 0)])
async def test_a_revoked_session_ends_within_the_bound(engine: str, bound: float, tmp_path: Path) -> None:
    forward = {"cache": "2s", "pass_lifetime": "5s"}
    async with behind(engine, tmp_path, forward=forward) as rig, rig.browser() as browser:
        await rig.add_user("alice")
        await browser.sign_in()
        assert (await page(browser, "/"))[0] == 200
        (record,) = await rig.gateway.stores.sessions.list("alice")
        await rig.gateway.stores.sessions.delete(record.sid)
        await asyncio.sleep(bound + 2)  # and up to 2 s until every worker has heard of it
        before = len(rig.upstream.requests)
        answer = await browser.session.get(rig.url + "/", headers={"Accept": "application/json"})
        assert answer.status == 401
        assert len(rig.upstream.requests) == before


async def test_haproxy_answers_with_a_pass_even_while_the_gateway_is_away(tmp_path: Path) -> None:
    async with behind("haproxy", tmp_path) as rig, rig.browser() as browser:
        await rig.add_user("alice")
        await browser.sign_in()
        assert (await page(browser, "/"))[0] == 200
        asked: list[str] = []
        for way in ("load", "cached", "visit"):
            setattr(rig.gateway.sessions, way, None)  # nobody can ask for a session any more
        status, body = await page(browser, "/native")
        assert (status, seen(body)["remote-user"], asked) == (200, "alice", [])


async def test_a_pass_is_worth_nothing_beside_another_session_or_none(tmp_path: Path) -> None:
    async with behind("haproxy", tmp_path) as rig, rig.browser() as browser:
        await rig.add_user("alice")
        await browser.sign_in()
        await page(browser, "/")
        stolen = next(c.value for c in browser.session.cookie_jar if c.key == "auth_session_pass")
        async with rig.browser() as thief:
            for cookies in (f"auth_session_pass={stolen}", f"auth_session=x; auth_session_pass={stolen}"):
                answer = await thief.session.get(rig.url + "/", headers={"Cookie": cookies, "Accept": "*/*"})
                assert answer.status == 401


async def test_nginx_asks_once_for_the_same_request_within_a_few_seconds(tmp_path: Path) -> None:
    async with behind("nginx", tmp_path, forward={"cache": "30s"}) as rig, rig.browser() as browser:
        await rig.add_user("alice")
        await browser.sign_in()
        assert (await page(browser, "/"))[0] == 200
        for way in ("load", "cached", "visit"):
            setattr(rig.gateway.sessions, way, None)  # the gateway can't answer again
        assert (await page(browser, "/"))[0] == 200
        assert (await page(browser, "/other"))[0] == 500


@engines
async def test_the_certificate_of_an_app_is_checked_as_we_do(engine: str, tmp_path: Path) -> None:
    async with tls_app(tmp_path) as (url, ca):
        kinds: dict[str, tuple[dict[str, Any], bool]] = {
            "system": ({}, False),
            "right": ({"ca_file": str(ca), "server_name": "app.internal"}, True),
            "address": ({"ca_file": str(ca)}, False),
            "name": ({"ca_file": str(ca), "server_name": "other.test"}, False),
            "off": ({"verify": False}, True),
        }
        routes = [
            {"path": f"/{name}", "upstream": url, "tls": tls, "policy": {"require": "bypass"}}
            for name, (tls, _) in kinds.items()
        ]
        async with behind(engine, tmp_path, routes=routes) as rig, rig.browser() as browser:
            for name, (_, good) in kinds.items():
                status = (await browser.get(f"/{name}/x")).status
                assert (status == 200) if good else (status >= 500), (name, status)


@engines
async def test_the_portal_has_its_site_where_no_app_lives_on_its_host(engine: str, tmp_path: Path) -> None:
    """Sign-in leads to the host of `public_url`, so an engine that knows apps' hosts only would be a dead end."""
    routes = [{"host": "app.test", "upstream": "UPSTREAM"}]
    async with behind(engine, tmp_path, routes=routes) as rig, rig.browser() as browser:
        assert (await browser.get("/_auth/login")).status == 200
        assert (await browser.get("/_auth/forward")).status == 404
        assert (await browser.get("/elsewhere")).status in (403, 404)
        assert (await browser.get("/", Host="app.test")).status in (302, 303)
    assert rig.upstream.requests == []


@pytest.mark.parametrize(
    ("engine", "own"),
    [
        (
            "nginx",
            "pid nginx.pid;\nevents {{}}\nhttp {{ include {part}; server {{ listen {port}; return 418; }} }}\n",
        ),
        (
            "caddy",
            "{{\n\tadmin off\n\tauto_https off\n}}\nimport {part}\nhttp://127.0.0.2:{port} {{\n}}\n",
        ),
    ],
)
async def test_the_part_for_a_configuration_that_is_there_is_taken_by_the_engine(
    engine: str, own: str, tmp_path: Path
) -> None:
    async with running_gateway(tmp_path, server={"trusted_proxies": ["127.0.0.1/32"]}) as rig:
        port, whole, part = free_port(), tmp_path / "whole", tmp_path / "part"
        planned = plan(rig.config, listen=f"127.0.0.1:{port}", state=tmp_path, included=True)
        part.write_text(next(iter(export_files(engine, planned, rig.config).values())))
        whole.write_text(own.format(part=part, port=port))
        async with process(command(engine, whole), port, tmp_path), aiohttp.ClientSession() as client:
            answer = await client.get(f"http://127.0.0.1:{port}/", allow_redirects=False, headers=HTML)
            assert (answer.status, "/_auth/login" in answer.headers["Location"]) == (302, True)
