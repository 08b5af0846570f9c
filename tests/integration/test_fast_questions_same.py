"""Forward-auth on the fast path against its reference: the same question, the same answer, the same line in the log."""

import asyncio
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from tests.both_paths import talk
from tests.peer_dialects import ALL, DIALECTS
from tests.questions_rig import HOST, OWN, PATHS, _masked, envoy, nginx, pair, question, traefik


@pytest.mark.parametrize("state", ["nobody", "password", "signed in"])
async def test_every_dialect_of_ours_gets_the_same_answers_on_both_paths(state: str) -> None:
    async with pair() as both:
        for dialect in OWN:
            for uri in PATHS:
                for method in ("GET", "POST"):
                    path, headers = dialect(uri, method)
                    spoken = method if dialect is envoy else "GET"
                    await both.same(
                        lambda c, p=path, h=headers, m=spoken: question(p, h, c, m), state, times=2
                    )


@pytest.mark.parametrize("dialect", OWN)
async def test_a_yes_is_known_the_second_time_whatever_the_uri(dialect: Any) -> None:
    async with pair() as both:
        for uri in ("/named", "/app/x"):
            assert await both.taken(lambda c, u=uri: question(*dialect(u), c), "signed in")
        assert await both.taken(lambda c: question(*dialect("/open"), c), "nobody")
        for number in range(20):
            assert await both.taken(lambda c, n=number: question(*dialect(f"/app/{n}?q={n}"), c), "signed in")
        for uri in ("/shut", "/nowhere", "/ours"):
            assert not await both.taken(lambda c, u=uri: question(*dialect(u), c), "signed in")
        assert not await both.taken(lambda c: question(*dialect("/one"), c), "nobody")


@pytest.mark.parametrize("dialect", OWN)
async def test_a_proxy_that_opens_a_connection_for_each_question_is_answered_alike(dialect: Any) -> None:
    path, headers = dialect("/app/x")
    async with pair() as both:
        make = lambda c: question(path, [*headers, "Connection: close"], c)  # noqa: E731
        assert await both.taken(make, "signed in")
        said = await both.same(make, "signed in", 1)
        assert b"Connection: close" in said[0][1]  # type: ignore[operator]


@pytest.mark.parametrize("x_forwarded", [False, True])
async def test_the_doors_of_other_gateways_answer_the_same_on_both_paths(x_forwarded: bool) -> None:
    """Those that name no path or name it twice, or with two slashes, go the ordinary way."""
    forward = {"compatible": ALL, "x_forwarded": x_forwarded}
    slow = {"authelia legacy npm", "authelia envoy"}
    async with pair(forward=forward) as both:
        for dialect in DIALECTS:
            for uri in ("/one", "/open/x", "/shut", "/app/x", "/pub?a=b"):
                told = {"Host": "gw", **dialect.headers(HOST, uri)}
                path = dialect.path + uri if "envoy" in dialect.name else dialect.path
                headers = [f"{name}: {value}" for name, value in told.items()]
                for state in ("nobody", "signed in"):
                    await both.same(lambda c, p=path, h=headers: question(p, h, c), state)
            told = {"Host": "gw", **dialect.headers(HOST, "/open/x")}
            path = dialect.path + "/open/x" if "envoy" in dialect.name else dialect.path
            headers = [f"{name}: {value}" for name, value in told.items()]
            if dialect.name.startswith(("oauth2", "vouch")) and bool(dialect.forward) != x_forwarded:
                continue  # not understood
            taken = await both.taken(lambda c, p=path, h=headers: question(p, h, c), "signed in")
            assert taken == (dialect.name not in slow), dialect.name


async def test_what_an_oauth2_proxy_door_demands_of_the_user_holds_on_both_paths() -> None:
    async with pair(forward={"compatible": ALL}) as both:
        for query, yes in (
            ("allowed_groups=ops", True),
            ("allowed_groups=dev", False),
            ("allowed_emails=", False),
        ):
            told = [f"Host: {HOST}", "X-Forwarded-Uri: /one"]
            said = await both.same(
                lambda c, q=query, t=told: question(f"/oauth2/auth?{q}", t, c), "signed in"
            )
            assert (b" 202 " in said[-1][0]) == yes, query  # type: ignore[operator]


MORE = [
    "X-Forwarded-Uri: /open",
    "X-Forwarded-Uri: /app/x",
    "x-forwarded-uri:/shut",
    "X-Original-URL: http://app.test:8080/open",
    "X-Original-URL: http://other.test/app/x",
    "X-Original-URL: https://app.test/app/x?y=z",
    "X-Original-Method: POST",
    "X-Original-URL:",
    "x_original_url: http://app.test/open",
    "X-Forwarded-Method: DELETE",
    "X-Forwarded-Host: elsewhere.test",
    "X-Forwarded-For: 192.0.2.9",
    "X-Forwarded-For: 203.0.113.9, 127.0.0.1",
    "X-Request-Id: name-1",
    "x-request-id: name-2",
    'X-Request-Id: a" injected',
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    "Origin: http://evil.example",
    "Origin: http://app.test:8080",
    "Authorization: Bearer x",
    "X-Gateway-Consumes: authorization",
    "Destination: http://app.test:8080/shut",
    "Content-Length: 0",
    "Connection: close",
    "Connection: keep-alive, Cookie",
    "Remote-User: root",
    "Upgrade: websocket",
    "Cookie: a=b",
]
WAYS = [
    "",
    "?route=*/open",
    "?route=*/",
    "?route=app.test/x",
    "?route=",
    "/",
    "//",
    "/open",
    "/app/x?route=*/",
]


@settings(max_examples=4, deadline=None, phases=[Phase.generate])
@given(
    st.lists(
        st.tuples(
            st.sampled_from(OWN),
            st.sampled_from(PATHS),
            st.lists(st.sampled_from(MORE), max_size=3),
            st.sampled_from(["", "", "", *WAYS]),
            st.sampled_from(["GET", "GET", "GET", "HEAD", "POST"]),
            st.sampled_from(["nobody", "signed in"]),
            st.booleans(),
        ),
        min_size=60,
        max_size=60,
    )
)
def test_made_up_questions_are_answered_alike(made: list[tuple[Any, ...]]) -> None:
    async def run() -> None:
        async with pair() as both:
            for dialect, uri, more, way, method, state, first in made:
                path, headers = dialect(uri)
                lines = [*more, *headers] if first else [*headers, *more]
                mine, other = both.cookies[state]
                got = [
                    [
                        _masked(one)
                        for one in await talk(
                            port, [question(path + way, lines, cookie, method)] * 2, [method] * 2
                        )
                    ]
                    for port, cookie in ((both.fast.port, mine), (both.ordinary.port, other))
                ]
                assert got[0] == got[1], (path + way, lines, method, state)

    asyncio.run(run())


async def test_questions_and_requests_on_one_connection_are_answered_in_order() -> None:
    async with pair() as both:
        mine, other = both.cookies["signed in"]

        def many(cookie: str) -> bytes:
            kinds = [
                nginx("/app/1"),
                ("/open/x", [f"Host: {HOST}"]),
                nginx("/shut"),
                nginx("/app/2"),
                traefik("/one"),
            ]
            return b"".join(question(path, headers, cookie) for path, headers in kinds * 3)

        await talk(both.fast.port, [many(mine)], ["GET"] * 15)
        got = await talk(both.fast.port, [many(mine)], ["GET"] * 15)
        expected = await talk(both.ordinary.port, [many(other)], ["GET"] * 15)
        assert [one[0] for one in got] == [one[0] for one in expected]
        assert [one[0] for one in got[:5]].count(b"HTTP/1.1 200 OK") == 4
        assert len(got) == 15
