"""Reload after reload under all kinds of traffic, directly and through an nginx that keeps connections: nothing fails.

`make faults` (--run-long) reloads 50 times, `make test` 10 times.
"""

import asyncio
import re
import signal
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
import yaml
from aiohttp import web
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from gateway.server.drain import LINGER
from tests.integration.engines import command, process
from tests.integration.serving import Serving, serving
from tests.rig import PASSWORD, csrf_of
from tests.waiting import PATIENCE, free_port, until

pytestmark = [
    pytest.mark.xdist_group("processes"),
    pytest.mark.timeout(900),
    pytest.mark.skipif(sys.platform != "linux", reason="reads /proc to see the worker processes"),
]
NGINX = """
pid nginx.pid; error_log stderr; events {{ }}
http {{
  access_log off;
  upstream gateway {{ server 127.0.0.1:{gateway}; keepalive 32; keepalive_timeout 500ms; }}
  server {{
    listen 127.0.0.1:{port};
    location / {{
      proxy_pass http://gateway;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Host $http_host;
      proxy_next_upstream off;
    }}
  }}
}}
"""


async def app(request: web.Request) -> web.StreamResponse:
    if request.path == "/open/ws":
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        async for message in socket:
            await socket.send_str(message.data)
        return socket
    if request.path == "/open/sse":
        stream = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await stream.prepare(request)
        for number in range(5):
            await stream.write(b"data: %d\n\n" % number)
            await asyncio.sleep(0.1)
        return stream
    return web.Response(text=str(len(await request.read())))


@asynccontextmanager
async def upstream() -> AsyncIterator[str]:
    runner = web.AppRunner(web.Application(client_max_size=2**24), access_log=None, shutdown_timeout=0.1)
    runner.app.router.add_route("*", "/{path:.*}", app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", free_port())
    await site.start()
    try:
        yield site.name
    finally:
        await runner.cleanup()


class Traffic:
    """Clients that go on until they are stopped. Nothing is retried but what a client must retry (see `_idle`)."""

    def __init__(self, direct: str, through_nginx: str) -> None:
        self._direct, self._nginx = direct, through_nginx
        self._stop = asyncio.Event()
        self.done: Counter[str] = Counter()
        self.failures: list[str] = []

    async def __aenter__(self) -> "Traffic":
        steady = [(self._direct, True), (self._direct, False), (self._nginx, True), (self._nginx, False)]
        kinds = [self._logins, self._uploads, self._sockets, self._streams, *[self._idle] * 5]
        running = [self._repeat(self._steady(url, keep), None) for url, keep in steady * 2]
        running += [self._repeat(kind, PATIENCE) for kind in kinds]
        self._tasks = [asyncio.create_task(one) for one in running]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._stop.set()
        await asyncio.gather(*self._tasks)

    async def _repeat(self, kind: Callable[[], Awaitable[None]], seconds: float | None) -> None:
        """`seconds` is how long it may take each time; None for what goes on and watches the time itself."""
        while not self._stop.is_set():
            try:
                async with asyncio.timeout(seconds):
                    await kind()
            except (aiohttp.ClientError, OSError, EOFError, TimeoutError, AssertionError) as error:
                self.failures.append(f"{kind.__name__}: {error!r}")

    def _steady(self, url: str, keep: bool) -> Callable[[], Awaitable[None]]:
        async def steady() -> None:
            """25 a second, on one kept connection or each on a new one. POST: nobody repeats it in secret."""
            connector = aiohttp.TCPConnector(force_close=not keep, limit=1)
            async with aiohttp.ClientSession(connector=connector) as session:
                while not self._stop.is_set():
                    async with (
                        asyncio.timeout(PATIENCE),
                        session.post(f"{url}/open/quick", data=b"x") as response,
                    ):
                        assert (response.status, await response.text()) == (200, "1")
                    self.done["steady"] += 1
                    await asyncio.sleep(0.04)

        return steady

    async def _logins(self) -> None:
        jar = aiohttp.CookieJar(unsafe=True)
        async with aiohttp.ClientSession(cookie_jar=jar, headers={"Accept": "text/html"}) as session:
            async with session.get(f"{self._direct}/_auth/login") as page:
                token = csrf_of(await page.text())
            form = {"username": "alice", "password": PASSWORD, "csrf_token": token, "rd": "/mine"}
            async with session.post(
                f"{self._direct}/_auth/login",
                data=form,
                headers={"Origin": self._direct},
                allow_redirects=False,
            ) as answer:
                assert answer.status == 303, (answer.status, re.sub(r"\s+", " ", await answer.text())[-300:])
            async with session.get(f"{self._direct}/mine") as mine:
                assert (mine.status, await mine.text()) == (200, "0")
        self.done["logins"] += 1
        await asyncio.sleep(0.3)

    async def _uploads(self) -> None:
        async def body() -> AsyncIterator[bytes]:
            for _ in range(10):
                yield b"x" * 50_000
                await asyncio.sleep(0.03)

        async with (
            aiohttp.ClientSession() as session,
            session.post(f"{self._nginx}/open/upload", data=body()) as response,
        ):
            assert await response.text() == "500000"
        self.done["uploads"] += 1

    async def _sockets(self) -> None:
        url = self._direct.replace("http://", "ws://")
        try:
            async with connect(f"{url}/open/ws") as socket:
                for number in range(5):
                    await socket.send(str(number))
                    assert await socket.recv() == str(number)
                    await asyncio.sleep(0.1)
        except ConnectionClosed as closed:
            if closed.rcvd is None or closed.rcvd.code != 1001:  # else the page is to connect again
                raise AssertionError(repr(closed)) from closed
        self.done["sockets"] += 1

    async def _streams(self) -> None:
        async with aiohttp.ClientSession() as session, session.get(f"{self._direct}/open/sse") as response:
            assert (await response.text()).count("data:") == 5
        self.done["streams"] += 1

    async def _idle(self) -> None:
        """Asks, and asks again after a while on the same connection, unless that was closed: then on a new one.

        A close that crosses its request is seen when that is out: clients repeat such a GET (RFC 9112 §9.3.1). No
        connection that was used a moment ago may do that.
        """
        host, port = self._direct.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        used = 0.0
        try:
            for pause in (0.7, 1.9, 3.1):
                long_idle = used > 0 and time.monotonic() - used >= LINGER
                try:
                    writer.write(b"GET /open/idle HTTP/1.1\r\nHost: app.test\r\n\r\n")
                    head = await reader.readuntil(b"\r\n\r\n")
                except (asyncio.IncompleteReadError, ConnectionError) as closed:
                    if not long_idle or getattr(closed, "partial", b""):
                        raise
                    return
                assert head.startswith(b"HTTP/1.1 200"), head
                await reader.readexactly(1)
                used = time.monotonic()
                self.done["idle"] += 1
                await asyncio.sleep(pause)
                if reader.at_eof() or b"connection: close" in head.lower() or self._stop.is_set():
                    return
        finally:
            writer.close()


def configure(gateway: Serving) -> None:
    config = yaml.safe_load(gateway.config_file.read_text())
    app_url = config["routes"][0]["upstream"]
    config["log"] = {"access": False}
    config["routes"] = [
        {"path": "/open", "upstream": app_url, "policy": {"require": "bypass"}},
        {"path": "/", "upstream": app_url, "policy": {"require": "one_factor"}},
    ]
    gateway.config_file.write_text(yaml.safe_dump(config))


async def test_reloads_under_load_fail_nothing(tmp_path: Path, pytestconfig: pytest.Config) -> None:
    reloads = 50 if pytestconfig.getoption("--run-long") else 10
    port = free_port()
    async with upstream() as app_url, serving(tmp_path, app_url) as gateway:
        configure(gateway)
        adding = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "gateway", "user", "add", "alice", "--password-stdin"),
            *("--config", str(gateway.config_file)),
            stdin=asyncio.subprocess.PIPE,
        )
        await adding.communicate(PASSWORD.encode())
        file = tmp_path / "nginx.conf"
        file.write_text(NGINX.format(port=port, gateway=gateway.port))
        await reload(gateway)
        async with (
            process([*command("nginx", file), "-p", str(tmp_path)], port, tmp_path),
            Traffic(gateway.url, f"http://127.0.0.1:{port}") as traffic,
        ):
            for _ in range(reloads):
                before = traffic.done["steady"]
                await reload(gateway)
                await until(lambda old=before: traffic.done["steady"] > old + 20, "requests go on")
        assert not traffic.failures, traffic.failures
        assert {kind for kind, number in traffic.done.items() if number} == {
            *("steady", "logins", "uploads", "sockets", "streams", "idle")
        }
        assert not [line for line in gateway.output if '"level": "error"' in line]
        gateway.signal(signal.SIGTERM)
        assert await gateway.ended() == 0


async def reload(gateway: Serving) -> None:
    """Returns when all old workers have left, which no client holds up.

    Their drain time-out is longer than what `until` waits, so none of them leaves because its time is up. That none
    waits for a timer after its last request either: tests/integration/test_worker_end.py.
    """
    old, done = gateway.workers(), sum("reload done" in line for line in gateway.output)
    gateway.signal(signal.SIGHUP)
    await until(lambda: sum("reload done" in line for line in gateway.output) > done, "reload done")
    await until(lambda: not old & gateway.workers(), "the old workers have left")
