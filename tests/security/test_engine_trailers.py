"""What comes behind a body through `server.engine: envoy`: of a client's nothing, of an app's what our proxy passes.

A cookie of our name, or a word that caches obey, would else come around what is done to an answer's headers.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import h2.config
import h2.connection
import h2.events
import pytest

from tests.engine_rig import behind_envoy, carried_so_far
from tests.rig import running_gateway
from tests.waiting import PATIENCE

pytestmark = pytest.mark.xdist_group("engine")
Fields = list[tuple[str, str]]
BEHIND: Fields = [
    ("set-cookie", "auth_session=theirs"),
    ("set_cookie", "auth_session=theirs"),
    ("cache-control", "public"),
    ("location", "https://elsewhere.test"),
    ("clear-site-data", '"cookies"'),
    ("x-end", "yes"),
    ("grpc-status", "0"),
]
KEPT: Fields = [("x-end", "yes"), ("grpc-status", "0")]


async def answer_http1(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError, asyncio.IncompleteReadError):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n")
        writer.write("".join(f"{name}: {value}\r\n" for name, value in BEHIND).encode() + b"\r\n")
        await writer.drain()
    writer.close()


class Http2End:
    """One end of an HTTP/2 connection, that keeps what the other end has said, stream by stream."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, client: bool) -> None:
        self.reader, self.writer = reader, writer
        # An odd name is what a client would send.
        config = h2.config.H2Configuration(
            client_side=client, header_encoding="utf-8", validate_outbound_headers=False
        )
        self.state = h2.connection.H2Connection(config)
        self.state.initiate_connection()
        self.heads: dict[int, Fields] = {}
        self.trailers: dict[int, Fields] = {}
        self.bodies: dict[int, bytes] = {}

    async def flush(self) -> None:
        self.writer.write(self.state.data_to_send())
        await self.writer.drain()

    async def ended(self) -> AsyncIterator[int]:
        """The streams that the other end has ended, as it does."""
        await self.flush()
        while data := await self.reader.read(65536):
            for event in self.state.receive_data(data):
                if isinstance(event, (h2.events.RequestReceived, h2.events.ResponseReceived)):
                    self.heads[event.stream_id] = list(event.headers)
                elif isinstance(event, h2.events.TrailersReceived):
                    self.trailers[event.stream_id] = list(event.headers)
                elif isinstance(event, h2.events.DataReceived):
                    known = self.bodies.get(event.stream_id, b"")
                    self.bodies[event.stream_id] = known + event.data
                elif isinstance(event, h2.events.StreamEnded):
                    yield event.stream_id
            await self.flush()


@asynccontextmanager
async def http2_app(*said: tuple[str, str]) -> AsyncIterator[tuple[str, list[Fields]]]:
    """Yields its URL, and what it gets: the head and the trailers of each request. It says these headers."""
    got: list[Fields] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        end = Http2End(reader, writer, client=False)
        with suppress(OSError):
            async for stream in end.ended():
                got.extend((end.heads[stream], end.trailers.get(stream, [])))
                end.state.send_headers(stream, [(":status", "200"), *said])
                end.state.send_data(stream, b"body")
                end.state.send_headers(stream, BEHIND, end_stream=True)
                await end.flush()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"h2c://127.0.0.1:{server.sockets[0].getsockname()[1]}", got
        server.close()


async def exchange(port: int) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"GET /x HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode())
    async with asyncio.timeout(PATIENCE):
        await reader.readuntil(b"\r\n\r\n")
        answer = await reader.readuntil(b"\r\n0\r\n") + await reader.readuntil(b"\r\n")
        while not answer.endswith(b"\r\n\r\n"):
            answer += await reader.readuntil(b"\r\n")
    writer.close()
    return answer


async def test_an_apps_trailers_pass_envoy_as_they_pass_our_own_proxy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = await asyncio.start_server(answer_http1, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    routes = [{"upstream": url, "policy": {"require": "bypass"}}]
    for name in ("ours", "inside"):
        (tmp_path / name).mkdir()
    async with server:
        async with running_gateway(tmp_path / "ours", routes=routes) as rig:
            ours = await exchange(rig.port)
        async with behind_envoy(tmp_path / "inside", monkeypatch, routes=routes) as rig:
            inside = await exchange(rig.port)
            assert carried_so_far(rig) == 1
    assert inside.lower() == ours.lower()
    assert b"x-end: yes" in inside.lower()
    assert b"theirs" not in inside


async def test_over_http_2_an_app_gets_no_trailers_of_the_client_and_its_own_pass(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with http2_app() as (url, got):
        routes = [{"upstream": url, "policy": {"require": "bypass"}}]
        async with behind_envoy(tmp_path, monkeypatch, routes=routes) as rig, asyncio.timeout(PATIENCE):
            client = Http2End(*await asyncio.open_connection("127.0.0.1", rig.port), client=True)
            head = [(":method", "POST"), (":scheme", "http"), (":path", "/x"), (":authority", "127.0.0.1")]
            client.state.send_headers(1, [*head, ("content-length", "4")])
            client.state.send_data(1, b"body")
            claims = [
                ("remote-user", "root"),
                ("remote_user", "root"),
                ("cookie", "a=root"),
                ("x-odd", "root"),
            ]
            client.state.send_headers(1, claims, end_stream=True)
            async for _ in client.ended():
                break
            client.writer.close()
    assert dict(client.heads[1])[":status"] == "200"
    assert client.trailers[1] == KEPT
    assert dict(got[0])[":path"] == "/x"
    assert got[1] == []
