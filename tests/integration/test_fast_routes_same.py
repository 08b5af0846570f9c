"""What a route may say, on the fast path against its reference: paths, headers, rules, uploads of signed-in users."""

from typing import Any

import pytest

from tests.both_paths import request
from tests.integration.test_fast_credentials_same import Both, both

OPEN = {"require": "bypass"}
NO_CREDENTIALS = {"tokens": False, "basic": False}


async def signed_in(pair: Both) -> tuple[str, str]:
    """The cookies of alice at one gateway and at the other."""
    cookies = []
    for rig in (pair.fast, pair.ordinary):
        async with rig.browser() as browser:
            assert (await browser.password()).status == 303
            cookies.append(f"Cookie: a=b; auth_session={browser.cookie()}; c=d")
    return cookies[0], cookies[1]


async def same_for(
    pair: Both, cookies: tuple[str, str], method: str, target: str, *more: str, body: bytes = b""
) -> bool:
    """Both gateways do alike for alice; whether the fast path did it, when it is asked again."""
    mine, other = (request(target, one, *more, method=method) + body for one in cookies)
    return await pair.taken(mine, method, ordinary=[other])


@pytest.mark.parametrize("base", ["", "/base", "/base/x"])
@pytest.mark.parametrize("strip", [True, False])
async def test_paths_that_change_on_the_way_change_alike(strip: bool, base: str) -> None:
    async with both(base=base, path="/app", strip_path=strip, policy=OPEN, **NO_CREDENTIALS) as pair:
        for target in (
            "/app",
            "/app/",
            "/app/plain",
            "/app/a/b?x=1&y",
            "/app?q",
            "/app/app/plain",
            "/app/~x:@",
        ):
            assert await pair.taken(request(target)), target
            assert pair.upstream.heads
        for target in ("/appx", "/app%2f", "/", "/app//x", "/app/../x", "/app/?"):
            assert not await pair.taken(request(target)), target


HEADERS: list[dict[str, Any]] = [
    {"add": {"X-Team": "ours", "X-Forwarded-Server": "gw"}},
    {"drop": ["User-Agent", "X-Forwarded-For", "Remote-Email", "X-Request-ID", "Cookie"]},
    {"rename": {"Remote-User": "X-Who", "Remote-Groups": "X-Roles"}},
    {"preset": ["x-auth-request", "authentik"], "via": True},
    {"preset": ["remote-user"], "keep": ["X-Forwarded-User", "X-Real-IP"]},
]


@pytest.mark.parametrize("headers", HEADERS)
async def test_header_rules_make_the_same_heads(headers: dict[str, Any]) -> None:
    sent = [
        *("User-Agent: probe/1", "X-Team: theirs", "x_team: theirs", "X-Who: root", "X-Roles: root"),
        *(
            "Remote-User: root",
            "X-Forwarded-User: root",
            "X-Real-IP: 1.2.3.4",
            "Via: 1.0 x",
            "X-Request-Id: mine",
        ),
        *("X-HTTP-Method-Override: DELETE", "Proxy: x", "X-authentik-username: root", "X-A: 1", "X-A: 2"),
    ]
    async with both(headers=headers, **NO_CREDENTIALS) as pair:
        cookies = await signed_in(pair)
        for more in (sent, sent[::-1], []):
            assert await same_for(pair, cookies, "GET", "/plain?x=1", *more)
        assert b"root" not in b"".join(one for one in pair.upstream.heads if "keep" not in headers)


async def test_rules_by_path_method_and_query_decide_alike() -> None:
    rules: list[dict[str, Any]] = [
        {"paths": ["/shut/*"], "require": "deny"},
        {"paths": ["/home/{user}/*"], "require": "one_factor"},
        {"paths": ["/pub/*"], "methods": ["GET", "HEAD"], "require": "bypass"},
        {"query": [{"key": {"one_of": ["k"]}}], "require": "bypass"},
        {"methods": ["DELETE"], "require": "two_factor"},
        {"require": "one_factor", "groups": ["ops"]},
    ]
    allowed = [
        *(("GET", "/home/alice/x"), ("PUT", "/home/alice/x"), ("GET", "/pub/x"), ("POST", "/pub/x")),
        *(("GET", "/x?key=k"), ("DELETE", "/x?key=k"), ("POST", "/x")),
    ]
    refused = [
        ("GET", "/shut/x"),
        ("DELETE", "/x"),
        ("GET", "/x?key=k&key=j"),
        ("HEAD", "/shut/"),
        ("GET", "/shut/?key=k"),
    ]
    async with both(policy={}, rules=rules, **NO_CREDENTIALS) as pair:
        cookies = await signed_in(pair)
        for method, target in allowed:
            framing = ["Content-Length: 0"] if method in ("POST", "PUT", "DELETE") else []
            assert await same_for(pair, cookies, method, target, *framing), (method, target)
        for method, target in refused:
            assert not await same_for(pair, cookies, method, target), (method, target)


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
async def test_uploads_of_a_signed_in_user_arrive_alike(method: str) -> None:
    async with both(path="/app", strip_path=True, max_body=200_000, **NO_CREDENTIALS) as pair:
        cookies = await signed_in(pair)
        large = bytes(range(256)) * 600
        for body in (b"", b"x", large):
            framing = f"Content-Length: {len(body)}"
            assert await same_for(pair, cookies, method, "/app/plain", framing, body=body)
            assert pair.upstream.bodies[-1] == body
        chunked = b"5\r\nhello\r\n1;x=y\r\n!\r\n0\r\nX-T: 1\r\n\r\n"
        assert await same_for(pair, cookies, method, "/app/plain", "Transfer-Encoding: chunked", body=chunked)
        assert pair.upstream.bodies[-1] == b"hello!"
        form = b"a=1&b=2"
        named = [
            f"Content-Length: {len(form)}",
            "Content-Type: application/x-www-form-urlencoded",
            "Origin: http://app.test",
        ]
        assert await same_for(pair, cookies, method, "/app/plain?c=3", *named, body=form)
        assert not await same_for(
            pair, cookies, method, "/app/plain", "Content-Length: 200001", body=bytes(10)
        )


async def test_a_pipeline_of_uploads_and_pages_is_answered_in_order() -> None:
    async with both(**NO_CREDENTIALS) as pair:
        cookies = await signed_in(pair)

        def many(cookie: str) -> bytes:
            upload = request("/empty", cookie, "Content-Length: 5", method="POST") + b"hello"
            return (upload + request("/plain", cookie) + upload + request("/chunked", cookie)) * 4

        methods = ("POST", "GET", "POST", "GET") * 4
        for _ in range(2):
            said = await pair.same(many(cookies[0]), ordinary=[many(cookies[1])], methods=methods)
        assert [one[2] for one in said] == [b"", b"hello", b"", b"abcde"] * 4


async def test_what_hangs_on_the_moment_is_asked_each_time() -> None:
    async with both(policy={"require": "one_factor", "max_age": "5m"}, **NO_CREDENTIALS) as pair:
        cookies = await signed_in(pair)
        for seconds, passes in ((290, True), (11, False)):  # what is rendered lives longer than these eleven
            for rig in (pair.fast, pair.ordinary):
                rig.clock.advance(seconds)
            assert await same_for(pair, cookies, "GET", "/plain") == passes
