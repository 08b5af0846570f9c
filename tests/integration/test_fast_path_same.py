"""The fast path against its reference: the same bytes through both; client and upstream must see no difference."""

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.both_paths import ANSWERS, both_paths, request, same, talk
from tests.security.test_rule_07_http import MALFORMED


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_every_kind_of_answer_is_relayed_alike(method: str) -> None:
    async with both_paths() as (upstream, fast, ordinary):
        for path in (*ANSWERS, "/big", *(f"{path}?pieces" for path in ANSWERS)):
            warm = await talk(fast.port, [request()], ["GET"])
            assert warm[0][2] == b"hello"
            await same(
                upstream,
                fast,
                ordinary,
                [request(path, method=method), request()],
                [method, "GET"],
                in_turn=True,
            )


@pytest.mark.parametrize("accept", ["text/html", "*/*"])
async def test_a_slow_upstream_is_told_alike_to_people_and_programs(accept: str) -> None:
    impatient = {"path": "/silent", "timeouts": {"response": "100ms"}}  # short: no answer comes
    async with both_paths(impatient) as (upstream, fast, ordinary):
        segments = [request(), request("/silent", f"Accept: {accept}")]
        said = await same(upstream, fast, ordinary, segments, ["GET", "GET"], in_turn=True)
        assert said[1][0] == b"HTTP/1.1 504 Gateway Timeout"
        assert (b"<html" in said[1][2]) == (accept == "text/html")  # type: ignore[operator]


async def test_a_request_split_at_any_byte_is_answered_alike() -> None:
    whole = request("/chunked", "Accept: */*", "Cookie: a=b")
    async with both_paths() as (upstream, fast, ordinary):
        for at in range(1, len(whole)):
            segments = [whole[:at], whole[at:], request()]
            said = await same(upstream, fast, ordinary, segments, ["GET", "GET"], 0.002)
            assert [one[2] for one in said] == [b"abcde", b"hello"], at


async def test_a_head_begun_behind_another_request_keeps_its_first_bytes() -> None:
    async with both_paths() as (upstream, fast, ordinary):
        segments = [request() + b"X", request("/empty"), request("/plain?3")]
        await same(upstream, fast, ordinary, segments, ["GET", "XGET", "GET"], in_turn=True)


@pytest.mark.parametrize("header", ["X: " + "y" * 40_000, "\r\n".join(f"X-{n}: y" for n in range(150))])
async def test_a_large_head_in_one_piece_is_refused_alike(header: str) -> None:
    async with both_paths() as (upstream, fast, ordinary):
        said = await same(upstream, fast, ordinary, [request("/plain", header)], ["GET"])
        assert b" 431 " in said[0][0]  # type: ignore[operator]


async def test_pipelined_requests_are_answered_in_order() -> None:
    many = [request(path) for path in ("/plain", "/chunked", "/none", "/early", "/redirect", "/big")]
    methods = ["GET"] * len(many)
    async with both_paths() as (upstream, fast, ordinary):
        await same(upstream, fast, ordinary, [b"".join(many)], methods)
        await same(upstream, fast, ordinary, many, methods, 0.001)
        await same(upstream, fast, ordinary, many, methods, in_turn=True)


@pytest.mark.parametrize("name", MALFORMED)
async def test_malformed_requests_get_the_same_refusal(name: str) -> None:
    data = MALFORMED[name].replace(b"Host: a\r\n", b"Host: app.test\r\n")
    async with both_paths() as (upstream, fast, ordinary):
        await same(upstream, fast, ordinary, [data], ["GET"])
        await same(upstream, fast, ordinary, [request(), data], ["GET", "GET"], in_turn=True)


ODD_HEADERS = [
    "X: " + "y" * 40_000,
    "Remote-User: root",
    "remote_user: root",
    "X-Forwarded-For: 1.2.3.4",
    "Via: 1.0 x",
    "Connection: keep-alive, X-A",
    "Connection: close",
    "Connection: Keep-Alive",
    "X-A:",
    "X-A:\tb\t",
    "TE: trailers",
    "Content-Length: 0",
    "Expect: 100-continue",
    "Authorization: Basic eDp5",
    "Cookie: auth_session=zz; a=b",
    "Cookie: __Host-auth_session=zz",
    "Proxy: x",
    "Upgrade: h2c",
    "Upgrade-Insecure-Requests: 1",
    "Host: other.test",
    "Forwarded: for=x",
    "X-Latin: \xe4",
    "Keep-Alive: 5",
    "Range: bytes=0-1",
    "If-None-Match: x",
    "Trailer: X",
    "X-Request-Id: mine",
    "x_request_id: mine",
]
PATHS = [
    *ANSWERS,
    "/a%41",
    "/%2e%2e/x",
    "/a/../b",
    "/a//b",
    "//a",
    "/a;b",
    "/.hidden",
    "/a/./b",
    "/_auth/healthz",
    "/_auth",
    "/?a=%zz",
    "/?",
    "/a?b?c",
    "/a#b",
    "/a?b#c",
    "*",
    "http://app.test/abs",
    "/a\\b",
    '/a"b',
    "/a|b",
    "/~x",
    "/a:b@c",
    "/big?x",
    "/\xe4",
    "/a?\xe4",
]
requests = st.builds(
    lambda path, headers, method, host: (request(path, *headers, method=method, host=host), method),
    st.sampled_from(PATHS),
    st.lists(st.sampled_from(ODD_HEADERS), max_size=2),
    st.sampled_from(["GET", "GET", "GET", "HEAD", "OPTIONS", "DELETE", "TRACE", "get", "G-T"]),
    st.sampled_from(
        ["app.test", "app.test", "APP.test:80", "app.test:8080", "app.test.", "other.test", "a b", ""]
    ),
)


@settings(max_examples=6, deadline=None)
@given(st.lists(requests, min_size=40, max_size=60))
def test_made_up_requests_are_answered_alike(made: list[tuple[bytes, str]]) -> None:
    async def run() -> None:
        async with both_paths() as (upstream, fast, ordinary):
            for data, method in made:
                await same(upstream, fast, ordinary, [request(), data], ["GET", method], in_turn=True)

    asyncio.run(run())


async def test_a_client_that_does_not_read_costs_no_memory() -> None:
    """The upstream sends no more than what fits the buffers between, whether one answer waits or several do."""
    async with both_paths() as (upstream, fast, _):
        upstream.big = bytes(64 << 20)
        await talk(fast.port, [request()], ["GET"])
        reader, writer = await asyncio.open_connection("127.0.0.1", fast.port, limit=1024)
        del reader
        for _ in range(3):
            writer.write(request("/big"))
            await asyncio.sleep(0.1)
        await asyncio.sleep(0.3)
        waiting = sum(task.get_coro().__name__ == "connected" for task in asyncio.all_tasks())  # type: ignore[union-attr]
        assert waiting >= 1
        assert upstream.heads.count(upstream.heads[-1]) == 1, "the second answer waits for the first"
        writer.transport.abort()
