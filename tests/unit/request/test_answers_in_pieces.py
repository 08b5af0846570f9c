"""An answer in several pieces is read whole, whoever asks: a range of breached passwords, keys, documents."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web
from aiohttp.test_utils import TestServer

from gateway.authn.federation.http_client import ProviderHttp
from gateway.config.schema import Breached
from gateway.directory.breached_passwords import BreachedPasswords
from gateway.oidc.client_documents import fetched
from tests.security.test_breached_passwords import LEAKED, digest


@asynccontextmanager
async def in_pieces(first: bytes, rest: bytes, kind: str) -> AsyncIterator[str]:
    """A service whose answer goes on only after its beginning was sent, and read."""

    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": kind})
        await response.prepare(request)
        await response.write(first)
        for _ in range(20):  # turns of the loop that both ends are on
            await asyncio.sleep(0)
        await response.write(rest)
        return response

    app = web.Application()
    app.router.add_get("/{path:.*}", answer)
    async with TestServer(app, host="127.0.0.1") as server:
        yield str(server.make_url("/")).rstrip("/")


async def test_a_breached_password_is_found_in_the_last_piece() -> None:
    listed = f"{digest(LEAKED)[5:]}:17\r\n".encode()
    async with in_pieces(b"0" * 35 + b":3\r\n", listed, "text/plain") as url:
        asked = BreachedPasswords(Breached.model_validate({"api": True, "url": url, "timeout": "30s"}))
        assert await asked.seen(LEAKED)


async def test_what_a_provider_says_is_read_whole() -> None:
    async with in_pieces(b'{"keys": [', b"]}", "application/json") as url:
        provider = ProviderHttp("corp")
        try:
            assert (await provider.get(url))["keys"] == []
        finally:
            await provider.close()


async def test_a_document_of_an_app_is_read_whole() -> None:
    async with in_pieces(b'{"client_id": ', b'"x"}', "application/json") as url:
        assert json.loads(await fetched(url) or b"") == {"client_id": "x"}
