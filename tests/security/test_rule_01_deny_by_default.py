"""Rule 1: unknown hosts and paths reach no upstream, and no spelling of a path passes a rule meant for another."""

import asyncio
import re
from pathlib import Path

import pytest

from tests.rig import HTML, Rig, running_gateway
from tests.security.raw import exchange, status_of
from tests.waiting import PATIENCE


def two_routes() -> list[dict[str, object]]:
    return [
        {"host": "app.test", "path": "/admin", "upstream": "UPSTREAM", "policy": {"require": "deny"}},
        {"host": "app.test", "path": "/open", "upstream": "UPSTREAM", "policy": {"require": "bypass"}},
    ]


async def ask(rig: Rig, target: str, host: str = "app.test") -> int:
    request = f"GET {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
    return status_of(await exchange(rig.port, request.encode("latin-1")))


async def test_unknown_hosts_and_paths_reach_no_upstream(tmp_path: Path) -> None:
    async with running_gateway(tmp_path, routes=two_routes()) as rig:
        assert await ask(rig, "/open", host="other.test") == 404
        assert await ask(rig, "/elsewhere") == 404
        assert await ask(rig, "/opened") == 404
        assert rig.upstream.requests == []
        assert await ask(rig, "/open/x") == 200


TRICKS = [
    "/open/../admin",
    "/open/%2e%2e/admin",
    "/open/.%2e/admin",
    "/open/..%2fadmin",
    "/open%2f..%2fadmin",
    "/open/..;/admin",
    "/open;/../admin",
    "/open/;/admin",
    "/open//admin",
    "//admin",
    "/open/..\\admin",
    "/open\\..\\admin",
    "/open/%5c..%5cadmin",
    "/open/%00/admin",
    "/open%0d%0aX: y",
    "/./admin",
    "/open/./x",
    "/%2e/admin",
    "/open/%252e%252e/%zz",
    "/open#/../admin",
    "/open/%2f/admin",
    "/%61dmin",
    "/adm%69n",
    "/admin/%2e",
    "/open/%252e%252e/admin",
    "/open/..%252Fadmin",
    "/open/%252e./%2561dmin",
    "/%2561dmin",
]


@pytest.mark.parametrize("target", TRICKS)
async def test_tricky_paths_never_reach_a_rule_meant_for_another(tmp_path: Path, target: str) -> None:
    async with running_gateway(tmp_path, routes=two_routes()) as rig:
        assert await ask(rig, target) in (400, 403, 404)
        assert rig.upstream.requests == []


@pytest.mark.parametrize(
    "target", ["//admin", "/%2Fadmin", "/;x/admin", "/admin%2Fx", "/admin%3Bx", "/x//admin/;/"]
)
async def test_a_route_that_allows_odd_spellings_gets_no_path_that_may_be_another_routes(
    tmp_path: Path, target: str
) -> None:
    odd = ["encoded_slash", "semicolon", "double_slash"]
    whole = {
        "host": "*",
        "path": "/",
        "upstream": "UPSTREAM",
        "policy": {"require": "bypass"},
        "allow_in_path": odd,
    }
    deeper = {**two_routes()[0], "path": "/x/admin"}
    async with running_gateway(tmp_path, routes=[two_routes()[0], deeper, whole]) as rig:
        assert await ask(rig, target) == 404
        assert rig.upstream.requests == []
        assert await ask(rig, "/a//b%2Fc;d") == 200


@pytest.mark.parametrize(
    "target", ["/_auth", "/_auth/", "/_auth;x", "/_auth;x/login", "/_auth/forward;x", "/_auth/none"]
)
async def test_no_spelling_of_our_own_path_reaches_an_app(tmp_path: Path, target: str) -> None:
    whole = {
        "host": "*",
        "path": "/",
        "upstream": "UPSTREAM",
        "policy": {"require": "bypass"},
        "allow_in_path": ["semicolon"],
    }
    async with running_gateway(tmp_path, routes=[whole]) as rig:
        assert await ask(rig, target) in (303, 401, 403, 404)
        assert rig.upstream.requests == []
        assert await ask(rig, "/_authx;y") == 200


@pytest.mark.parametrize("fast_path", [True, False])
async def test_no_header_turns_a_method_that_a_rule_judged_into_another(
    tmp_path: Path, fast_path: bool
) -> None:
    rules = [{"methods": ["GET"], "require": "bypass"}, {"require": "deny"}]
    routes = [
        {"host": "app.test", "upstream": "UPSTREAM", "rules": rules},
        {"host": "free.test", "upstream": "UPSTREAM", "policy": {"require": "bypass"}},
    ]
    async with running_gateway(tmp_path, routes=routes, server={"fast_path": fast_path}) as rig:
        for name in (
            "X-HTTP-Method-Override",
            "x_http_method_override",
            "X-HTTP-Method",
            "X-Method-Override",
        ):
            head = f"GET / HTTP/1.1\r\nHost: HOST\r\n{name}: DELETE\r\nConnection: close\r\n\r\n"
            judged = await exchange(rig.port, head.replace("HOST", "app.test").encode())
            free = await exchange(rig.port, head.replace("HOST", "free.test").encode())
            assert status_of(judged) == status_of(free) == 200
            assert b"DELETE" not in judged
            assert b"DELETE" in free


async def test_each_request_of_a_connection_is_judged_by_its_own_path_method_and_query(
    tmp_path: Path,
) -> None:
    rules = [
        {"paths": ["/admin"], "require": "deny"},
        {"methods": ["HEAD"], "require": "deny"},
        {"query": [{"do": {"one_of": ["delete"]}}], "require": "deny"},
        {"require": "bypass"},
    ]
    lines = {
        "GET /": 200,
        "GET /admin": 403,
        "GET /x": 200,
        "HEAD /": 403,
        "GET /?do=delete": 403,
        "GET /?do=x": 200,
    }
    async with running_gateway(tmp_path, routes=[{"upstream": "UPSTREAM", "rules": rules}]) as rig:
        reader, writer = await asyncio.open_connection("127.0.0.1", rig.port)
        for line, status in [*lines.items(), *reversed(lines.items())]:
            writer.write(f"{line} HTTP/1.1\r\nHost: app.test\r\n\r\n".encode())
            head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), PATIENCE)
            assert status_of(head) == status, line
            if line.startswith("GET"):
                await reader.readexactly(int(re.findall(rb"(?i)content-length: (\d+)", head)[0]))
        writer.close()


async def test_the_upstream_gets_the_very_path_that_the_rule_saw(tmp_path: Path) -> None:
    async with running_gateway(tmp_path, routes=two_routes()) as rig:
        assert await ask(rig, "/%6fpen/%7Ea%2bb?q=%2e%2e") == 200
        assert rig.upstream.requests == ["GET /open/~a%2Bb?q=%2e%2e"]


async def test_a_gateway_without_routes_serves_nothing(tmp_path: Path) -> None:
    async with running_gateway(tmp_path, routes=[]) as rig:
        assert await ask(rig, "/") == 404


async def test_deny_holds_for_fully_signed_in_users(tmp_path: Path) -> None:
    routes = [{"host": "*", "path": "/", "upstream": "UPSTREAM"}]
    routes.insert(0, {"host": "*", "path": "/admin", "upstream": "UPSTREAM", "policy": {"require": "deny"}})  # type: ignore[dict-item]
    async with running_gateway(tmp_path, routes=routes) as rig, rig.browser() as browser:
        await rig.add_user()
        await browser.sign_in()
        assert (await browser.get("/")).status == 200
        assert (await browser.session.get(rig.url + "/admin", headers=HTML)).status == 403
