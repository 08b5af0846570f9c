"""A local SMS vendor for `sms.backup`: keeps what it is asked and answers what a test tells it to."""

import asyncio
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

ACCOUNT, SECRET, SENDER = "acc-4711", "s3cret-value-91", "Harbour"


@dataclass(frozen=True, slots=True)
class Asked:
    """One request: form fields or parsed JSON in `body`."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: Any


@dataclass
class FakeVendor:
    """`answer` makes what each request gets: status and JSON, "hang" or "drop"."""

    answer: Callable[[Asked], tuple[int, object] | str] = lambda asked: (200, {"id": "m-1"})
    asked: list[Asked] = field(default_factory=list)
    url: str = ""

    async def __aenter__(self) -> "FakeVendor":
        self._released = asyncio.Event()
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._handle)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(self, *error: object) -> None:
        self._released.set()
        await self._runner.cleanup()

    async def _handle(self, request: web.Request) -> web.Response:
        is_form = request.content_type == "application/x-www-form-urlencoded"
        body = dict(await request.post()) if is_form else json.loads(await request.text() or "null")
        asked = Asked(request.method, request.raw_path, dict(request.headers), body)
        self.asked.append(asked)
        answer = self.answer(asked)
        if isinstance(answer, str):
            if answer == "hang":
                await self._released.wait()
            assert request.transport
            request.transport.close()
            return web.Response()
        status, content = answer
        if isinstance(content, str):
            return web.Response(status=status, text=content)
        location = {"Location": "/elsewhere"} if 300 <= status < 400 else {}
        return web.json_response(content, status=status, headers=location)


def simple(vendor: FakeVendor, **more: Any) -> dict[str, Any]:
    """A section `sms.backup` for this vendor."""
    return {
        "name": "spare",
        "url": f"{vendor.url}/send",
        "form": {"to": "{to}", "text": "{text}", "ref": "{reference}"},
        "id_path": "id",
        "allow_private": True,
        "timeout": "60s",
        "retries": 0,
        **more,
    }
