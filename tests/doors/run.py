"""The corpus at every door: two gateways with one set of users and sessions, one of them behind all engines."""

import asyncio
import copy
from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from gateway.authn.api_credentials import token_digest
from gateway.authn.shown_credentials import PREFIX
from gateway.cli.export import export_files
from gateway.engines.plan import plan
from gateway.keyring import KeyRing
from gateway.stores.protocols.tokens import ApiToken
from gateway.stores.sql.engine import open_engine
from gateway.stores.sql.tokens import SqlTokens
from tests.doors.app import App, Received, running_app
from tests.doors.client import Client, Got
from tests.doors.requests import HOST, ROUTES, Request
from tests.engine_rig import behind_envoy, carried_so_far
from tests.integration.engines import RealClock, command, process
from tests.rig import PASSWORD, Rig, running_gateway
from tests.waiting import free_port

OURS = "ours"
INSIDE = "inside"
"""Envoy as `server.engine: envoy` starts it."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the app received, once for each time it was asked, and what the client got."""

    received: tuple[Received, ...]
    got: Got


async def outcomes(
    folder: Path, engines: tuple[str, ...], requests: list[Request]
) -> dict[str, list[Outcome]]:
    """By door: the outcome of each request, in their order."""
    async with AsyncExitStack() as stack:
        app = await stack.enter_async_context(running_app())
        direct = await stack.enter_async_context(_gateway(folder, app, []))
        ports = {OURS: direct.port}
        for engine in engines:
            if engine == INSIDE:
                ports[engine] = (await stack.enter_async_context(_inside(folder, app))).port
                continue
            behind = await stack.enter_async_context(_gateway(folder, app, ["127.0.0.1/32"]))
            ports[engine] = await stack.enter_async_context(_engine(engine, folder, behind))
        cookies = await _sign_in(direct)
        secrets = {
            "$TOKEN": await new_token(direct, routes=("machines",), methods=("GET",)),
            "$BASIC": b64encode(f"alice:{PASSWORD}".encode()).decode(),
        }
        asked = {}
        for door, port in ports.items():
            asked[door] = await _ask_all(app, door, port, cookies, secrets, requests)
        return asked


@asynccontextmanager
async def _inside(folder: Path, app: App) -> AsyncIterator[Rig]:
    server = {"public_url": "http://app.test"}
    with pytest.MonkeyPatch.context() as patch:
        async with behind_envoy(folder, patch, clock=RealClock(), server=server, routes=_routes(app)) as rig:
            yield rig
            assert carried_so_far(rig) > 100, (
                "both ways are compared: Envoy's own, and that through the workers"
            )


def _routes(app: App) -> list[dict[str, Any]]:
    return [{**copy.deepcopy(route), "upstream": app.url + route.get("upstream", "")} for route in ROUTES]


@asynccontextmanager
async def _gateway(folder: Path, app: App, trusted: list[str]) -> AsyncIterator[Rig]:
    server: dict[str, Any] = {"public_url": "http://app.test", "trusted_proxies": trusted}
    async with running_gateway(folder, clock=RealClock(), server=server, routes=_routes(app)) as rig:
        yield rig


@asynccontextmanager
async def _engine(engine: str, folder: Path, rig: Rig) -> AsyncIterator[int]:
    port, state = free_port(), folder / engine
    state.mkdir()
    planned = plan(rig.config, listen=f"127.0.0.1:{port}", state=state)
    exported = export_files(engine.partition("-")[0], planned, rig.config)
    for name, content in exported.items():
        (state / name).write_text(content)
    async with process(command(engine, state / next(iter(exported))), port, state):
        yield port


async def _sign_in(rig: Rig) -> dict[str, str]:
    """Cookies of alice, of bare who has neither name nor mail nor groups, and of half, who gave a password only."""
    await rig.add_user("alice", email="alice@app.test", groups=("ops", "dev team"))
    await rig.add_user("bare", name="")
    await rig.add_user("half")
    cookies = {}
    for who in ("alice", "bare", "half"):
        async with replace(rig, url=f"http://{HOST}:{rig.port}").browser() as browser:
            await browser.session.close()
            browser.session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(resolver=_Loopback()),
                cookie_jar=aiohttp.CookieJar(unsafe=True),
            )
            await (browser.password(who, rd="/one/x") if who == "half" else browser.sign_in(who))
            cookies[who] = f"auth_session={browser.cookie()}"
    return cookies


class _Loopback(aiohttp.abc.AbstractResolver):
    async def resolve(self, host: str, port: int = 0, family: int = 0) -> list[Any]:
        return [{"hostname": host, "host": "127.0.0.1", "port": port, "family": 2, "proto": 0, "flags": 0}]

    async def close(self) -> None:
        pass


async def _ask_all(
    app: App,
    door: str,
    port: int,
    cookies: dict[str, str],
    secrets: dict[str, str],
    requests: list[Request],
) -> list[Outcome]:
    if door == "haproxy":
        cookies = {who: f"{cookie}; {await _pass(port, cookie)}" for who, cookie in cookies.items()}
    client = Client(port, door, cookies, secrets)
    found = []
    for number, request in enumerate(requests):
        got = await client.ask(number, request)
        received = next(filter(None, map(app.received.get, client.names(number))), ())
        found.append(Outcome(tuple(received), got))
    await client.close()
    await asyncio.sleep(0)
    return found


async def new_token(rig: Rig, *, routes: tuple[str, ...], methods: tuple[str, ...]) -> str:
    """A token for these routes and methods, as `auth-gateway token add` makes it."""
    secret, now = "s" * 43, rig.clock()
    keys = KeyRing(Path(rig.config.session.keys_file), rig.clock)
    digest = token_digest(keys.derive(b"tokens"), secret)
    token = ApiToken("corpus", "corpus", digest, (), routes, methods, now, 0.0)
    engine = open_engine(rig.config.storage.url)
    await SqlTokens(engine).add(token)
    await engine.dispose()
    return f"{PREFIX}corpus_{secret}"


async def _pass(port: int, cookie: str) -> str:
    """The pass that a browser would have fetched, so that HAProxy answers by itself where it can."""
    client = Client(port, "pass", {"": cookie}, {})
    got = await client.ask(0, Request("pass", "/_auth/pass?rd=/two/x"))
    await client.close()
    return got.values("set-cookie")[0].partition(";")[0]
