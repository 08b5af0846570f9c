"""WebSockets through the proxy, with the `websockets` library at both ends."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed, InvalidStatus

from gateway.config.schema import Route, Timeouts
from tests.proxy_rig import Front, answering, fronting, principal, scripted
from tests.waiting import PATIENCE, until

MIB = 1024 * 1024


async def echo(ws: ServerConnection) -> None:
    async for message in ws:
        await ws.send(message)


@asynccontextmanager
async def app(
    handler: Callable[[ServerConnection], Awaitable[None]] = echo, **options: object
) -> AsyncIterator[str]:
    async with serve(handler, "127.0.0.1", 0, max_size=64 * MIB, **options) as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


def dial(front: Front, **options: object) -> connect:
    return connect(f"ws://127.0.0.1:{front.port}/ws", max_size=64 * MIB, **options)


async def closing(ws: ClientConnection) -> tuple[int | None, str | None]:
    """Read until the other side closes, and tell how it did."""
    async with asyncio.timeout(PATIENCE):
        with suppress(ConnectionClosed):
            while True:
                await ws.recv()
    return ws.close_code, ws.close_reason


async def test_messages_of_16_mib_pings_and_text_pass() -> None:
    async with app() as url, fronting(Route(upstream=url)) as front, dial(front, compression=None) as ws:
        big = bytes(range(256)) * (16 * MIB // 256)
        await ws.send(big)
        assert await ws.recv() == big
        await ws.send("grüße")
        assert await ws.recv() == "grüße"
        await asyncio.wait_for(await ws.ping(b"are you there"), PATIENCE)


async def test_subprotocol_and_compression_are_agreed_end_to_end() -> None:
    async with (
        app(subprotocols=["chat.v2"]) as url,
        fronting(Route(upstream=url)) as front,
        dial(front, subprotocols=["chat.v1", "chat.v2"]) as ws,
    ):
        assert ws.subprotocol == "chat.v2"
        assert "permessage-deflate" in ws.response.headers["Sec-WebSocket-Extensions"]
        await ws.send("x" * 100_000)
        assert await ws.recv() == "x" * 100_000


async def test_the_handshake_carries_identity_but_not_our_cookie() -> None:
    seen: list[object] = []

    async def handler(ws: ServerConnection) -> None:
        seen.append(ws.request.headers)

    sent = {"Cookie": "auth_session=s; a=1", "Remote-User": "root"}
    async with (
        app(handler) as url,
        fronting(Route(upstream=url), who=principal()) as front,
        dial(front, additional_headers=sent) as ws,
    ):
        await closing(ws)
    assert seen[0].get_all("Remote-User") == ["alice"]
    assert seen[0]["Cookie"] == "a=1"


@pytest.mark.parametrize(("code", "reason"), [(1000, "bye"), (1011, "broken"), (4123, "own code")])
async def test_close_codes_pass_from_the_upstream(code: int, reason: str) -> None:
    async def handler(ws: ServerConnection) -> None:
        await ws.close(code, reason)

    async with app(handler) as url, fronting(Route(upstream=url)) as front, dial(front) as ws:
        assert await closing(ws) == (code, reason)


async def test_close_codes_pass_from_the_client() -> None:
    closed: asyncio.Future[int | None] = asyncio.get_running_loop().create_future()

    async def handler(ws: ServerConnection) -> None:
        await ws.wait_closed()
        closed.set_result(ws.close_code)

    async with app(handler) as url, fronting(Route(upstream=url)) as front, dial(front) as ws:
        await ws.close(4001, "enough")
        assert await asyncio.wait_for(closed, PATIENCE) == 4001
        await until(lambda: len(front.proxy.tunnels) == 0)


async def test_an_upstream_that_dies_closes_the_clients_connection() -> None:
    async def handler(ws: ServerConnection) -> None:
        ws.transport.abort()

    async with app(handler) as url, fronting(Route(upstream=url)) as front, dial(front) as ws:
        assert (await closing(ws))[0] == 1006


async def test_the_end_of_a_session_closes_its_tunnels_and_no_others() -> None:
    async with app() as url, fronting(Route(upstream=url), who=principal("sid-1")) as front:
        async with dial(front) as ws, dial(front) as second:
            front.proxy.tunnels.close_session("sid-2")
            await ws.send("still here")
            assert await ws.recv() == "still here"
            front.proxy.tunnels.close_session("sid-1")
            assert await closing(ws) == (4401, "session ended")
            assert await closing(second) == (4401, "session ended")
        await until(lambda: len(front.proxy.tunnels) == 0)


async def test_a_tunnel_is_closed_between_frames_even_in_a_flood() -> None:
    async def handler(ws: ServerConnection) -> None:
        while True:
            await ws.send(b"x" * 70_000)
            await ws.send("tick")

    async with (
        app(handler) as url,
        fronting(Route(upstream=url), who=principal()) as front,
        dial(front, compression=None) as ws,
    ):
        for _ in range(20):
            await ws.recv()
        front.proxy.tunnels.close_session("sid-1")
        # A frame cut in the middle would be a protocol error (1002) or an abnormal end (1006).
        assert await closing(ws) == (4401, "session ended")


async def test_a_session_that_ends_during_the_handshake_leaves_no_tunnel_open() -> None:
    async def dawdle(connection: ServerConnection, request: object) -> None:
        front.proxy.tunnels.close_session("sid-1")

    async with (
        app(process_request=dawdle) as url,
        fronting(Route(upstream=url), who=principal()) as front,
        dial(front) as ws,
    ):
        assert await closing(ws) == (4401, "session ended")


async def test_a_tunnel_without_traffic_is_closed() -> None:
    route = {"timeouts": Timeouts(idle=0.1)}  # short: nobody says anything
    async with (
        app(ping_interval=None) as url,
        fronting(Route(upstream=url, **route)) as front,
        dial(front, ping_interval=None) as ws,
    ):
        assert await closing(ws) == (1001, "idle")


async def test_closing_the_proxy_says_goodbye() -> None:
    async with app() as url, fronting(Route(upstream=url)) as front, dial(front) as ws:
        ended, _ = await asyncio.gather(closing(ws), front.proxy.close())
        assert ended == (1001, "shutting down")


async def test_a_refused_handshake_is_an_ordinary_answer() -> None:
    refusal = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\nX-Why: no\r\n\r\nno"
    async with scripted(answering(refusal)) as url, fronting(Route(upstream=url)) as front:
        with pytest.raises(InvalidStatus) as refused:
            async with dial(front):
                pass
    assert refused.value.response.status_code == 403
    assert refused.value.response.headers["X-Why"] == "no"


@pytest.mark.parametrize(
    "answer", [b"HTTP/1.1 101 X\r\nUpgrade: h2c\r\nConnection: upgrade\r\n\r\n", b"HTTP/1.1 101 X\r\n\r\n"]
)
async def test_a_switch_to_something_else_is_502(answer: bytes) -> None:
    async with scripted(answering(answer)) as url, fronting(Route(upstream=url)) as front:
        with pytest.raises(InvalidStatus) as refused:
            async with dial(front):
                pass
    assert refused.value.response.status_code == 502


async def test_foreign_origins_and_routes_without_websockets_are_refused() -> None:
    async with app() as url:
        async with fronting(Route(upstream=url)) as front:
            with pytest.raises(InvalidStatus) as foreign:
                async with dial(front, origin="https://evil.example"):
                    pass
            async with dial(front, origin=front.url) as ws:
                await ws.send("own origin")
                assert await ws.recv() == "own origin"
        async with fronting(Route(upstream=url, websocket=False)) as front:
            with pytest.raises(InvalidStatus) as off:
                async with dial(front):
                    pass
    assert (foreign.value.response.status_code, off.value.response.status_code) == (403, 403)


async def test_frames_sent_before_the_handshake_was_answered_are_not_lost() -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        await asyncio.sleep(0.1)
        writer.write(b"HTTP/1.1 101 Switching\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\ngreeting")
        writer.write(await reader.readexactly(5))

    early = (
        b"GET / HTTP/1.1\r\nHost: app.example.com\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\nearly"
    )
    async with scripted(script) as url, fronting(Route(upstream=url)) as front:
        received = await front.exchange(early)
    assert received.endswith(b"\r\n\r\ngreetingearly")


async def test_a_handshake_that_announces_a_body_is_refused() -> None:
    seen: list[bytes] = []
    smuggler = (
        b"GET / HTTP/1.1\r\nHost: app.example.com\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Content-Length: 40\r\n\r\nGET /admin HTTP/1.1\r\nHost: x\r\n\r\n"
    )
    async with (
        scripted(answering(b"HTTP/1.1 200 OK\r\n\r\n", seen)) as url,
        fronting(Route(upstream=url)) as front,
    ):
        reader, writer = await asyncio.open_connection("127.0.0.1", front.port)
        writer.write(smuggler)
        assert (await reader.readline()).startswith(b"HTTP/1.1 400 ")
        writer.close()
    assert seen == []


async def test_a_client_that_reads_slowly_slows_the_upstream_down() -> None:
    sent = 0

    async def handler(ws: ServerConnection) -> None:
        nonlocal sent
        while True:
            await ws.send(bytes(MIB))
            sent += 1

    async with (
        app(handler, compression=None) as url,
        fronting(Route(upstream=url)) as front,
        dial(front, compression=None, max_queue=1) as ws,
    ):
        before = -1
        while before != sent:
            before = sent
            await asyncio.sleep(0.3)
        assert sent < 64
        for _ in range(sent + 5):
            await ws.recv()
        ws.transport.abort()
