"""A Proxy behind a bare aiohttp server on loopback, with upstreams that are real servers or scripted byte by byte."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Any

from aiohttp import web

from gateway.config.schema import Route
from gateway.errors import GatewayError
from gateway.model import Principal, SessionRecord, Target, User
from gateway.proxy.client_response import RelayedResponse
from gateway.proxy.proxy import Proxy
from tests.waiting import PATIENCE, until

COOKIES = frozenset({"auth_session"})


def principal(sid: str = "sid-1", **user: Any) -> Principal:
    facts = {"username": "alice", "name": "Alice Ähren", "email": "a@example.com", "groups": ("staff", "ops")}
    session = SessionRecord(sid, "alice", ("password",), {}, 0.0, 0.0, 1e12)
    return Principal(User(**{**facts, **user}), session)


def make_target(path: str = "/", query: str = "", method: str = "GET", **facts: Any) -> Target:
    defaults = {
        "scheme": "http",
        "host": "app.example.com",
        "port": None,
        "client": ip_address("203.0.113.9"),
    }
    return Target(method=method, path=path, query=query, **{**defaults, **facts})


@dataclass
class Front:
    """The gateway's side of a test: where it listens, and how its requests ended."""

    proxy: Proxy
    port: int
    outcomes: list[object] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def outcome(self) -> object:
        """How the next request that has not been asked about ended."""
        await until(lambda: bool(self.outcomes))
        return self.outcomes.pop(0)

    async def exchange(self, request: bytes) -> bytes:
        """Send raw bytes and return all that comes back until the gateway hangs up."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(request)
        try:
            return await asyncio.wait_for(reader.read(), PATIENCE)
        except ConnectionResetError:
            return b"reset"
        finally:
            writer.close()


@asynccontextmanager
async def fronting(
    *routes: Route, who: Principal | None = None, trusted: bool = False, assertion: str | None = None
) -> AsyncIterator[Front]:
    proxy = Proxy(routes, session_cookie_names=COOKIES, prefix="/_auth")
    front = Front(proxy, 0)

    async def handler(request: web.BaseRequest) -> web.StreamResponse:
        path, _, query = request.raw_path.partition("?")
        target = make_target(
            path, query, request.method, host=request.host.partition(":")[0], port=front.port
        )
        try:
            response = await proxy.handle(request, routes[0], target, who, assertion, trusted_peer=trusted)
        except GatewayError as error:
            front.outcomes.append(error)
            return web.Response(status=error.status, text=error.public)
        except asyncio.CancelledError as error:
            front.outcomes.append(error)
            raise
        if isinstance(response, RelayedResponse):
            front.outcomes.append(response)
        return response

    server = web.Server(handler, auto_decompress=False, handler_cancellation=True, access_log=None)
    async with listening(server) as port:
        front.port = port
        await proxy.start()
        try:
            yield front
        finally:
            await proxy.close()
            await server.shutdown(1)


@asynccontextmanager
async def listening(protocol_factory: Callable[[], asyncio.Protocol]) -> AsyncIterator[int]:
    server = await asyncio.get_running_loop().create_server(protocol_factory, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


@asynccontextmanager
async def serving(handler: Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]) -> AsyncIterator[str]:
    """An ordinary aiohttp upstream; yields its URL."""
    server = web.Server(handler, auto_decompress=False, handler_cancellation=True, access_log=None)
    async with listening(server) as port:
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            await server.shutdown(1)


Script = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def scripted(script: Script) -> AsyncIterator[str]:
    """An upstream that does with its sockets what the script says; yields its URL."""

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await script(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()


def answering(response: bytes, seen: list[bytes] | None = None) -> Script:
    """A script that reads one request head, answers with these bytes and hangs up."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        if seen is not None:
            seen.append(head)
        writer.write(response)
        await writer.drain()

    return script


def get(path: str = "/", *headers: str, method: str = "GET", close: bool = True) -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "Host: app.example.com", *headers]
    if close:
        lines.append("Connection: close")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def head_of(message: bytes) -> tuple[bytes, list[bytes], bytes]:
    head, _, body = message.partition(b"\r\n\r\n")
    status, *headers = head.split(b"\r\n")
    return status, headers, body


async def silence(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()


async def status(front: Front, request: bytes) -> int:
    return int((await front.exchange(request)).split(b" ")[1])


async def hello(request: web.BaseRequest) -> web.Response:
    return web.Response(text=f"hello {request.headers['Host']}")
