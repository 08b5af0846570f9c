"""Where an app fails that Envoy carries (`server.engine: envoy`): the same status and page as from our own proxy."""

import asyncio
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.doors.run import RealClock
from tests.engine_rig import behind_envoy
from tests.rig import HTML, Browser, Rig, listening_socket, running_gateway
from tests.security.test_engine_trailers import http2_app
from tests.waiting import PATIENCE, free_port

pytestmark = pytest.mark.xdist_group("engine")
PROGRAM = {"Accept": "application/json"}
Asked = tuple[str, str, Mapping[str, str]]
ASKED: list[Asked] = [
    *(("GET", path, HTML) for path in ("/down/x", "/odd/silent", "/odd/nonsense")),
    ("GET", "/down/x", PROGRAM),
    ("GET", "/down/x", {**HTML, "Accept-Language": "de"}),
    ("GET", "/down/x", {**HTML, "Sec-Fetch-Mode": "cors"}),
    ("HEAD", "/down/x", HTML),
    ("POST", "/down/x", HTML),
    ("PUT", "/down/x", HTML),
]


@asynccontextmanager
async def odd_app() -> AsyncIterator[str]:
    """Closes without an answer, answers what is no HTTP, or claims what only Envoy may say; yields its URL."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError):
            head = await reader.readuntil(b"\r\n\r\n")
            path = head.split(b" ")[1]
            if path.endswith(b"/nonsense"):
                writer.write(b"This is no HTTP.\r\n\r\n")
            elif path.endswith(b"/claims"):
                claim = b"X-Gateway-M-Failed: UF 502 GET\r\nX-Gateway-Wire: refused\r\n"
                writer.write(
                    b"HTTP/1.1 503 Busy\r\nRetry-After: 7\r\n" + claim + b"Content-Length: 4\r\n\r\nbusy"
                )
            elif path.endswith(b"/half"):
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
            elif path.endswith(b"/never"):
                await reader.read()
            await writer.drain()
        writer.close()

    sock = listening_socket()
    server = await asyncio.start_server(serve, sock=sock)
    try:
        yield f"http://127.0.0.1:{sock.getsockname()[1]}"
    finally:
        server.close()


def routes(odd: str) -> list[dict[str, Any]]:
    down, public = f"http://127.0.0.1:{free_port()}", {"policy": {"require": "bypass"}}
    return [
        {"path": "/down", "upstream": down, **public},
        {"path": "/odd", "upstream": odd, **public},
        {"path": "/slow", "upstream": odd, "timeouts": {"idle": "1s"}, **public},  # short: nothing comes
        {"path": "/", "upstream": "UPSTREAM"},
    ]


Found = tuple[int, dict[str, str], str]


async def failing(rig: Rig, which: Sequence[Asked] = ASKED) -> list[Found]:
    """Status, headers and page of each; what names the request or the moment is left out."""
    async with rig.browser() as browser:
        return [await _ask(browser, *asked) for asked in which]


async def _ask(browser: Browser, method: str, path: str, headers: Mapping[str, str]) -> Found:
    async with browser.session.request(method, browser.rig.url + path, headers=headers) as answer:
        said = {name.lower(): value for name, value in answer.headers.items()}
        id_, text = said.pop("x-request-id", "NAMELESS"), await answer.text()
        assert method == "HEAD" or id_ in text, (path, text)
        said.pop("date")
        return answer.status, said, re.sub(r'name="csrf_token" value="[^"]*"', "", text.replace(id_, "ID"))


async def test_an_app_that_fails_behind_envoy_is_told_of_as_by_our_own_proxy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with odd_app() as odd:
        over = {"routes": routes(odd), "branding": {"languages": ["en", "de"], "name": "Our House"}}
        (tmp_path / "ours").mkdir()
        async with running_gateway(tmp_path / "ours", clock=RealClock(), **over) as rig:
            expected = await failing(rig)
        (tmp_path / "inside").mkdir()
        async with behind_envoy(tmp_path / "inside", monkeypatch, clock=RealClock(), **over) as rig:
            found = await failing(rig)
            by_envoy = [record for record in caplog.records if record.name == "gateway.engine"]
            assert len(by_envoy) == len(ASKED), "Envoy carries them all, and a worker logs why"
            for asked, ours, theirs in zip(ASKED, expected, found, strict=True):
                assert theirs == ours, asked
            assert {status for status, _, _ in found} == {502}
            assert "Our House" in found[0][2]

            async with rig.browser() as browser:
                answer = await browser.get("/slow/never")  # a deadline that Envoy itself keeps
                assert (answer.status, "too long" in await answer.text()) == (504, True)
                claims = await browser.get("/odd/claims")
                assert (claims.status, await claims.text(), claims.headers["Retry-After"]) == (
                    503,
                    "busy",
                    "7",
                )
                assert not [name for name in claims.headers if name.lower().startswith("x-gateway")]
                with pytest.raises(aiohttp.ClientPayloadError):
                    await browser.get("/odd/half")


async def test_an_app_that_speaks_http_2_and_is_down_is_told_of_as_any_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Envoy asks it for a worker, which makes the page."""
    port, methods = free_port(), ("GET", "HEAD", "POST", "PUT")
    which: list[Asked] = [(method, "/down/x", accept) for method in methods for accept in (HTML, PROGRAM)]
    found: dict[str, list[Found]] = {}
    for scheme in ("http", "h2c"):
        route = {"upstream": f"{scheme}://127.0.0.1:{port}", "policy": {"require": "bypass"}}
        (tmp_path / scheme).mkdir()
        door = (
            running_gateway(tmp_path / scheme, routes=[route])
            if scheme == "http"
            else behind_envoy(tmp_path / scheme, monkeypatch, routes=[route])
        )
        async with door as rig:
            found[scheme] = await failing(rig, which)
    assert found["h2c"] == found["http"]
    assert {status for status, _, _ in found["h2c"]} == {502}


async def test_of_two_apps_that_speak_http_2_the_one_that_is_up_answers_and_a_claim_of_the_app_is_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with http2_app(("x-gateway-m-failed", "UF h2c://x")) as (url, got):
        routes = [{"upstream": [f"h2c://127.0.0.1:{free_port()}", url], "policy": {"require": "bypass"}}]
        async with behind_envoy(tmp_path, monkeypatch, routes=routes) as rig, rig.browser() as browser:
            for _ in range(4):
                assert (await browser.get("/x")).status == 200
            assert (await browser.session.post(f"{rig.url}/x", data=b"a")).status in (200, 502)
        assert len(got) >= 8


async def stalled(rig: Rig) -> tuple[str, str]:
    """The answer to an upload that stops, and its body; what names the request is left out."""
    reader, writer = await asyncio.open_connection("127.0.0.1", rig.port)
    head = f"POST /slow/never HTTP/1.1\r\nHost: 127.0.0.1:{rig.port}\r\nAccept: text/html\r\n"
    writer.write(f"{head}Content-Length: 9\r\n\r\nhalf".encode())
    async with asyncio.timeout(PATIENCE):
        start, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().rstrip().split("\r\n")
        fields = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
        page = (await reader.readexactly(int(fields["content-length"]))).decode()
    writer.close()
    return start, page.replace(fields["x-request-id"], "ID")


async def test_an_upload_that_stops_is_waited_for_as_long_as_its_route_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with odd_app() as odd:
        found = []
        for door in (running_gateway, behind_envoy):
            folder = tmp_path / door.__name__
            folder.mkdir()
            more = {"monkeypatch": monkeypatch} if door is behind_envoy else {}
            async with door(folder, routes=routes(odd), clock=RealClock(), **more) as rig:
                found.append(await stalled(rig))
    assert found[0] == found[1]
    assert found[0][0] == "HTTP/1.1 408 Request Timeout"
    assert "The upload stopped for too long." in found[0][1]
