"""Request bodies over real sockets: how they are invited, limited, given up, and held back by a slow app."""

import asyncio
import gzip

import aiohttp
from aiohttp import web

from gateway.config.schema import Route, Timeouts
from gateway.errors import RequestRefused
from tests.proxy_rig import answering, fronting, get, head_of, scripted, serving, silence
from tests.waiting import PATIENCE, leap


async def test_a_compressed_upload_is_not_unpacked() -> None:
    async def handler(request: web.BaseRequest) -> web.Response:
        return web.Response(
            body=await request.read(), headers={"X-Length": request.headers["Content-Length"]}
        )

    packed = gzip.compress(b"y" * 5_000)
    async with (
        serving(handler) as url,
        fronting(Route(upstream=url)) as front,
        aiohttp.ClientSession() as client,
        client.post(front.url, data=packed, headers={"Content-Encoding": "gzip"}) as answer,
    ):
        assert await answer.read() == packed
        assert answer.headers["X-Length"] == str(len(packed))


async def test_both_bodies_flow_at_the_same_time() -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while line := await reader.readline():  # echo chunk by chunk, framing and all
            writer.write(line)
            if line == b"0\r\n":
                writer.write(await reader.readline())
                return

    pings: asyncio.Queue[bytes] = asyncio.Queue()

    async def body():
        while piece := await pings.get():
            yield piece

    async with (
        scripted(script) as url,
        fronting(Route(upstream=url)) as front,
        aiohttp.ClientSession() as client,
    ):
        pings.put_nowait(b"one")
        async with client.post(front.url, data=body()) as answer:
            assert await answer.content.readany() == b"one"
            pings.put_nowait(b"two")
            assert await answer.content.readany() == b"two"
            pings.put_nowait(b"")
            assert await answer.content.readany() == b""


async def test_100_continue_comes_from_the_upstream_before_the_body_is_read() -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        assert b"Expect: 100-continue" in head
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        assert await reader.readexactly(4) == b"body"
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    async with scripted(script) as url, fronting(Route(upstream=url)) as front:
        reader, writer = await asyncio.open_connection("127.0.0.1", front.port)
        writer.write(get("/", "Expect: 100-continue", "Content-Length: 4", method="PUT"))
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(b"body")
        assert (await reader.read()).startswith(b"HTTP/1.1 200 OK")
        writer.close()


async def test_a_refusal_instead_of_100_continue_passes_and_no_body_is_wanted() -> None:
    refusal = answering(b"HTTP/1.1 417 Expectation Failed\r\nContent-Length: 0\r\n\r\n")
    async with scripted(refusal) as url, fronting(Route(upstream=url)) as front:
        reader, writer = await asyncio.open_connection("127.0.0.1", front.port)
        writer.write(get("/", "Expect: 100-continue", "Content-Length: 4", method="PUT", close=False))
        head = await reader.readuntil(b"\r\n\r\n")
        writer.close()
    assert head.startswith(b"HTTP/1.1 417 ")
    assert b"\r\nConnection: close\r\n" in head


async def test_an_upstream_that_knows_no_100_continue_gets_the_body_all_the_same() -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        assert await reader.readexactly(4) == b"body"
        writer.write(b"HTTP/1.0 200 OK\r\n\r\ndone")

    async with scripted(script) as url, fronting(Route(upstream=url)) as front:
        reader, writer = await asyncio.open_connection("127.0.0.1", front.port)
        writer.write(get("/", "Expect: 100-continue", "Content-Length: 4", method="PUT"))
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(b"body")
        assert b"done" in await reader.read()
        writer.close()


async def test_an_upload_that_stalls_is_408() -> None:
    times = Timeouts(idle=0.05)  # short: nothing more comes
    async with scripted(silence) as url, fronting(Route(upstream=url, timeouts=times)) as front:
        _, writer = await asyncio.open_connection("127.0.0.1", front.port)
        writer.write(get("/", "Content-Length: 10", method="POST") + b"abc")
        refused = await front.outcome()
        writer.close()  # the server of this rig would wait ten seconds for the rest of the upload
    assert isinstance(refused, RequestRefused)
    assert refused.status == 408


async def test_a_slow_upload_does_not_use_up_the_time_for_the_response() -> None:
    async def handler(request: web.BaseRequest) -> web.Response:
        return web.Response(body=await request.read())

    async def slowly():
        for _ in range(4):
            leap(40)
            yield b"x"

    times = Timeouts(response=60)
    async with (
        serving(handler) as url,
        fronting(Route(upstream=url, timeouts=times)) as front,
        aiohttp.ClientSession() as client,
        client.post(front.url, data=slowly()) as answer,
    ):
        assert await answer.read() == b"xxxx"


async def test_a_client_that_goes_away_in_mid_upload_is_noticed_too() -> None:
    ended = asyncio.Event()

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.read()
        finally:
            ended.set()

    async with scripted(script) as url, fronting(Route(upstream=url)) as front:
        _, writer = await asyncio.open_connection("127.0.0.1", front.port)
        writer.write(get("/", "Content-Length: 1000", method="POST") + b"abc")
        await writer.drain()
        writer.transport.abort()
        await asyncio.wait_for(ended.wait(), PATIENCE)


async def test_a_body_above_the_limit_is_413_by_its_announcement() -> None:
    seen: list[bytes] = []
    async with scripted(answering(b"", seen)) as url, fronting(Route(upstream=url, max_body=10)) as front:
        status, _, _ = head_of(
            await front.exchange(get("/", "Content-Length: 11", method="POST") + b"x" * 11)
        )
    assert status.startswith(b"HTTP/1.1 413 ")
    assert seen == []


async def test_a_chunked_body_is_413_as_soon_as_it_passes_the_limit() -> None:
    body = b"8\r\n12345678\r\n8\r\n12345678\r\n0\r\n\r\n"
    async with scripted(silence) as url, fronting(Route(upstream=url, max_body=10)) as front:
        request = get("/", "Transfer-Encoding: chunked", method="POST") + body
        status, _, _ = head_of(await front.exchange(request))
    assert status.startswith(b"HTTP/1.1 413 ")


async def test_an_early_answer_to_an_upload_is_relayed() -> None:
    early = answering(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 2\r\n\r\nno")
    async with scripted(early) as url, fronting(Route(upstream=url)) as front:
        reader, writer = await asyncio.open_connection("127.0.0.1", front.port)
        writer.write(get("/", "Content-Length: 1000", method="POST", close=False) + b"abc")
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 401 ")
        assert b"\r\nConnection: close\r\n" in head
        assert await reader.readexactly(2) == b"no"
        writer.close()
