"""Who hangs up first: an engine closes what it does not use before the gateway would, so that no request is lost.

A server may close an idle connection at any time, and a request may be on its way just then (RFC 9112 §9.6). Who sent
it can't know whether it was served; a proxy repeats what is safe to repeat, and says 502 of the rest.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from gateway.engines.plan import IDLE_TO_THE_GATEWAY
from gateway.server.drain import LINGER
from tests.integration.engines import ENGINES, behind, command, process
from tests.rig import listening_socket
from tests.waiting import free_port, until

pytestmark = pytest.mark.xdist_group("processes")
NGINX = """
pid nginx.pid; error_log stderr; events {{ }}
http {{
  access_log off;
  upstream gateway {{ server 127.0.0.1:{gateway}; keepalive 32; {line} }}
  server {{
    listen 127.0.0.1:{port};
    location / {{
      proxy_pass http://gateway;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      {next}
    }}
  }}
}}
"""


@pytest.mark.parametrize("engine", ENGINES)
async def test_an_engine_hangs_up_on_the_gateway_before_the_gateway_does(engine: str, tmp_path: Path) -> None:
    assert IDLE_TO_THE_GATEWAY <= LINGER / 2, "what we drain may be idle for LINGER"
    async with behind(engine, tmp_path, server={"limits": {"keepalive_timeout": "1h"}}) as rig:
        assert rig.gateway._server is not None
        async with rig.browser() as browser:
            assert (await browser.get("/")).status in (302, 303)
            assert (await browser.get("/_auth/login")).status == 200
            connections = rig.gateway._server.connections
            await until(lambda: not connections, "the engine has closed its connections")


class Race:
    """A server that has just begun to close the first connection when the second request comes on it."""

    def __init__(self) -> None:
        self.connections = self.left = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        first, asked = self.connections == 1, 0
        while data := await reader.read(65536):
            if b" HTTP/1." not in data:
                continue  # a body
            asked += 1
            if first and asked == 2:
                break
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        else:
            self.left += 1
        writer.close()


@asynccontextmanager
async def nginx_before(race: Race, folder: Path, *, line: str = "", next: str = "") -> AsyncIterator[str]:
    sock = listening_socket()
    server = await asyncio.start_server(race.serve, sock=sock)
    port, file = free_port(), folder / "nginx.conf"
    file.write_text(NGINX.format(gateway=sock.getsockname()[1], port=port, line=line, next=next))
    async with process([*command("nginx", file), "-p", str(folder)], port, folder):
        yield f"http://127.0.0.1:{port}"
    server.close()


@pytest.mark.parametrize(
    ("method", "next", "status"),
    [
        ("GET", "", 200),
        ("GET", "proxy_next_upstream off;", 502),
        ("POST", "", 502),
    ],
)
async def test_a_request_that_meets_a_close_is_repeated_by_nginx_only_where_that_is_safe(
    method: str, next: str, status: int, tmp_path: Path
) -> None:
    race = Race()
    async with nginx_before(race, tmp_path, next=next) as url, aiohttp.ClientSession() as client:
        for expected in (200, status, 200):
            async with client.request(method, url, data=b"x" if method == "POST" else None) as answer:
                assert answer.status == expected
        assert race.connections == 2


async def test_an_nginx_that_hangs_up_first_meets_no_close(tmp_path: Path) -> None:
    """The line of docs/proxies.md."""
    race = Race()
    async with (
        nginx_before(race, tmp_path, line="keepalive_timeout 500ms;", next="proxy_next_upstream off;") as url,
        aiohttp.ClientSession() as client,
    ):
        for number in range(1, 4):
            async with client.post(url, data=b"x") as answer:
                assert answer.status == 200
            await until(lambda left=number: race.left == left, "nginx has closed its connection")
