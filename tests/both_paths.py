"""A raw app behind two gateways, one with the fast path and one without: what both must do alike."""

import asyncio
import re
import tempfile
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from aiohttp import web

from tests.rig import Rig, running_gateway
from tests.waiting import PATIENCE

Said = tuple[object, ...]
BROKEN: Said = ("broken off",)

# What the upstream answers, by path. "!" at the end: it hangs up then.
ANSWERS = {
    "/plain": b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello",
    "/empty": b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
    "/none": b"HTTP/1.1 204 No Content\r\nX-A: 1\r\n\r\n",
    "/unchanged": b'HTTP/1.1 304 Not Modified\r\nETag: "x"\r\nContent-Length: 5\r\n\r\n',
    "/chunked": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n",
    "/trailers": b"HTTP/1.1 200 OK\r\nTrailer: X-T\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nX-T: 1\r\n\r\n",
    "/early": b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
    "/close!": b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok",
    "/until!": b"HTTP/1.1 200 OK\r\n\r\nuntil the end",
    "/old!": b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
    "/short!": b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhal",
    "/cut!": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
    "/badchunk!": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nab",
    "/nothing!": b"",
    "/garbage!": b"garbage\r\n\r\n",
    "/redirect": b"HTTP/1.1 302 Found\r\nLocation: http://app.test/x\r\nContent-Length: 0\r\n\r\n",
    "/cookies": b"HTTP/1.1 200 OK\r\nSet-Cookie: auth_session=x\r\nSet-Cookie: a=1\r\nContent-Length: 0\r\n\r\n",
    "/hop": b"HTTP/1.1 200 OK\r\nConnection: X-Gone\r\nX-Gone: 1\r\nKeep-Alive: x\r\nContent-Length: 0\r\n\r\n",
    "/folded": b"HTTP/1.1 200 OK\r\nX-A: 1\r\n 2\r\nContent-Length: 0\r\n\r\n",
    "/upgrade": b"HTTP/1.1 200 OK\r\nConnection: Upgrade, Keep-Alive\r\nUpgrade: h2,h2c\r\nContent-Length: 2\r\n\r\nok",
    "/hints": b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" * 3
    + b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
    "/continue": b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
    "/dated": b"HTTP/1.1 200 OK\r\ndate: Mon, 30 Nov 2026 01:02:03 GMT\r\nContent-Length: 2\r\n\r\nok",
    "/switch!": b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\nabc",
    "/more": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
    "/surplus": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\ngarbage",
    "/longer": b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabcgarbage",
    "/twice": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok",
    "/both": b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    "/bare!": b"HTTP/1.1 200 OK\nContent-Length: 2\n\nok",
    "/blank": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2 \r\nok\r\n0\r\n\r\n",
    "/barechunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\nok\n0\n\n",
    "/error": b"HTTP/1.1 500 Oh No\r\nContent-Length: 2\r\n\r\nno",
    "/bytes": b"HTTP/1.1 200 OK\r\nX-Latin: \xe4\xf6\r\nContent-Length: 3\r\n\r\n\x00\xff\r",
}


@dataclass
class RawUpstream:
    """Answers as its table says, and remembers each request head as it came."""

    url: str = ""
    heads: list[bytes] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    pieces: list[int] = field(default_factory=list)
    """How many chunks each chunked body came in."""
    connections: int = 0
    big: bytes = bytes(range(256)) * 8192

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                if b" /refuse" in head:  # before it has the body
                    writer.write(
                        b"HTTP/1.1 413 Too Much\r\nConnection: close\r\nContent-Length: 3\r\n\r\nno!"
                    )
                    self.heads.append(head)
                    while await reader.read(65536):  # closing now would reset the connection
                        pass
                    break
                if b" /hangup" in head:
                    break
                if b"\r\nExpect: 100-continue" in head and b" /asks" in head:
                    writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
                self.bodies.append(await self._body(reader, head))
                self.heads.append(head)
                if not await self._answer(head, writer):
                    break
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def _body(self, reader: asyncio.StreamReader, head: bytes) -> bytes:
        length = re.search(rb"(?i)\r\ncontent-length: (\d+)", head)
        if length:
            return await reader.readexactly(int(length[1]))
        body, pieces = b"", 0
        if b"\r\nTransfer-Encoding: chunked" in head:
            while size := int(await reader.readuntil(b"\r\n"), 16):
                body += (await reader.readexactly(size + 2))[:-2]
                pieces += 1
            await reader.readuntil(b"\r\n")
            self.pieces.append(pieces)
        return body

    async def _answer(self, head: bytes, writer: asyncio.StreamWriter) -> bool:
        method, target = head.split(b" ", 2)[:2]
        path = target.decode().partition("?")[0]
        if path == "/silent":
            return True
        if path == "/big":
            answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(self.big), self.big)
        else:
            answer = ANSWERS.get(path, ANSWERS["/plain"])
        if method == b"HEAD":
            answer = (
                answer[: answer.find(b"\r\n\r\n", max(answer.rfind(b"HTTP/1."), 0)) + 4] if answer else b""
            )
        for at in range(0, len(answer), 7) if len(answer) < 200 and b"pieces" in target else (None,):
            writer.write(answer if at is None else answer[at : at + 7])
            await asyncio.sleep(0)
        await writer.drain()
        return not path.endswith("!")


@asynccontextmanager
async def one_path(fast_path: bool, **route: object) -> AsyncIterator[tuple[RawUpstream, Rig]]:
    """A raw upstream behind one gateway."""
    upstream = RawUpstream()
    server = await asyncio.start_server(upstream.connected, "127.0.0.1", 0)
    upstream.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    policy = {"require": "bypass"}
    routes = [{"host": "app.test", "path": "/", "upstream": upstream.url, "policy": policy, **route}]
    with tempfile.TemporaryDirectory() as folder:
        async with running_gateway(Path(folder), server={"fast_path": fast_path}, routes=routes) as rig:
            try:
                yield upstream, rig
            finally:
                server.close()


@asynccontextmanager
async def both_paths(
    *more: dict[str, object], base: str = "", **route: object
) -> AsyncIterator[tuple[RawUpstream, Rig, Rig]]:
    """One raw upstream behind two gateways: with the fast path, and without.

    `route` has settings of the route, each of `more` those of a further one, whose path is longer. `base` is the path
    in the upstream's URL.
    """
    upstream = RawUpstream()
    server = await asyncio.start_server(upstream.connected, "127.0.0.1", 0)
    upstream.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    policy = {"require": "bypass"}
    routes = [
        {"host": "app.test", "path": "/", "upstream": upstream.url + base, "policy": policy, **route, **one}
        for one in (*more, {})
    ]
    with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as two:
        async with (
            running_gateway(Path(one), server={"fast_path": True}, routes=routes) as fast,
            running_gateway(Path(two), server={"fast_path": False}, routes=routes) as ordinary,
        ):
            try:
                yield upstream, fast, ordinary
            finally:
                server.close()


def on_ordinary_path(rig: Rig, told: Callable[[], None]) -> None:
    """Call `told` for each request that the ordinary path of this gateway answers from now on."""
    server = rig.gateway._server
    assert server is not None
    handler = server.handler

    async def heard(asked: web.BaseRequest) -> web.StreamResponse:
        told()
        return await handler(asked)

    server.handler = heard


async def read_answer(reader: asyncio.StreamReader, method: str) -> Said:
    """One response: its interim heads, status line, headers and body, however it was framed."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except (asyncio.IncompleteReadError, ConnectionError):
        return BROKEN
    start, *fields = head[:-4].split(b"\r\n")
    status = int(start.split(b" ")[1])
    if status < 200:
        return (head, *await read_answer(reader, method))
    differing = (b"X-Request-Id: ", *((b"Content-Length: ",) if status >= 400 else ()))
    fields = [one for one in fields if not one.startswith(differing)]
    fields = [b"Date" if one.startswith(b"Date: ") else one for one in fields]
    try:
        body = b"" if method == "HEAD" or status in (204, 304) else await read_body(reader, head)
    except (asyncio.IncompleteReadError, ConnectionError):
        return BROKEN  # how much of it arrives is up to the sockets
    return (start, fields, re.sub(rb"[0-9a-f]{16}", b"ID", body) if status >= 400 else body)


async def read_body(reader: asyncio.StreamReader, head: bytes) -> object:
    if b"\r\nTransfer-Encoding: chunked" in head:
        body = b""
        while size := int(await reader.readuntil(b"\r\n"), 16):
            body += (await reader.readexactly(size + 2))[:-2]
        trailers = b""
        while (line := await reader.readuntil(b"\r\n")) != b"\r\n":
            trailers += line
        return body + trailers
    length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
    return await reader.readexactly(int(length[1])) if length else await reader.read()


async def talk(
    port: int,
    segments: Sequence[bytes],
    methods: Sequence[str],
    pause: float = 0.0,
    *,
    in_turn: bool = False,
) -> list[Said]:
    """Send the segments; return an answer for each method, up to the first after which the connection is closed.

    `in_turn`: each segment is sent once the one before it has had its answer, and not after a pause.
    """
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 22)
    said: list[Said] = []
    try:
        for segment in segments[:1] if in_turn else segments:
            writer.write(segment)
            await asyncio.sleep(pause)
        async with asyncio.timeout(PATIENCE):
            for number, method in enumerate(methods):
                if in_turn and number:
                    writer.write(segments[number])
                said.append(await read_answer(reader, method))
                if said[-1] == BROKEN:
                    break
    finally:
        writer.close()
    return said


def known_heads(heads: Sequence[bytes]) -> list[bytes]:
    """The requests without what must differ between two gateways: their ports, signatures and request names."""
    differing = rb"127\.0\.0\.1:\d+|(?<=: )eyJ\S+|(?<=X-Request-Id: )[0-9a-f]{16}\b"
    return [re.sub(differing, b"", head) for head in heads]


async def same(
    upstream: RawUpstream,
    fast: Rig,
    ordinary: Rig,
    segments: Sequence[bytes],
    methods: Sequence[str],
    pause: float = 0.0,
    *,
    in_turn: bool = False,
    instead: Sequence[bytes] = (),
) -> list[Said]:
    """Both paths must give the client the same answers, and the upstream the same distinct requests.

    `instead` goes to the ordinary one, where that needs a cookie of its own.
    """
    upstream.heads.clear()
    upstream.bodies.clear()
    got = await talk(fast.port, segments, methods, pause, in_turn=in_turn)
    heads, bodies = known_heads(upstream.heads), upstream.bodies[:]
    upstream.heads.clear()
    upstream.bodies.clear()
    expected = await talk(ordinary.port, instead or segments, methods, pause, in_turn=in_turn)
    assert got == expected
    assert list(dict.fromkeys(bodies)) == list(dict.fromkeys(upstream.bodies))
    # A request may go out again where a kept connection was dead (RFC 9112 §9.3.1); what is asked may not differ.
    assert list(dict.fromkeys(heads)) == list(dict.fromkeys(known_heads(upstream.heads)))
    return got


def request(path: str = "/plain", *headers: str, method: str = "GET", host: str = "app.test") -> bytes:
    lines = [f"{method} {path} HTTP/1.1", f"Host: {host}", *headers]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
