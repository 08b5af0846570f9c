"""Behind an exported engine, a client can't turn its connection to an app into one that nobody checks.

The app is hypercorn, which speaks h2c by default: once it has switched, every stream is a request that no engine sees.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from h2.config import H2Configuration
from h2.connection import H2Connection
from hypercorn.asyncio import serve
from hypercorn.config import Config as HypercornConfig

from tests.integration.engines import ENGINES, behind
from tests.rig import Rig, listening_socket
from tests.waiting import PATIENCE

KEY = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
SETTINGS = "HTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA\r\n"
UPGRADES = (
    "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n" + SETTINGS,
    "Connection: upgrade, http2-settings\r\nUpgrade: H2C\r\n" + SETTINGS,
    "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: websocket, h2c\r\n" + SETTINGS + KEY,
    "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c, websocket\r\n" + SETTINGS + KEY,
    "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: websocket\r\nUpgrade: h2c\r\n" + SETTINGS + KEY,
    "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nUpgrade: websocket\r\n" + SETTINGS + KEY,
    "Connection: Upgrade\r\nUpgrade: websocket\r\n",
    "Connection: Upgrade\r\nUpgrade: tcp\r\n",
    "Connection: Upgrade\r\nUpgrade: SPDY/3.1\r\n",
    "Connection: Upgrade\r\nUpgrade: TLS/1.0, HTTP/1.1\r\n",
)
engines = pytest.mark.parametrize("engine", [*ENGINES, "caddy-2.11"])


class App:
    """An ASGI app that notes what it is asked, and by whom."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, dict[str, str]]] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            while True:
                message = await receive()
                await send({"type": f"{message['type']}.complete"})
                if message["type"] == "lifespan.shutdown":
                    return
        names = {name.decode().lower(): value.decode() for name, value in scope["headers"]}
        self.asked.append((scope["path"], names))
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"ok"})


@asynccontextmanager
async def h2c_app() -> AsyncIterator[tuple[App, str]]:
    app, stop, sock = App(), asyncio.Event(), listening_socket()
    settings = HypercornConfig()
    port = sock.getsockname()[1]
    settings.bind = [f"fd://{sock.detach()}"]  # hypercorn closes it
    settings.accesslog = settings.errorlog = None
    running = asyncio.ensure_future(serve(app, settings, shutdown_trigger=stop.wait, mode="asgi"))  # type: ignore[arg-type]
    try:
        yield app, f"http://127.0.0.1:{port}"
    finally:
        stop.set()
        await running


def routes(upstream: str, **more: Any) -> list[dict[str, Any]]:
    return [
        {"path": "/public", "upstream": upstream, "policy": {"require": "bypass"}, **more},
        {"path": "/", "upstream": upstream},
    ]


@engines
async def test_a_connection_to_an_app_that_speaks_h2c_is_never_switched(engine: str, tmp_path: Path) -> None:
    async with h2c_app() as (app, url), behind(engine, tmp_path, routes=routes(url)) as rig:
        for upgrade in UPGRADES:
            assert await smuggled(rig, "/public/x", upgrade) is False, upgrade
    assert {path for path, _ in app.asked} == {"/public/x"}
    for _, headers in app.asked:
        assert not {"http2-settings", "remote-user"} & set(headers), headers
        assert headers.get("upgrade", "websocket") == "websocket", headers


@engines
async def test_a_route_without_websockets_switches_nothing(engine: str, tmp_path: Path) -> None:
    async with h2c_app() as (app, url), behind(engine, tmp_path, routes=routes(url, websocket=False)) as rig:
        handshake = "Connection: Upgrade\r\nUpgrade: websocket\r\n" + KEY
        for upgrade in (*UPGRADES, handshake):
            assert await smuggled(rig, "/public/x", upgrade) is False, upgrade
    assert not any("upgrade" in headers for _, headers in app.asked)


async def smuggled(rig: Rig, path: str, upgrade: str) -> bool:
    """Whether the connection was switched; if so, the next stream asks for what nobody may see."""
    reader, writer = await asyncio.open_connection("127.0.0.1", rig.port)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{rig.port}\r\n{upgrade}\r\n".encode())
    async with asyncio.timeout(PATIENCE):
        head = await reader.readuntil(b"\r\n\r\n")
        switched = head.startswith(b"HTTP/1.1 101")
        if switched:
            await ask_for_the_secret(reader, writer, rig)
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()
    return switched


async def ask_for_the_secret(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, rig: Rig) -> None:
    http = H2Connection(H2Configuration(client_side=True))
    http.initiate_upgrade_connection()
    authority = f"127.0.0.1:{rig.port}"
    asked = [(":method", "GET"), (":path", "/admin/secret"), (":scheme", "http"), (":authority", authority)]
    http.send_headers(3, [*asked, ("remote-user", "root")], end_stream=True)
    writer.write(http.data_to_send())
    with suppress(TimeoutError):
        async with asyncio.timeout(2):  # short: a switched connection has its answer at once
            while await reader.read(65536):
                pass
