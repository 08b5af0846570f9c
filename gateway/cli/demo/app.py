"""The app that the demo protects. It knows nothing of passwords or codes: it reads the headers it is given.

It shows what an app behind the gateway gets to see, and that WebSockets, event streams and uploads pass through.
"""

import asyncio
import base64
import hashlib
import json
import time
from collections.abc import Iterable
from contextlib import suppress
from html import escape
from importlib.resources import files

from aiohttp import web

_PAGE = files("gateway.cli.demo").joinpath("page.html").read_text("utf-8")
_SHOWN = ("remote-", "x-auth-", "x-forwarded-", "forwarded", "via", "host", "cookie")


def make_app() -> web.Application:
    """Make the app of the demonstration: a page, a clock, an event stream and an upload."""
    app = web.Application(client_max_size=0)
    app.add_routes(
        [
            web.get("/", _page),
            web.get("/clock", _clock),
            web.get("/events", _events),
            web.post("/upload", _upload),
        ]
    )
    return app


async def _page(request: web.Request) -> web.Response:
    headers = request.headers
    name = headers.get("Remote-Name") or headers.get("Remote-User") or "nobody"
    page = (
        _PAGE.replace("{{name}}", escape(name))
        .replace("{{headers}}", _rows(_received(request)))
        .replace("{{claims}}", escape(_claims(headers.get("X-Auth-Assertion", ""))))
    )
    return web.Response(text=page, content_type="text/html", headers={"Cache-Control": "no-store"})


def _received(request: web.Request) -> Iterable[tuple[str, str]]:
    return [pair for pair in request.headers.items() if pair[0].lower().startswith(_SHOWN)]


def _rows(pairs: Iterable[tuple[str, str]]) -> str:
    return "\n".join(f"<tr><th>{escape(name)}<td>{escape(value)}" for name, value in sorted(pairs))


def _claims(assertion: str) -> str:
    """The assertion's claims, only to show them. A real app checks the signature first: see /_auth/jwks.json."""
    part = assertion.partition(".")[2].partition(".")[0]
    try:
        claims = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    except ValueError:
        return "no assertion"
    return json.dumps(claims, indent=2, ensure_ascii=False)


async def _clock(request: web.Request) -> web.WebSocketResponse:
    """Sends the time each second, and whatever the page sends, back."""
    socket = web.WebSocketResponse(heartbeat=20)
    await socket.prepare(request)
    ticking = asyncio.create_task(_tick(socket))
    try:
        async for message in socket:
            await socket.send_json({"echo": str(message.data)[:200]})
    finally:
        ticking.cancel()
    return socket


async def _tick(socket: web.WebSocketResponse) -> None:
    with suppress(ConnectionError):  # the page was closed
        while not socket.closed:
            await socket.send_json({"time": _now()})
            await asyncio.sleep(1)


async def _events(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store"})
    await response.prepare(request)
    with suppress(ConnectionError):  # the page was closed
        while True:
            await response.write(f"data: {_now()}\n\n".encode())
            await asyncio.sleep(1)
    return response


async def _upload(request: web.Request) -> web.Response:
    """Reads a body piece by piece and answers what it was."""
    digest, size = hashlib.sha256(), 0
    async for chunk in request.content.iter_any():
        digest.update(chunk)
        size += len(chunk)
    return web.json_response({"bytes": size, "sha256": digest.hexdigest()})


def _now() -> str:
    return time.strftime("%H:%M:%S")
