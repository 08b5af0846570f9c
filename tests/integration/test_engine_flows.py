"""With `server.engine: envoy` people get what they get without it: pages, factors, kept forms, and an end in 2 s."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from tests.doors.run import RealClock
from tests.engine_rig import behind_envoy
from tests.rig import Rig, echo
from tests.security.test_kept_posts import FORM, WHERE, confirm, give_code, kept_at, release_of, send

pytestmark = pytest.mark.xdist_group("engine")
PATIENCE = 60


async def test_a_form_whose_session_has_ended_is_kept_and_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with behind_envoy(tmp_path, monkeypatch) as rig, rig.browser() as browser:
        await rig.add_user()
        assert (await browser.get("/x")).status == 303
        await browser.sign_in()
        assert (await browser.get("/x")).status == 200
        rig.clock.advance(4000)
        page = await kept_at(await send(browser))
        assert page
        assert (await browser.password(rd=page)).status == 303
        assert (await give_code(browser, page)).headers["Location"] == page
        assert (await confirm(browser, page)).status == 307
        told = await (await send(browser, release_of(page), "text/plain")).json()
        assert (told["method"], told["path"], told["body"]) == ("POST", WHERE, FORM.decode())
        assert ["Remote-User", "alice"] in told["headers"]


async def dripping(request: web.Request) -> web.StreamResponse:
    """/events sends for as long as somebody reads."""
    if request.path != "/events":
        return await echo(request)
    answer = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await answer.prepare(request)
    while True:
        await answer.write(b"data: x\n\n")
        await asyncio.sleep(0.05)


async def test_a_session_that_is_ended_gets_no_more_of_anything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with (
        behind_envoy(tmp_path, monkeypatch, handler=dripping, clock=RealClock()) as rig,
        rig.browser() as browser,
    ):
        await rig.add_user()
        await browser.sign_in()
        assert (await browser.get("/x")).status == 200
        events = await browser.session.get(f"{rig.url}/events", headers={"Accept": "text/event-stream"})
        assert await events.content.readline() == b"data: x\n"
        await rig.gateway.stores.sessions.delete_for_user("alice")
        async with asyncio.timeout(PATIENCE):  # 2 s, but a machine may be busy
            with pytest.raises(aiohttp.ClientError):
                await events.content.read(-1)
        assert (await browser.get("/x")).status == 303


@asynccontextmanager
async def announced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, **server: Any) -> AsyncIterator[Rig]:
    routes = [{"upstream": "UPSTREAM", "policy": {"require": "bypass"}}]
    server["proxy_protocol"] = ["127.0.0.2/32"]
    async with behind_envoy(tmp_path, monkeypatch, server=server, routes=routes) as rig:
        yield rig


async def ask(rig: Rig, source: str, before: bytes = b"", **headers: str) -> tuple[int, Mapping[str, str]]:
    """Status, and the headers that the app got."""
    reader, writer = await asyncio.open_connection("127.0.0.1", rig.port, local_addr=(source, 0))
    lines = [f"Host: 127.0.0.1:{rig.port}", "Connection: close", *(f"{k}: {v}" for k, v in headers.items())]
    writer.write(before + "\r\n".join(("GET / HTTP/1.1", *lines, "", "")).encode())
    async with asyncio.timeout(PATIENCE):
        answer = await reader.read()
    writer.close()
    head, _, body = answer.partition(b"\r\n\r\n")
    status = int(head.split()[1])
    return status, dict(json.loads(body)["headers"]) if status == 200 else {}


V1 = b"PROXY TCP4 203.0.113.9 198.51.100.1 4711 443\r\n"
V2 = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x0c" + bytes((203, 0, 113, 9, 198, 51, 100, 1)) + b"\x12\x67\x01\xbb"


async def test_the_proxy_protocol_counts_from_the_named_networks_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with announced(tmp_path, monkeypatch, trusted_proxies=["127.0.0.2/32"]) as rig:
        for before in (V1, V2):
            status, told = await ask(rig, "127.0.0.2", before)
            assert (status, told["X-Forwarded-For"]) == (200, "203.0.113.9")
            # The client that it names is no trusted proxy, and can't claim to be somebody else.
            status, told = await ask(rig, "127.0.0.2", before, X_Real_IP="1.1.1.1", Forwarded="for=1.1.1.1")
            assert (status, told["X-Forwarded-For"]) == (200, "203.0.113.9")
            assert (await ask(rig, "127.0.0.1", before))[0] == 400
        assert (await ask(rig, "127.0.0.1"))[1]["X-Forwarded-For"] == "127.0.0.1"
        forged = {"X-Gateway-Hop": "http HTTP/1.1 203.0.113.9 203.0.113.9 ", "X-Forwarded-For": "1.1.1.1"}
        assert (await ask(rig, "127.0.0.1", **forged))[1]["X-Forwarded-For"] == "127.0.0.1"
        status, told = await ask(rig, "127.0.0.2", **{"X-Forwarded-For": "1.1.1.1"})
        assert told["X-Forwarded-For"] == "1.1.1.1, 127.0.0.2"
