"""What a session holds open ends with it: event streams, downloads; and what its WebSockets send keeps it alive."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed
from yarl import URL

from gateway.directory.base import existing
from tests.rig import Browser, Rig, running_gateway
from tests.waiting import PATIENCE, until

ROUTES: list[dict[str, Any]] = [
    {"path": "/finish", "upstream": "UPSTREAM", "finish_downloads": True},
    {"path": "/ops", "upstream": "UPSTREAM", "policy": {"groups": ["ops"]}},
    {"path": "/quiet", "upstream": "UPSTREAM", "websocket_activity": False},
    {"path": "/", "upstream": "UPSTREAM"},
]


class App:
    """/…/sse and /…/file begin and then wait; /…/late does not even begin; /…/ws echoes."""

    def __init__(self) -> None:
        self.released = asyncio.Event()

    async def answer(self, request: web.Request) -> web.StreamResponse:
        if request.path.endswith("/ws"):
            socket = web.WebSocketResponse()
            await socket.prepare(request)
            async for message in socket:
                await socket.send_str(message.data)
            return socket
        if request.path.endswith("/late"):
            await self.released.wait()
        kind = "text/event-stream" if request.path.endswith("/sse") else "application/octet-stream"
        response = web.StreamResponse(headers={"Content-Type": kind})
        await response.prepare(request)
        await response.write(b"begun")
        await self.released.wait()
        await response.write(b" and complete")
        return response


@pytest.fixture
async def app() -> App:
    return App()


@pytest.fixture(params=[True, False], ids=["fast", "ordinary"])
async def rig(request: pytest.FixtureRequest, tmp_path: Path, app: App) -> AsyncIterator[Rig]:
    server = {"fast_path": request.param}
    async with running_gateway(tmp_path, handler=app.answer, routes=ROUTES, server=server) as rig:
        await rig.add_user(groups=("ops",))
        yield rig
        app.released.set()


@asynccontextmanager
async def begun(rig: Rig, path: str) -> AsyncIterator[tuple[Browser, aiohttp.ClientResponse]]:
    async with rig.browser() as browser:
        await browser.sign_in()
        async with browser.session.get(rig.url + path) as response:
            assert await response.content.readexactly(5) == b"begun"
            yield browser, response


async def revoke(rig: Rig, browser: Browser) -> None:
    await rig.gateway.stores.sessions.delete_for_user("alice")


async def sign_out(rig: Rig, browser: Browser) -> None:
    async with rig.browser() as other:
        other.session.cookie_jar.update_cookies(browser.session.cookie_jar.filter_cookies(URL(rig.url)))
        token = await other.token("/_auth/logout")
        assert (await other.post("/_auth/logout", {"csrf_token": token})).status in (200, 303)


async def disable(rig: Rig, browser: Browser) -> None:
    user = await existing(rig.directory, "alice")
    await rig.directory.replace(replace(user, disabled=True))


Act = Callable[[Rig, Browser], Awaitable[None]]


@pytest.mark.parametrize("act", [revoke, sign_out, disable])
@pytest.mark.parametrize("path", ["/sse", "/file", "/finish/sse"])
async def test_an_answer_ends_with_the_session_that_asked(rig: Rig, path: str, act: Act) -> None:
    async with begun(rig, path) as (browser, response):
        await act(rig, browser)
        with pytest.raises(aiohttp.ClientError):
            async with asyncio.timeout(PATIENCE):
                await response.read()


async def test_a_download_goes_on_where_the_route_says_so(rig: Rig, app: App) -> None:
    async with begun(rig, "/finish/file") as (browser, response):
        await revoke(rig, browser)
        app.released.set()
        assert await response.read() == b" and complete"


async def test_an_answer_goes_on_when_its_session_merely_expires(rig: Rig, app: App) -> None:
    async with begun(rig, "/file") as (_, response):
        rig.clock.advance(4000)
        await rig.gateway._composed.tunnel_watch.look()
        app.released.set()
        assert await response.read() == b" and complete"


async def test_an_answer_ends_when_policy_no_longer_lets_its_user_in(rig: Rig) -> None:
    async with begun(rig, "/ops/file") as (_, response):
        user = await existing(rig.directory, "alice")
        await rig.directory.replace(replace(user, groups=()))
        with pytest.raises(aiohttp.ClientError):
            async with asyncio.timeout(PATIENCE):
                await response.read()


async def test_a_request_that_waits_for_its_app_is_refused_when_its_session_ends(rig: Rig) -> None:
    async with rig.browser() as browser:
        await browser.sign_in()
        waiting = asyncio.create_task(browser.session.post(rig.url + "/late", data=b"x"))
        async with asyncio.timeout(PATIENCE):
            await until(rig.gateway.proxy.answers.admitted)
            await revoke(rig, browser)
            async with await waiting as response:
                assert response.status == 403
    assert not rig.gateway.proxy.answers.admitted()


@pytest.mark.parametrize(("path", "alive"), [("/ws", True), ("/quiet/ws", False)])
async def test_what_a_client_sends_over_a_websocket_keeps_its_session(
    rig: Rig, path: str, alive: bool
) -> None:
    watch = rig.gateway._composed.tunnel_watch
    async with rig.browser() as browser:
        await browser.sign_in()
        cookie = {"Cookie": f"auth_session={browser.cookie()}"}
        async with connect(f"ws://127.0.0.1:{rig.port}{path}", additional_headers=cookie) as ws:
            for _ in range(3):  # together longer than idle_timeout
                rig.clock.advance(2000)
                if ws.close_code is None:
                    with suppress(ConnectionClosed):  # the second time, where that is no use of the session
                        await ws.send("typing")
                        assert await ws.recv() == "typing"
                await watch.look()
        assert ((await browser.get("/_auth/account")).status == 200) == alive


async def test_pings_and_pongs_keep_no_session(rig: Rig) -> None:
    watch = rig.gateway._composed.tunnel_watch
    async with rig.browser() as browser:
        await browser.sign_in()
        cookie = {"Cookie": f"auth_session={browser.cookie()}"}
        async with connect(f"ws://127.0.0.1:{rig.port}/ws", additional_headers=cookie) as ws:
            for _ in range(2):
                rig.clock.advance(2000)
                await (await ws.ping())
                await watch.look()
            async with asyncio.timeout(PATIENCE):
                await ws.wait_closed()
            assert ws.close_code == 4401
