"""What comes behind a body in chunks (trailers, RFC 9110 §6.5) reaches no app: some read it as headers.

No rule for headers sees these fields. aiohttp gives them to the next request on the connection, which is another
user's when an engine pools connections; uvicorn adds them to the headers of the request that they end.
"""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.integration.engines import ENGINES, behind
from tests.rig import running_gateway
from tests.security.raw import exchange, status_of
from tests.waiting import PATIENCE

BODY = b"1\r\na\r\n0\r\nRemote-User: root\r\nCookie: a=b\r\n\r\n"


@asynccontextmanager
async def listening_app() -> AsyncIterator[tuple[list[bytes], str]]:
    """An app that notes every byte; whatever it is asked, it says yes and reads on."""
    seen: list[bytes] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async with asyncio.timeout(PATIENCE):
            data = b""
            while chunk := await reader.read(65536):
                seen.append(chunk)
                data += chunk
                head, end, body = data.partition(b"\r\n\r\n")
                chunked = b"chunked" in head.lower()
                if end and (not chunked or re.search(rb"(^|\n)0\r\n(.*\r\n)*\r\n$", body)):
                    data = b""
                    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield seen, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        server.close()


@pytest.mark.parametrize("engine", ["", *ENGINES, "caddy-2.11"])
async def test_nothing_behind_a_body_reaches_the_app(tmp_path: Path, engine: str) -> None:
    async with listening_app() as (seen, app):
        routes = [{"path": "/", "upstream": app, "policy": {"require": "bypass"}}]
        door = behind(engine, tmp_path, routes=routes) if engine else running_gateway(tmp_path, routes=routes)
        async with door as rig:
            for method in ("POST", "GET", "HEAD", "DELETE", "OPTIONS", "PROPFIND"):
                for announced in ("Trailer: Remote-User, Cookie\r\n", ""):
                    seen.clear()
                    head = f"{method} /x HTTP/1.1\r\nHost: 127.0.0.1:{rig.port}\r\n{announced}"
                    head += "Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
                    answer = await exchange(rig.port, head.encode() + BODY)
                    case = (method, announced, answer[:200])
                    assert b"root" not in b"".join(seen), case
                    assert status_of(answer) in (200, 400, 411), case
                    if method == "POST":
                        assert status_of(answer) == 200, case
                        assert any(part.startswith(b"POST /x") for part in seen), case
