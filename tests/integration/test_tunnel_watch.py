"""WebSockets end with the session that opened them, however it ends, and when policy no longer lets it in."""

import asyncio
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from tests.bound_browser import BoundBrowser
from tests.rig import Browser, Rig, running_gateway
from tests.waiting import PATIENCE, until

ROUTES: list[dict[str, Any]] = [
    {"path": "/fresh", "upstream": "UPSTREAM", "policy": {"max_age": "10m"}},
    {"path": "/ops", "upstream": "UPSTREAM", "policy": {"groups": ["ops"]}},
    {"path": "/", "upstream": "UPSTREAM"},
]


async def socket(request: web.Request) -> web.StreamResponse:
    response = web.WebSocketResponse()
    await response.prepare(request)
    async for message in response:
        await response.send_str(message.data)
    return response


async def opened(rig: Rig, browser: Browser, path: str) -> ClientConnection:
    cookie = {"Cookie": f"auth_session={browser.cookie()}"}
    ws = await connect(f"ws://127.0.0.1:{rig.port}{path}", additional_headers=cookie)
    await ws.send("hello")
    assert await ws.recv() == "hello"
    return ws


async def closing(ws: ClientConnection) -> tuple[int | None, str | None]:
    async with asyncio.timeout(PATIENCE):
        with suppress(ConnectionClosed):
            await ws.recv()
    return ws.close_code, ws.close_reason


@pytest.mark.parametrize("uses", [0, 14], ids=["idle", "absolute"])
async def test_expiry_closes_the_websockets_of_a_session(tmp_path: Path, uses: int) -> None:
    async with running_gateway(tmp_path, handler=socket, routes=ROUTES) as rig, rig.browser() as browser:
        await rig.add_user()
        await browser.sign_in()
        ws = await opened(rig, browser, "/ws")
        watch = rig.gateway._composed.tunnel_watch
        for _ in range(uses):  # used again and again, a session reaches its absolute end
            rig.clock.advance(3000)
            await browser.get("/")
            await rig.gateway.sessions._behind.finish()
            await watch.look()
            await ws.send("still open")
            assert await ws.recv() == "still open"
        rig.clock.advance(1300 if uses else 4000)
        await watch.look()
        assert await closing(ws) == (4401, "session ended")


async def test_policy_that_no_longer_holds_closes_only_what_it_refuses(tmp_path: Path) -> None:
    async with running_gateway(tmp_path, handler=socket, routes=ROUTES) as rig, rig.browser() as browser:
        await rig.add_user(groups=("ops",))
        await browser.sign_in()
        fresh, ops, plain = [await opened(rig, browser, path) for path in ("/fresh/ws", "/ops/ws", "/ws")]
        rig.clock.advance(700)
        await rig.gateway._composed.tunnel_watch.look()
        assert await closing(fresh) == (4403, "no longer allowed")
        stored = await rig.directory.get("alice")
        assert stored is not None
        await rig.directory.replace(replace(stored, groups=("dev",)))
        assert await closing(ops) == (4403, "no longer allowed")
        await plain.send("still open")
        assert await plain.recv() == "still open"
        await rig.directory.replace(replace(stored, disabled=True))
        assert await closing(plain) == (4401, "session ended")


async def test_a_session_ended_elsewhere_closes_its_websockets(tmp_path: Path) -> None:
    async with running_gateway(tmp_path, handler=socket, routes=ROUTES) as rig, rig.browser() as browser:
        await rig.add_user()
        await browser.sign_in()
        ws = await opened(rig, browser, "/ws")
        await rig.gateway.stores.sessions.delete_for_user("alice")  # as `auth-gateway session revoke` does
        assert await closing(ws) == (4401, "session ended")


async def test_a_key_that_is_registered_ends_nothing_that_its_session_holds_open(tmp_path: Path) -> None:
    config: dict[str, Any] = {"session": {"bind": {"device": True}}, "routes": ROUTES}
    async with running_gateway(tmp_path, handler=socket, **config) as rig, rig.browser() as browser:
        await rig.add_user()
        await browser.password()
        last = await browser.code()
        ws = await opened(rig, browser, "/ws")
        (session,) = await rig.gateway.stores.sessions.list("alice")
        heard: list[str] = []
        rig.gateway.sessions.on_change.append(lambda change: heard.append(change.subject))
        await BoundBrowser(rig, {"auth_session": browser.cookie()}).register(last)
        await until(lambda: session.sid in heard, "this worker hears of the key")
        await ws.send("still open")
        assert await ws.recv() == "still open"
        await ws.close()
