"""The fast path against its reference: the same bytes through both; client and upstream must see no difference."""

import asyncio
import re
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.rig import Rig, running_gateway
from tests.security.test_rule_07_http import MALFORMED

Said = tuple[object, ...]
PATIENCE = 10.0
BROKEN: Said = ("broken off",)

# What the upstream answers, by path. "!" at the end: it hangs up then.
ANSWERS = {
    "/plain": b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello",
    "/empty": b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
    "/none": b"HTTP/1.1 204 No Content\r\nX-A: 1\r\n\r\n",
    "/unchanged": b'HTTP/1.1 304 Not Modified\r\nETag: "x"\r\nContent-Length: 5\r\n\r\n',
    "/chunked": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n",
    "/trailers": b"HTTP/1.1 200 OK\r\nTrailer: X-T\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nX-T: 1\r\n\r\n",
    "/early": b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
    "/close!": b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok",
    "/until!": b"HTTP/1.1 200 OK\r\n\r\nuntil the end",
    "/old!": b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
    "/short!": b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhal",
    "/cut!": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
    "/badchunk!": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nab",
    "/nothing!": b"",
    "/garbage!": b"garbage\r\n\r\n",
    "/redirect": b"HTTP/1.1 302 Found\r\nLocation: http://app.test/x\r\nContent-Length: 0\r\n\r\n",
    "/cookies": b"HTTP/1.1 200 OK\r\nSet-Cookie: auth_session=x\r\nSet-Cookie: a=1\r\nContent-Length: 0\r\n\r\n",
    "/hop": b"HTTP/1.1 200 OK\r\nConnection: X-Gone\r\nX-Gone: 1\r\nKeep-Alive: x\r\nContent-Length: 0\r\n\r\n",
    "/folded": b"HTTP/1.1 200 OK\r\nX-A: 1\r\n 2\r\nContent-Length: 0\r\n\r\n",
    "/error": b"HTTP/1.1 500 Oh No\r\nContent-Length: 2\r\n\r\nno",
    "/bytes": b"HTTP/1.1 200 OK\r\nX-Latin: \xe4\xf6\r\nContent-Length: 3\r\n\r\n\x00\xff\r",
}


@dataclass
class RawUpstream:
    """Answers as its table says, and remembers each request head as it came."""

    url: str = ""
    heads: list[bytes] = field(default_factory=list)
    big: bytes = bytes(range(256)) * 8192

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = re.search(rb"(?i)\r\ncontent-length: (\d+)", head)
                if length:
                    await reader.readexactly(int(length[1]))
                self.heads.append(head)
                if not await self._answer(head, writer):
                    break
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def _answer(self, head: bytes, writer: asyncio.StreamWriter) -> bool:
        method, target = head.split(b" ", 2)[:2]
        path = target.decode().partition("?")[0]
        if path == "/silent":
            return True
        if path == "/big":
            answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(self.big), self.big)
        else:
            answer = ANSWERS.get(path, ANSWERS["/plain"])
        if method == b"HEAD":
            answer = (
                answer[: answer.find(b"\r\n\r\n", max(answer.rfind(b"HTTP/1."), 0)) + 4] if answer else b""
            )
        for at in range(0, len(answer), 7) if len(answer) < 200 and b"pieces" in target else (None,):
            writer.write(answer if at is None else answer[at : at + 7])
            await asyncio.sleep(0)
        await writer.drain()
        return not path.endswith("!")


@asynccontextmanager
async def both_paths(**route: object) -> AsyncIterator[tuple[RawUpstream, Rig, Rig]]:
    """One raw upstream behind two gateways: with the fast path, and without. `route` has settings of the route."""
    upstream = RawUpstream()
    server = await asyncio.start_server(upstream.connected, "127.0.0.1", 0)
    upstream.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    policy = {"require": "bypass"}
    routes = [{"host": "app.test", "path": "/", "upstream": upstream.url, "policy": policy, **route}]
    with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as two:
        async with (
            running_gateway(Path(one), server={"fast_path": True}, routes=routes) as fast,
            running_gateway(Path(two), server={"fast_path": False}, routes=routes) as ordinary,
        ):
            try:
                yield upstream, fast, ordinary
            finally:
                server.close()


async def read_answer(reader: asyncio.StreamReader, method: str) -> Said:
    """One response: its interim heads, status line, headers and body, however it was framed."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except (asyncio.IncompleteReadError, ConnectionError):
        return BROKEN
    start, *fields = head[:-4].split(b"\r\n")
    status = int(start.split(b" ")[1])
    if status < 200:
        return (head, *await read_answer(reader, method))
    differing = (b"X-Request-Id: ", *((b"Date:", b"Content-Length: ") if status >= 400 else ()))
    fields = [one for one in fields if not one.startswith(differing)]
    try:
        body = b"" if method == "HEAD" or status in (204, 304) else await read_body(reader, head)
    except (asyncio.IncompleteReadError, ConnectionError):
        return BROKEN  # how much of it arrives is up to the sockets
    return (start, fields, re.sub(rb"[0-9a-f]{16}", b"ID", body) if status >= 400 else body)


async def read_body(reader: asyncio.StreamReader, head: bytes) -> object:
    if b"\r\nTransfer-Encoding: chunked" in head:
        body = b""
        while size := int(await reader.readuntil(b"\r\n"), 16):
            body += (await reader.readexactly(size + 2))[:-2]
        trailers = b""
        while (line := await reader.readuntil(b"\r\n")) != b"\r\n":
            trailers += line
        return body + trailers
    length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
    return await reader.readexactly(int(length[1])) if length else await reader.read()


async def talk(
    port: int, segments: Sequence[bytes], methods: Sequence[str], pause: float = 0.0
) -> list[Said]:
    """Send the segments; return an answer for each method, up to the first after which the connection is closed."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 22)
    said: list[Said] = []
    try:
        for segment in segments:
            writer.write(segment)
            await asyncio.sleep(pause)
        async with asyncio.timeout(PATIENCE):
            for method in methods:
                said.append(await read_answer(reader, method))
                if said[-1] == BROKEN:
                    break
    finally:
        writer.close()
    return said


def known_heads(heads: Sequence[bytes]) -> list[bytes]:
    """The requests without what must differ between two gateways: their ports, signatures and request names."""
    differing = rb"127\.0\.0\.1:\d+|(?<=X-Auth-Assertion: )\S+|(?<=X-Request-Id: )[0-9a-f]{16}\b"
    return [re.sub(differing, b"", head) for head in heads]


async def same(
    upstream: RawUpstream,
    fast: Rig,
    ordinary: Rig,
    segments: Sequence[bytes],
    methods: Sequence[str],
    pause: float = 0.0,
) -> list[Said]:
    """Both paths must give the client the same answers, and the upstream the same distinct requests."""
    upstream.heads.clear()
    got = await talk(fast.port, segments, methods, pause)
    heads = known_heads(upstream.heads)
    upstream.heads.clear()
    expected = await talk(ordinary.port, segments, methods, pause)
    assert got == expected
    # A GET may be asked twice (RFC 9110 §9.2.2); what is asked may not differ.
    assert list(dict.fromkeys(heads)) == list(dict.fromkeys(known_heads(upstream.heads)))
    return got


def request(path: str = "/plain", *headers: str, method: str = "GET", host: str = "app.test") -> bytes:
    lines = [f"{method} {path} HTTP/1.1", f"Host: {host}", *headers]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_every_kind_of_answer_is_relayed_alike(method: str) -> None:
    async with both_paths() as (upstream, fast, ordinary):
        for path in (*ANSWERS, "/big", *(f"{path}?pieces" for path in ANSWERS)):
            warm = await talk(fast.port, [request()], ["GET"])
            assert warm[0][2] == b"hello"
            await same(
                upstream, fast, ordinary, [request(path, method=method), request()], [method, "GET"], 0.03
            )


@pytest.mark.parametrize("accept", ["text/html", "*/*"])
async def test_a_slow_upstream_is_told_alike_to_people_and_programs(accept: str) -> None:
    async with both_paths(timeouts={"response": "100ms"}) as (upstream, fast, ordinary):
        segments = [request(), request("/silent", f"Accept: {accept}")]
        said = await same(upstream, fast, ordinary, segments, ["GET", "GET"], 0.05)
        assert said[1][0] == b"HTTP/1.1 504 Gateway Timeout"
        assert (b"<html" in said[1][2]) == (accept == "text/html")  # type: ignore[operator]


async def test_a_request_split_at_any_byte_is_answered_alike() -> None:
    whole = request("/chunked", "Accept: */*", "Cookie: a=b")
    async with both_paths() as (upstream, fast, ordinary):
        for at in range(1, len(whole)):
            segments = [whole[:at], whole[at:], request()]
            await same(upstream, fast, ordinary, segments, ["GET", "GET"], 0.002)


async def test_a_head_begun_behind_another_request_keeps_its_first_bytes() -> None:
    async with both_paths() as (upstream, fast, ordinary):
        segments = [request() + b"X", request("/empty"), request("/plain?3")]
        await same(upstream, fast, ordinary, segments, ["GET", "XGET", "GET"], 0.1)


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
        await same(upstream, fast, ordinary, many, methods, 0.05)


@pytest.mark.parametrize("name", MALFORMED)
async def test_malformed_requests_get_the_same_refusal(name: str) -> None:
    data = MALFORMED[name].replace(b"Host: a\r\n", b"Host: app.test\r\n")
    async with both_paths() as (upstream, fast, ordinary):
        await same(upstream, fast, ordinary, [data], ["GET"])
        await same(upstream, fast, ordinary, [request(), data], ["GET", "GET"], 0.05)


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


async def same_in_the_end(
    upstream: RawUpstream, fast: Rig, ordinary: Rig, data: bytes, method: str, tries: int = 4
) -> None:
    """On a busy machine the second request may overtake the first answer; a real difference shows every time."""
    for left in reversed(range(tries)):
        try:
            await same(upstream, fast, ordinary, [request(), data], ["GET", method], 0.01)
            return
        except AssertionError:
            if not left:
                raise


@settings(max_examples=6, deadline=None)
@given(st.lists(requests, min_size=40, max_size=60))
def test_made_up_requests_are_answered_alike(made: list[tuple[bytes, str]]) -> None:
    async def run() -> None:
        async with both_paths() as (upstream, fast, ordinary):
            for data, method in made:
                await same_in_the_end(upstream, fast, ordinary, data, method)

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
