"""One round trip over real sockets: what passes through untouched, and how it fails."""

import asyncio
import gzip

import aiohttp
import pytest
from aiohttp import web

from gateway.config.schema import Route, Timeouts
from gateway.errors import ClientGone, UpstreamTimeout, UpstreamUnreachable
from tests.proxy_rig import answering, fronting, get, head_of, principal, scripted, serving, silence
from tests.waiting import PATIENCE, until


async def test_a_plain_answer_passes_byte_for_byte_and_only_a_missing_date_is_added() -> None:
    seen: list[bytes] = []
    answer = b"HTTP/1.1 200 Sure thing\r\nx-a: \xe9\xff\r\nX-A: 2\r\nContent-Length: 2\r\nset-cookie: a=1\r\n\r\nhi"
    async with scripted(answering(answer, seen)) as url, fronting(Route(upstream=url)) as front:
        status, headers, body = head_of(await front.exchange(get("/p%2fq?a=%41&b", "x-oDd: \xe9")))
    assert status == b"HTTP/1.1 200 Sure thing"
    assert [line for line in headers if not line.startswith(b"Date: ")] == [
        b"x-a: \xe9\xff",
        b"X-A: 2",
        b"Content-Length: 2",
        b"set-cookie: a=1",
        b"Connection: close",
    ]
    assert len(headers) == 6, "RFC 9110 §6.6.1"
    assert body == b"hi"
    request, *sent = seen[0].split(b"\r\n")
    assert request == b"GET /p%2fq?a=%41&b HTTP/1.1"
    assert b"x-oDd: \xe9" in sent
    assert not [
        line
        for line in sent
        if line.lower().startswith((b"user-agent", b"accept", b"content-", b"connection"))
    ]


async def test_identity_reaches_the_upstream_and_forgeries_do_not() -> None:
    seen: list[bytes] = []
    ok = answering(b"HTTP/1.1 204 No Content\r\n\r\n", seen)
    async with (
        scripted(ok) as url,
        fronting(Route(upstream=url), who=principal(), assertion="j.w.t") as front,
    ):
        await front.exchange(
            get("/", "REMOTE_USER: root", "remote-user: root", "Cookie: auth_session=1; a=b")
        )
    assert b"root" not in seen[0]
    assert b"auth_session" not in seen[0]
    assert b"\r\nRemote-User: alice\r\n" in seen[0]
    assert b"\r\nX-Auth-Assertion: j.w.t\r\n" in seen[0]


async def test_chunks_trailers_and_their_announcement_pass() -> None:
    answer = (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n"
        b"3\r\nabc\r\n4;ext=1\r\ndefg\r\n0\r\nX-Sum: 7\r\nSet-Cookie: auth_session=x\r\n\r\n"
    )
    async with scripted(answering(answer)) as url, fronting(Route(upstream=url)) as front:
        _, headers, body = head_of(await front.exchange(get("/", "TE: trailers")))
    assert b"Transfer-Encoding: chunked" in headers
    assert b"Trailer: X-Sum" in headers
    assert (
        body.replace(b"7\r\nabcdefg\r\n", b"3\r\nabc\r\n4\r\ndefg\r\n")
        == b"3\r\nabc\r\n4\r\ndefg\r\n0\r\nX-Sum: 7\r\n\r\n"
    )


async def test_an_http_1_0_client_gets_no_chunks() -> None:
    answer = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
    async with scripted(answering(answer)) as url, fronting(Route(upstream=url)) as front:
        _, headers, body = head_of(await front.exchange(b"GET / HTTP/1.0\r\nHost: app.example.com\r\n\r\n"))
    assert body == b"abc"
    assert not [line for line in headers if line.lower().startswith(b"transfer-encoding")]


async def test_early_hints_pass_before_the_answer() -> None:
    answer = b"HTTP/1.1 103 Early Hints\r\nLink: </s.css>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
    async with scripted(answering(answer)) as url, fronting(Route(upstream=url)) as front:
        received = await front.exchange(get())
    assert received.startswith(b"HTTP/1.1 103 Early Hints\r\nLink: </s.css>\r\n\r\nHTTP/1.1 200 OK\r\n")


@pytest.mark.parametrize(
    ("method", "answer"),
    [
        ("HEAD", b"HTTP/1.1 200 OK\r\nContent-Length: 12345\r\n\r\n"),
        ("GET", b'HTTP/1.1 304 Not Modified\r\nContent-Length: 12345\r\nETag: "x"\r\n\r\n'),
        ("GET", b"HTTP/1.1 204 No Content\r\n\r\n"),
        ("HEAD", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"),
    ],
)
async def test_answers_without_a_body_end_with_their_head(method: str, answer: bytes) -> None:
    async with scripted(answering(answer)) as url, fronting(Route(upstream=url)) as front:
        status, headers, body = head_of(await front.exchange(get(method=method)))
        assert (await front.outcome()).complete
    assert status == answer.split(b"\r\n")[0]
    assert body == b""
    assert (b"Content-Length: 12345" in headers) == (b"12345" in answer)
    assert b"Transfer-Encoding: chunked" not in headers


async def test_compressed_bodies_and_ranges_pass_untouched() -> None:
    packed = gzip.compress(b"x" * 10_000)

    async def handler(request: web.BaseRequest) -> web.Response:
        if "Range" in request.headers:
            return web.Response(
                status=206, body=packed[2:5], headers={"Content-Range": f"bytes 2-4/{len(packed)}"}
            )
        echoed = {"Content-Encoding": "gzip", "X-Accept": request.headers["Accept-Encoding"]}
        return web.Response(body=packed, headers=echoed)

    async with (
        serving(handler) as url,
        fronting(Route(upstream=url)) as front,
        aiohttp.ClientSession(auto_decompress=False) as client,
    ):
        async with client.get(front.url, headers={"Accept-Encoding": "br;q=0.1, gzip"}) as answer:
            assert await answer.read() == packed
            assert answer.headers["X-Accept"] == "br;q=0.1, gzip"
        async with client.get(front.url, headers={"Range": "bytes=2-4"}) as answer:
            assert (answer.status, await answer.read()) == (206, packed[2:5])


async def test_events_arrive_one_by_one_while_the_stream_is_open() -> None:
    go = asyncio.Event()

    async def handler(request: web.BaseRequest) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        for event in (b"data: 1\n\n", b"data: 2\n\n"):
            await response.write(event)
            await go.wait()
        return response

    async with (
        serving(handler) as url,
        fronting(Route(upstream=url)) as front,
        aiohttp.ClientSession() as client,
        client.get(front.url) as answer,
    ):
        assert await answer.content.readany() == b"data: 1\n\n"
        go.set()
        assert await answer.content.read() == b"data: 2\n\n"


async def test_a_head_is_sent_before_any_body_exists() -> None:
    go = asyncio.Event()

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        await go.wait()
        writer.write(b"0\r\n\r\n")

    async with (
        scripted(script) as url,
        fronting(Route(upstream=url)) as front,
        aiohttp.ClientSession() as client,
        client.get(front.url) as answer,
    ):
        assert answer.status == 200
        go.set()
        assert await answer.read() == b""


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nnonsense",
    ],
)
async def test_a_broken_body_never_ends_politely(answer: bytes) -> None:
    async with scripted(answering(answer)) as url, fronting(Route(upstream=url)) as front:
        received = await front.exchange(get())
        assert not (await front.outcome()).complete
    assert not received.endswith(b"0\r\n\r\n")


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 200",
        b"SSH-2.0-x\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
    ],
)
async def test_no_proper_head_is_502(answer: bytes) -> None:
    async with scripted(answering(answer)) as url, fronting(Route(upstream=url)) as front:
        status, _, _ = head_of(await front.exchange(get(method="POST")))
        assert isinstance(await front.outcome(), UpstreamUnreachable)
    assert status == b"HTTP/1.1 502 Bad Gateway"


async def test_no_answer_in_time_is_504() -> None:
    times = Timeouts(response=0.05)  # short: no answer comes
    async with scripted(silence) as url, fronting(Route(upstream=url, timeouts=times)) as front:
        status, _, _ = head_of(await front.exchange(get()))
        assert isinstance(await front.outcome(), UpstreamTimeout)
    assert status == b"HTTP/1.1 504 Gateway Timeout"


async def test_silence_in_the_middle_of_a_body_cuts_the_connection() -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc")
        await reader.read()

    times = Timeouts(idle=0.05)  # short: nothing more comes
    async with scripted(script) as url, fronting(Route(upstream=url, timeouts=times)) as front:
        await front.exchange(get())
        assert not (await front.outcome()).complete


async def test_a_client_that_goes_away_ends_the_request_to_the_upstream() -> None:
    started, ended = asyncio.Event(), asyncio.Event()

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        started.set()
        try:
            await reader.read()
        finally:
            ended.set()

    async with scripted(script) as url, fronting(Route(upstream=url)) as front:
        _, writer = await asyncio.open_connection("127.0.0.1", front.port)
        writer.write(get())
        await started.wait()
        writer.transport.abort()
        await asyncio.wait_for(ended.wait(), PATIENCE)
        assert isinstance(await front.outcome(), (asyncio.CancelledError, ClientGone))


@pytest.mark.parametrize("method", ["TRACE", "CONNECT"])
async def test_methods_that_no_upstream_should_see_are_refused(method: str) -> None:
    seen: list[bytes] = []
    async with (
        scripted(answering(b"HTTP/1.1 200 OK\r\n\r\n", seen)) as url,
        fronting(Route(upstream=url)) as front,
    ):
        target = "app.example.com:80" if method == "CONNECT" else "/"
        received = await front.exchange(get(target, method=method))
    assert not received.startswith(b"HTTP/1.1 200")
    assert seen == []


async def test_our_own_prefix_is_never_forwarded() -> None:
    seen: list[bytes] = []
    async with (
        scripted(answering(b"HTTP/1.1 200 OK\r\n\r\n", seen)) as url,
        fronting(Route(upstream=url)) as front,
    ):
        status, _, _ = head_of(await front.exchange(get("/_auth/login")))
    assert status.startswith(b"HTTP/1.1 404 ")
    assert seen == []


async def test_a_client_that_reads_slowly_slows_the_upstream_down() -> None:
    total, sent = 64 * 1024 * 1024, 0

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % total)
        while sent < total:
            writer.write(bytes(1024 * 1024))
            await writer.drain()
            sent += 1024 * 1024

    async with scripted(script) as url, fronting(Route(upstream=url)) as front:
        reader, writer = await asyncio.open_connection("127.0.0.1", front.port, limit=1024)
        writer.write(get())
        await reader.readuntil(b"\r\n\r\n")
        before = -1
        while before != sent:  # until nothing moves any more
            before = sent
            await asyncio.sleep(0.3)
        assert sent < total // 2
        got = 0
        while piece := await reader.read(1024 * 1024):
            got += len(piece)
        assert got == total
        writer.close()
        await until(lambda: bool(front.outcomes))
