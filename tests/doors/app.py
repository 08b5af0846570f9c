"""The app behind every door: it notes each request byte by byte as it came, and answers in every form that HTTP has."""

import asyncio
from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from hashlib import sha1

from tests.rig import listening_socket

ID = "x-corpus"
_GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455 §1.3


@dataclass(frozen=True, slots=True)
class Received:
    method: str
    target: str
    headers: tuple[tuple[str, str], ...]
    body: bytes


@dataclass
class App:
    url: str = ""
    received: dict[str, list[Received]] = field(default_factory=dict)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError):
            while await self._one(reader, writer):
                await writer.drain()
        writer.close()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        first, *lines = head.rstrip("\r\n").split("\r\n")
        method, target, _ = first.split(" ", 2)
        pairs = tuple(
            (name.lower(), value.strip()) for name, _, value in (line.partition(":") for line in lines)
        )
        named = dict(pairs)
        if named.get("expect"):
            writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        body = await read_body(reader, named)
        self.received.setdefault(named.get(ID, ""), []).append(Received(method, target, pairs, body))
        switches = named.get("upgrade", "")
        accept = b64encode(sha1((named.get("sec-websocket-key", "") + _GUID).encode()).digest()).decode()
        if target.endswith("/nonsense"):
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: nonsense\r\n\r\n")
            return False
        writer.write(answer(method, target, switches, accept))
        if switches and method != "HEAD":
            await writer.drain()
            writer.write(await reader.read(100))
            await writer.drain()
            await reader.read()  # a tunnel that closes at once may lose what it carries
            return False
        return True


async def read_body(reader: asyncio.StreamReader, headers: dict[str, str]) -> bytes:
    """A message's body by Content-Length or chunked coding."""
    if "chunked" in headers.get("transfer-encoding", ""):
        body = b""
        while size := int((await reader.readline()).split(b";")[0], 16):
            body += await reader.readexactly(size)
            await reader.readline()
        while (await reader.readline()).strip():
            pass
        return body
    return await reader.readexactly(int(headers.get("content-length", 0)))


def answer(method: str, target: str, upgrade: str, accept: str) -> bytes:
    if upgrade:
        switch = f"Connection: Upgrade\r\nUpgrade: {upgrade}\r\nSec-WebSocket-Accept: {accept}"
        return f"HTTP/1.1 101 Switching Protocols\r\n{switch}\r\nX-App: yes\r\n\r\n".encode()
    status, more, body = _page(target.partition("?")[0].rpartition("/")[2])
    if "chunked" not in more and status not in ("204 No Content", "304 Not Modified"):
        more += f"Content-Length: {len(body)}\r\n"
    head = f"HTTP/1.1 {status}\r\nDate: Mon, 30 Nov 2026 12:00:00 GMT\r\n{more}X-App: yes\r\n\r\n".encode()
    return head if method == "HEAD" else head + body


def _page(name: str) -> tuple[str, str, bytes]:
    text = "Content-Type: text/plain\r\n"
    own = (
        "auth_session=theirs; Path=/",
        "__Host-auth_session=x; Path=/; Secure",
        "theirs=1; Path=/",
        "auth_session_pass=x",
    )
    pages = {
        "events": (
            "200 OK",
            "Content-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n",
            b"9\r\ndata: 1\n\n\r\n0\r\n\r\n",
        ),
        "redirect": ("302 Found", "Location: /elsewhere?x=1\r\n", b""),
        "cookies": ("200 OK", text + "".join(f"Set-Cookie: {cookie}\r\n" for cookie in own), b"ok"),
        "range": ("206 Partial Content", text + "Content-Range: bytes 2-5/10\r\n", b"2345"),
        "empty": ("204 No Content", "", b""),
        "not-modified": ("304 Not Modified", 'ETag: "x"\r\n', b""),
        "error": ("503 Service Unavailable", text + "Retry-After: 7\r\n", b"busy"),
    }
    return pages.get(name, ("200 OK", text, b"hello"))


@asynccontextmanager
async def running_app() -> AsyncIterator[App]:
    app = App()
    sock = listening_socket()
    app.url = f"http://127.0.0.1:{sock.getsockname()[1]}"
    server = await asyncio.start_server(app.serve, sock=sock, limit=1 << 20)
    try:
        yield app
    finally:
        server.close()
