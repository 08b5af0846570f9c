"""Protocols beside WebSocket that a route may switch to, for `docker attach` and `kubectl exec`; none other does."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.proxy_rig import scripted
from tests.rig import Rig, running_gateway
from tests.waiting import PATIENCE, until

Reader, Writer = asyncio.StreamReader, asyncio.StreamWriter
BOTH = ["websocket", "tcp", "spdy/3.1"]
ATTACH = "POST /containers/1/attach?stream=1 HTTP/1.1\r\nHost: app.test\r\n"


@dataclass
class App:
    """Switches to what it is asked for, and then tells the other side each line in capitals, and "END" at its end."""

    heads: list[bytes] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    heard: list[bytes] = field(default_factory=list)
    switch_to: bytes = b""
    """What it says that it switches to, if that is not what it was asked for."""
    gone: asyncio.Event = field(default_factory=asyncio.Event)

    async def __call__(self, reader: Reader, writer: Writer) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        self.heads.append(head)
        fields = {
            name.lower(): value
            for name, _, value in (one.partition(b": ") for one in head.split(b"\r\n")[1:-2])
        }
        self.bodies.append(await reader.readexactly(int(fields.get(b"content-length", b"0"))))
        asked = fields.get(b"upgrade")
        if asked is None:
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nplain")
        else:
            named = self.switch_to or asked
            switch = b"HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: %b\r\n\r\nhello\n" % named
            writer.write(switch)
            while line := await reader.readline():
                self.heard.append(line)
                writer.write(line.upper())
            writer.write(b"END\n")
        await writer.drain()
        writer.close()
        self.gone.set()


@asynccontextmanager
async def gateway(folder: Path, app: App, **route: Any) -> AsyncIterator[Rig]:
    async with scripted(app) as url:
        routes = [
            {"path": "/", "upstream": url, "policy": {"require": "one_factor"}, "upgrades": BOTH, **route}
        ]
        async with running_gateway(folder, routes=routes) as rig:
            await rig.add_user()
            yield rig


async def signed_in(rig: Rig) -> str:
    async with rig.browser() as browser:
        assert (await browser.password()).status == 303
        return f"Cookie: auth_session={browser.cookie()}\r\n"


@asynccontextmanager
async def dialled(
    rig: Rig, *lines: str, start: str = ATTACH, body: bytes = b""
) -> AsyncIterator[tuple[bytes, Reader, Writer]]:
    """The head of the answer, and the connection behind it."""
    reader, writer = await asyncio.open_connection("127.0.0.1", rig.port)
    try:
        writer.write(start.encode() + "".join(lines).encode() + b"\r\n" + body)
        async with asyncio.timeout(PATIENCE):
            yield await reader.readuntil(b"\r\n\r\n"), reader, writer
    finally:
        writer.close()


def switch(protocol: str, more: str = "") -> str:
    return f"Connection: Upgrade\r\nUpgrade: {protocol}\r\n{more}"


@pytest.mark.parametrize(("asked", "told"), [("tcp", b"tcp"), ("SPDY/3.1", b"SPDY/3.1"), ("TCP", b"tcp")])
async def test_a_listed_protocol_is_tunnelled_both_ways_until_both_have_said_all(
    tmp_path: Path, asked: str, told: bytes
) -> None:
    app = App()
    async with gateway(tmp_path, app) as rig:
        cookie = await signed_in(rig)
        async with dialled(rig, cookie, switch(asked, "Content-Length: 0\r\n")) as (head, reader, writer):
            assert head.startswith(b"HTTP/1.1 101 ")
            assert b"\r\nConnection: Upgrade\r\nUpgrade: %b\r\n" % told in head
            assert await reader.readline() == b"hello\n"
            many = b"GET /x HTTP/1.1\r\n" + (b"x" * 999 + b"\n") * 2000
            writer.write(many)
            assert await reader.readexactly(len(many)) == many.upper()
            writer.write_eof()
            assert (await reader.read()).endswith(b"END\n"), "what the app says behind our end arrives"
    assert b"\r\nUpgrade: %b\r\n" % told in app.heads[0]
    assert b"auth_session" not in app.heads[0]
    assert b"\r\nRemote-User: alice\r\n" in app.heads[0]


async def test_a_body_goes_before_the_switch_as_docker_exec_has_it(tmp_path: Path) -> None:
    app = App()
    async with gateway(tmp_path, app) as rig:
        cookie = await signed_in(rig)
        options = b'{"Tty":false}'
        lines = (
            cookie,
            switch("tcp"),
            "Content-Type: application/json\r\n",
            f"Content-Length: {len(options)}\r\n",
        )
        async with dialled(rig, *lines, body=options + b"early\n") as (head, reader, _):
            assert head.startswith(b"HTTP/1.1 101 ")
            assert await reader.readline() == b"hello\n"
            assert await reader.readline() == b"EARLY\n"
    assert app.bodies == [options]


@pytest.mark.parametrize(
    ("upgrades", "asked"),
    [
        (None, "tcp"),
        (["websocket", "tcp"], "spdy/3.1"),
        (BOTH, "h2c"),
        (BOTH, "tcp, h2c"),
        (BOTH, "tcp\r\nUpgrade: h2c"),
        (BOTH, "TLS/1.0"),
    ],
)
async def test_what_is_not_listed_is_an_ordinary_request(
    tmp_path: Path, upgrades: list[str] | None, asked: str
) -> None:
    app = App()
    route = {} if upgrades is None else {"upgrades": upgrades}
    async with gateway(tmp_path, app, **({"upgrades": ["websocket"]} | route)) as rig:
        cookie = await signed_in(rig)
        for lines in ((cookie, switch(asked)), (cookie, "Upgrade: tcp\r\n")):
            async with dialled(rig, *lines) as (head, _, _):
                assert head.startswith(b"HTTP/1.1 200 ")
    assert not any(b"pgrade" in head for head in app.heads)


async def test_who_may_not_pass_switches_nothing(tmp_path: Path) -> None:
    app = App()
    async with gateway(tmp_path, app, policy={"require": "one_factor", "groups": ["ops"]}) as rig:
        cookie = await signed_in(rig)
        for lines, status in (((switch("tcp"),), b"401"), ((cookie, switch("tcp")), b"403")):
            async with dialled(rig, *lines) as (head, _, _):
                assert head.startswith(b"HTTP/1.1 " + status)
    assert app.heads == []


async def test_a_foreign_page_and_a_chunked_body_switch_nothing(tmp_path: Path) -> None:
    app = App()
    async with gateway(tmp_path, app) as rig:
        cookie = await signed_in(rig)
        async with dialled(rig, cookie, switch("tcp"), "Origin: http://evil.example\r\n") as (head, _, _):
            assert head.startswith(b"HTTP/1.1 403 ")
        chunked = "Transfer-Encoding: chunked\r\n"
        async with dialled(rig, cookie, switch("tcp"), chunked, body=b"0\r\n\r\n") as (head, _, _):
            assert head.startswith(b"HTTP/1.1 400 ")
    assert app.heads == []


async def test_an_app_that_switches_to_something_else_is_not_joined(tmp_path: Path) -> None:
    app = App(switch_to=b"h2c")
    async with gateway(tmp_path, app) as rig:
        cookie = await signed_in(rig)
        async with dialled(rig, cookie, switch("tcp")) as (head, _, _):
            assert head.startswith(b"HTTP/1.1 502 ")


async def test_without_websockets_among_the_upgrades_none_is_opened(tmp_path: Path) -> None:
    app = App()
    async with gateway(tmp_path, app, upgrades=["tcp"]) as rig:
        cookie = await signed_in(rig)
        key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
        start = "GET /ws HTTP/1.1\r\nHost: app.test\r\n"
        async with dialled(rig, cookie, switch("websocket", key), start=start) as (head, _, _):
            assert head.startswith(b"HTTP/1.1 403 ")
    assert app.heads == []


async def test_a_tunnel_ends_with_the_session_that_opened_it(tmp_path: Path) -> None:
    app = App()
    async with gateway(tmp_path, app) as rig:
        cookie = await signed_in(rig)
        async with dialled(rig, cookie, switch("tcp")) as (_, reader, writer):
            assert await reader.readline() == b"hello\n"
            principal = await rig.gateway.sessions.load(cookie.removeprefix("Cookie: ").strip(), "app.test")
            assert principal is not None
            await rig.gateway.sessions.end(principal.session.sid)
            rest = b""
            with suppress(ConnectionError):
                rest = await reader.read()
            assert rest == b"", "no frame of a protocol that this is not"
            await asyncio.wait_for(app.gone.wait(), PATIENCE)
            del writer
        await until(lambda: len(rig.gateway.proxy.tunnels) == 0)


async def test_what_a_client_sends_keeps_its_session_alive(tmp_path: Path) -> None:
    app = App()
    async with gateway(tmp_path, app) as rig:
        cookie = await signed_in(rig)
        async with dialled(rig, cookie, switch("tcp")) as (_, reader, writer):
            assert await reader.readline() == b"hello\n"
            (tunnel,) = [one.held for group in rig.gateway.proxy.tunnels.admitted().values() for one in group]
            assert not tunnel.was_used()  # type: ignore[attr-defined]
            writer.write(b"a\n")
            assert await reader.readline() == b"A\n"
            assert tunnel.was_used()  # type: ignore[attr-defined]
            assert not tunnel.was_used()  # type: ignore[attr-defined]
