"""Upstreams: addresses, TLS, failover, retries and health checks."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from gateway.config.schema import HealthCheck, Route, Timeouts
from gateway.errors import UpstreamTimeout, UpstreamUnreachable
from gateway.proxy.upstreams import UpstreamAddress
from tests.proxy_rig import fronting, get, hello, listening, scripted, serving, status
from tests.waiting import until

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


async def dead_url() -> str:
    """An address where nobody listens."""
    async with listening(asyncio.Protocol) as port:
        return f"http://127.0.0.1:{port}"


@pytest.mark.parametrize(
    ("url", "parsed"),
    [
        ("http://app", UpstreamAddress("http://app", False, "app", 80)),
        (
            "https://app:8443/base/",
            UpstreamAddress("https://app:8443/base/", True, "app", 8443, base="/base"),
        ),
        ("http://[::1]:9000", UpstreamAddress("http://[::1]:9000", False, "::1", 9000)),
        (
            "unix:/run/app.sock",
            UpstreamAddress("unix:/run/app.sock", False, "localhost", 80, unix_path="/run/app.sock"),
        ),
        (
            "unix:///run/app.sock",
            UpstreamAddress("unix:///run/app.sock", False, "localhost", 80, unix_path="/run/app.sock"),
        ),
    ],
)
def test_upstream_urls_are_understood(url: str, parsed: UpstreamAddress) -> None:
    assert UpstreamAddress.parse(url) == parsed


@pytest.mark.parametrize("url", ["ftp://app", "app:80", "http://", ""])
def test_other_urls_are_not(url: str) -> None:
    with pytest.raises(ValueError):
        UpstreamAddress.parse(url)


async def test_a_unix_socket_is_an_upstream(tmp_path: Path) -> None:
    path = str(tmp_path / "app.sock")
    server = await asyncio.get_running_loop().create_unix_server(web.Server(hello), path)
    async with fronting(Route(upstream=f"unix:{path}", preserve_host=False)) as front:
        assert (await front.exchange(get())).endswith(b"hello localhost")
    server.close()


async def test_the_host_is_the_clients_or_the_upstreams_own() -> None:
    async with serving(hello) as url:
        async with fronting(Route(upstream=url)) as front:
            assert f"hello app.example.com:{front.port}".encode() in await front.exchange(get())
        async with fronting(Route(upstream=url, preserve_host=False)) as front:
            assert f"hello {url.removeprefix('http://')}".encode() in await front.exchange(get())


async def test_upstreams_take_turns() -> None:
    async with (
        serving(hello) as one,
        serving(hello) as two,
        fronting(Route(upstream=(one, two), preserve_host=False)) as front,
    ):
        answers = [(await front.exchange(get())).rpartition(b"hello ")[2] for _ in range(4)]
    assert answers[0] != answers[1]
    assert answers[:2] == answers[2:]


async def test_an_unreachable_upstream_is_passed_over_for_any_method_and_its_body() -> None:
    async def echo(request: web.BaseRequest) -> web.Response:
        return web.Response(body=await request.read())

    async with serving(echo) as alive, fronting(Route(upstream=(await dead_url(), alive))) as front:
        request = get("/", "Content-Length: 4", method="POST") + b"body"
        assert (await front.exchange(request)).endswith(b"body")
        assert [one.healthy for one in front.proxy.health()] == [False, True]
        assert "Connect" in front.proxy.health()[0].error


async def test_the_operator_is_told_once_that_an_upstream_fails_and_that_it_is_back(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO", "gateway.upstream")
    dead = await dead_url()
    async with serving(hello) as alive:
        route = Route(upstream=(dead, alive))
        async with fronting(route) as front:
            for _ in range(4):
                assert await status(front, get()) == 200
            (upstream,) = [one for one in front.proxy.site_of(route).pool.upstreams if one.error]
            for _ in range(2):
                upstream.answered()
    told = [record.getMessage() for record in caplog.records if record.name == "gateway.upstream"]
    assert [line.partition(": ")[0] for line in told] == ["upstream fails", "upstream answers again"]
    assert all(dead in line for line in told)


async def test_no_reachable_upstream_is_502() -> None:
    async with fronting(Route(upstream=(await dead_url(), await dead_url()))) as front:
        assert await status(front, get()) == 502
        assert isinstance(await front.outcome(), UpstreamUnreachable)


@asynccontextmanager
async def failing_once() -> AsyncIterator[tuple[str, list[bytes]]]:
    """An upstream that hangs up on its first request and answers all others."""
    seen: list[bytes] = []

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(await reader.readuntil(b"\r\n\r\n"))
        if len(seen) > 1:
            writer.write(OK)

    async with scripted(script) as url:
        yield url, seen


@pytest.mark.parametrize("method", ["GET", "DELETE", "POST", "PATCH"])
async def test_an_app_that_hangs_up_on_a_request_is_not_asked_again(method: str) -> None:
    """It has the request, and may have done what it asks for; so might the next one."""
    async with failing_once() as (url, seen), fronting(Route(upstream=(url, url))) as front:
        assert await status(front, get(method=method)) == 502
        assert len(seen) == 1


async def test_a_request_whose_body_was_taken_is_not_repeated() -> None:
    taken = 0

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal taken
        await reader.readuntil(b"\r\n\r\n")
        await reader.readexactly(4)
        taken += 1

    async with scripted(script) as url, fronting(Route(upstream=(url, url))) as front:
        assert await status(front, get("/", "Content-Length: 4", method="PUT") + b"body") == 502
    assert taken == 1


async def test_a_connection_that_was_closed_while_idle_is_replaced() -> None:
    connections = 0

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        await reader.readuntil(b"\r\n\r\n")
        writer.write(OK)
        await reader.readuntil(b"\r\n\r\n")  # and hang up on the second request

    async with scripted(script) as url, fronting(Route(upstream=url)) as front:
        assert [await status(front, get()) for _ in range(3)] == [200, 200, 200]
    assert connections == 3


async def test_connections_are_kept_for_the_next_request() -> None:
    connections = 0

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        while await reader.readuntil(b"\r\n\r\n"):
            writer.write(OK)

    async with scripted(script) as url, fronting(Route(upstream=url)) as front:
        for method in ("GET", "POST", "GET"):
            assert await status(front, get(method=method)) == 200
    assert connections == 1


async def test_an_answer_nobody_asked_for_is_never_given_to_the_next_request() -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(OK + b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison")
        await reader.read()

    async with scripted(script) as url, fronting(Route(upstream=url)) as front:
        for _ in range(3):
            received = await front.exchange(get())
            assert received.endswith(b"ok")


async def test_a_connect_that_takes_too_long_is_504() -> None:
    async with listening(asyncio.Protocol) as port:
        # TLS to a server that never says a word: the handshake is part of connecting.
        route = Route(upstream=f"https://127.0.0.1:{port}", timeouts=Timeouts(connect=0.05))  # short
        async with fronting(route) as front:
            assert await status(front, get()) == 504
            assert isinstance(await front.outcome(), UpstreamTimeout)


async def test_health_checks_take_an_upstream_out_and_bring_it_back() -> None:
    well = True

    async def app(request: web.BaseRequest) -> web.Response:
        return web.Response(status=200 if well or request.path != "/ready" else 503)

    check = HealthCheck(path="/ready", interval=0.02, fall=2)
    async with serving(app) as url, fronting(Route(name="app", upstream=url, health=check)) as front:
        await until(lambda: front.proxy.health()[0].healthy)
        well = False
        await until(lambda: not front.proxy.health()[0].healthy)
        (health,) = front.proxy.health()
        assert (health.route, health.url, "503" in health.error) == ("app", url, True)
        well = True
        await until(lambda: front.proxy.health()[0].healthy)


async def test_many_requests_at_once_each_get_their_own_answer() -> None:
    async def app(request: web.BaseRequest) -> web.Response:
        await asyncio.sleep(0.01)
        return web.Response(text=request.raw_path)

    async with serving(app) as url, fronting(Route(upstream=url)) as front, aiohttp.ClientSession() as client:

        async def ask(number: int) -> bool:
            async with client.get(f"{front.url}/{number}") as answer:
                return await answer.text() == f"/{number}"

        assert all(await asyncio.gather(*map(ask, range(200))))
