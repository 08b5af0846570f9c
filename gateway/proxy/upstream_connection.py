"""One HTTP/1.1 connection to an upstream: bytes out, a parsed response in, back-pressure both ways.

Built on asyncio and httptools rather than aiohttp's client, because that one drops trailers, 1xx heads and header
bytes that are not UTF-8, and can't tell "nothing was sent yet" from "the answer broke". Knows nothing of requests
from clients, routes or retries.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

import httptools

from gateway.errors import UpstreamUnreachable
from gateway.proxy.client_headers import Pair, Pairs

HIGH_WATER = 256 * 1024
HEAD_LIMIT = 256 * 1024


class BrokenConnection(UpstreamUnreachable):
    """The connection ended, or spoke something else than HTTP, before the response was complete."""


@dataclass(frozen=True, slots=True)
class ResponseHead:
    """`length` is None for a body that ends with its last chunk or, if not `chunked`, with the connection."""

    version: str
    status: int
    reason: bytes
    headers: Pairs
    bodiless: bool
    chunked: bool
    length: int | None


Interim = Callable[[int, bytes, Pairs], None]


class UpstreamConnection(asyncio.Protocol):
    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self.fresh = True  # no exchange has been completed on it
        self.idle_since = 0.0
        self.trailers: Pairs = []
        self.tail = b""  # what came behind a 101
        self.forget: Callable[[UpstreamConnection], None] | None = None
        self._parser: httptools.HttpResponseParser | None = None
        self._method = ""
        self._interim: Interim | None = None
        self._head: ResponseHead | None = None
        self._status = b""
        self._headers: Pairs = []
        self._since_body = 0
        """Bytes since there was one of the body: of heads (final or 1xx) or of trailers, which must end somewhere."""
        self._chunks: deque[bytes] = deque()
        self._buffered = 0
        self._complete = True
        self._spoiled = False
        self._upgraded = False
        self._error: Exception | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._reading_paused = False
        self._can_write = asyncio.Event()
        self._can_write.set()

    # --- for the caller

    def begin(self, method: str, interim: Interim) -> None:
        """Expect the response to a request with this method; `interim` hears of 1xx heads."""
        self._parser = httptools.HttpResponseParser(self)
        self._method, self._interim = method, interim
        self._head, self._complete, self._error = None, False, None
        self._headers, self._status, self.trailers, self._since_body = [], b"", [], 0

    def write(self, data: bytes) -> None:
        if self.transport is not None:
            self.transport.write(data)

    async def drain(self) -> None:
        await self._can_write.wait()

    async def head(self) -> ResponseHead:
        while self._head is None:
            await self._news()
        return self._head

    def read_nowait(self) -> bytes:
        """What has arrived of the body; empty means wait, or the end."""
        if not self._chunks:
            return b""
        data = self._chunks[0] if len(self._chunks) == 1 else b"".join(self._chunks)
        self._chunks.clear()
        self._buffered = 0
        if self._reading_paused and self.transport is not None:
            self._reading_paused = False
            self.transport.resume_reading()
        return data

    async def read(self) -> bytes:
        """More of the body as soon as there is any; empty at its end."""
        while not self._chunks and not self._complete:
            await self._news()
        return self.read_nowait()

    def at_end(self) -> bool:
        return self._complete and not self._chunks

    def fail(self, error: Exception) -> None:
        """Give up: whoever waits for the response gets this error."""
        if self._error is None:
            self._error = error
        self._wake()
        self.abort()

    def abort(self) -> None:
        self._spoiled = True
        if self.transport is not None:
            self.transport.abort()

    @property
    def reusable(self) -> bool:
        return (
            self.transport is not None
            and not self.transport.is_closing()
            and self.at_end()
            and not self._spoiled
            and not self._upgraded
            and self._error is None
        )

    # --- asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.transport.set_write_buffer_limits(high=512 * 1024)

    def data_received(self, data: bytes) -> None:
        if self._upgraded:
            self.tail += data
            return
        parser = self._parser
        if parser is None or self._complete:
            self.abort()  # bytes nobody asked for would be taken for the answer to the next request
            return
        self._since_body += len(data)
        try:
            parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._upgrade(data[upgrade.args[0] :])
        except httptools.HttpParserError as error:
            self._broken(f"not HTTP: {error}")
        if self._since_body > HEAD_LIMIT:
            self._broken("head or trailers too large")
        if self._buffered > HIGH_WATER and not self._reading_paused and self.transport is not None:
            self._reading_paused = True
            self.transport.pause_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        self.transport = None
        self._can_write.set()
        head = self._head
        if head and not head.bodiless and not head.chunked and head.length is None and exc is None:
            self._complete = True  # RFC 9112 §6.3: this body ends with the connection
        elif not self._complete:
            self._broken(f"connection lost{f': {exc}' if exc else ''}")
        self._parser = None
        self._wake()
        if self.forget is not None:
            self.forget(self)

    def pause_writing(self) -> None:
        self._can_write.clear()

    def resume_writing(self) -> None:
        self._can_write.set()

    # --- httptools

    def on_message_begin(self) -> None:
        if self._complete:
            self._spoiled = True

    def on_status(self, status: bytes) -> None:
        self._status += status

    def on_header(self, name: bytes, value: bytes) -> None:
        (self._headers if self._head is None else self.trailers).append((name, value))

    def on_headers_complete(self) -> None:
        parser = self._parser
        if self._head is not None or parser is None:
            return
        status = parser.get_status_code()
        if 100 <= status < 200 and status != 101:
            return
        self._head = self._final_head(parser, status)
        if not keeps_alive(self._head):
            self._spoiled = True
        if self._head.bodiless:
            # llhttp can't be told that this answers a HEAD: it would wait for a body.
            self._complete = True
        self._wake()

    def on_body(self, body: bytes) -> None:
        self._since_body = 0
        if self._complete:
            self._spoiled = True
            return
        self._chunks.append(body)
        self._buffered += len(body)
        self._wake()

    def on_message_complete(self) -> None:
        if self._head is not None:
            self._complete = True
            self._wake()
        elif self._interim is not None and self._parser is not None:
            status, reason, headers = self._parser.get_status_code(), self._status, self._headers
            self._status, self._headers = b"", []
            self._interim(status, reason, headers)

    # --- inside

    def _final_head(self, parser: httptools.HttpResponseParser, status: int) -> ResponseHead:
        lengths = [value for name, value in self._headers if name.lower() == b"content-length"]
        codings = b",".join(
            value for name, value in self._headers if name.lower() == b"transfer-encoding"
        ).lower()
        # A coding other than chunked would be lost on the way (RFC 9112 §6.1).
        if status < 100 or codings not in (b"", b"chunked"):
            raise ValueError("odd status or transfer coding")
        return ResponseHead(
            version=parser.get_http_version(),
            status=status,
            reason=self._status,
            headers=self._headers,
            bodiless=self._method == "HEAD" or status in (101, 204, 304),
            chunked=codings == b"chunked",
            length=int(lengths[0]) if lengths else None,
        )

    def _upgrade(self, tail: bytes) -> None:
        self._upgraded = True
        self.tail = tail
        if self.transport is not None:
            self.transport.pause_reading()

    def _broken(self, why: str) -> None:
        if self._complete:
            self.abort()
        else:
            self.fail(BrokenConnection(why))

    async def _news(self) -> None:
        if self._error is not None:
            raise self._error
        self._waiter = asyncio.get_running_loop().create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


def keeps_alive(head: ResponseHead) -> bool:
    """RFC 9112 §9.3."""
    options = b",".join(value for name, value in head.headers if name.lower() == b"connection").lower()
    tokens = {option.strip() for option in options.split(b",")}
    return b"close" not in tokens and (head.version == "1.1" or b"keep-alive" in tokens)


def serialize(start_line: bytes, pairs: list[Pair]) -> bytes:
    lines = [start_line, *(name + b": " + value for name, value in pairs)]
    return b"\r\n".join(lines) + b"\r\n\r\n"
