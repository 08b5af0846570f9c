"""One HTTP/1.1 connection to an upstream: bytes out, a parsed response in, back-pressure both ways.

Built on asyncio rather than aiohttp's client, because that one drops trailers, 1xx heads and header bytes that are
not UTF-8, and can't tell "nothing was sent yet" from "the answer broke". Knows nothing of requests from clients,
routes or retries.
"""

import asyncio
import ssl
from collections import deque
from collections.abc import Callable
from typing import cast

from gateway.config.schema import UpstreamTls
from gateway.proxy.client_headers import Pair, Pairs
from gateway.proxy.upstream_head import (
    HEAD_LIMIT,
    BrokenConnection,
    OddResponse,
    ResponseBody,
    ResponseHead,
    has_bare_lf,
    keeps_alive,
    read_response_head,
    split_head,
)
from gateway.request.chunked_body import BrokenBody

__all__ = ["BrokenConnection", "ResponseHead", "UpstreamConnection", "serialize"]

HIGH_WATER = 256 * 1024
"""Bytes of an answer that may wait for a slow client before the upstream is not read any more."""

Interim = Callable[[int, bytes, Pairs], None]


class UpstreamConnection(asyncio.Protocol):
    """One connection, on which requests follow each other: `begin`, `write`, `head`, `read` until `at_end`.

    Requests are not pipelined (RFC 9112 §9.3.2): an answer that comes while none is awaited belongs to nothing.
    """

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self.fresh = True  # no exchange has been completed on it
        self.heard = False  # a byte of the answer has come: the app has seen the request
        self.idle_since = 0.0
        self.trailers: Pairs = []
        self.tail = b""  # what came behind a 101
        self.forget: Callable[[UpstreamConnection], None] | None = None
        self._method = ""
        self._lenient = False
        self._interim: Interim | None = None
        self._head: ResponseHead | None = None
        self._body: ResponseBody | None = None
        self._buffer = b""
        """What has come of a head that is not whole yet."""
        self._before_head = 0
        """Bytes of heads, final or 1xx: they must end somewhere."""
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

    def begin(self, method: str, interim: Interim, *, lenient: bool = False) -> None:
        """Expect the response to a request with this method; `interim` hears of 1xx heads."""
        self._method, self._interim, self._lenient = method, interim, lenient
        self._head, self._body, self._complete, self._error = None, None, False, None
        self._buffer, self._before_head, self.trailers, self.heard = b"", 0, [], False

    def write(self, data: bytes) -> None:
        """Send bytes; `drain` says when there is room for more."""
        if self.transport is not None:
            self.transport.write(data)

    async def drain(self) -> None:
        """Wait until the upstream has taken enough of what was written."""
        await self._can_write.wait()

    async def head(self) -> ResponseHead:
        """Wait for the final head. Raises BrokenConnection, and whatever `fail` was given."""
        while self._head is None:
            await self._news()
        return self._head

    def read_nowait(self) -> bytes:
        """Return what has arrived of the body; empty means that more must come, or that this is the end."""
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
        """Wait for more of the body; empty at its end. Raises BrokenConnection if it ends too early."""
        while not self._chunks and not self._complete:
            await self._news()
        return self.read_nowait()

    def at_end(self) -> bool:
        """Whether the whole body has come and was taken."""
        return self._complete and not self._chunks

    def fail(self, error: Exception) -> None:
        """Give up: whoever waits for the response gets this error."""
        if self._error is None:
            self._error = error
        self._wake()
        self.abort()

    def abort(self) -> None:
        """Close at once, without waiting for what was written to be sent."""
        self._spoiled = True
        if self.transport is not None:
            self.transport.abort()

    @property
    def reusable(self) -> bool:
        """Whether the next request may be sent on this connection (RFC 9112 §9.3): it is open, the last answer ended
        where its framing said, and nothing came behind it.
        """
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
        # Bytes of uploads that wait for a slow app, before the client is not read any more.
        self.transport.set_write_buffer_limits(high=512 * 1024)

    def data_received(self, data: bytes) -> None:
        if self._upgraded:
            self.tail += data
            return
        if self._complete:
            # Bytes nobody asked for would be taken for the answer to the next request (RFC 9112 §9.2): another
            # user's.
            self.abort()
            return
        self.heard = True
        if self._head is None:
            self._read_head(data)
        else:
            self._read_body(data)
        if self._buffered > HIGH_WATER and not self._reading_paused and self.transport is not None:
            self._reading_paused = True
            self.transport.pause_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        self.transport = None
        self._can_write.set()
        # Without a length or chunks the end of the connection ends the body (RFC 9112 §6.3, rule 8). A reset is no
        # such end: part of the body may be lost.
        if self._head is not None and self._head.until_close and exc is None:
            self._complete = True
        elif not self._complete:
            self._broken(f"connection lost{f': {exc}' if exc else ''}")
        self._wake()
        if self.forget is not None:
            self.forget(self)

    def pause_writing(self) -> None:
        self._can_write.clear()

    def resume_writing(self) -> None:
        self._can_write.set()

    # --- inside

    def _read_head(self, data: bytes) -> None:
        data = self._buffer + data
        # Any number of 1xx heads may come before the final one (RFC 9110 §15.2), and several in one piece. Together
        # they are limited, or an app could keep us reading without an end.
        while (parts := split_head(data, lenient=self._lenient)) is not None:
            text, data = parts
            self._before_head += len(text)
            try:
                head = read_response_head(text, self._method, lenient=self._lenient)
            except OddResponse as odd:
                self._broken(str(odd), odd.failure)
                return
            if head.status == 101 or head.status >= 200:
                self._begin_body(head, data)
                return
            if self._interim is not None:
                self._interim(head.status, head.reason, head.headers)
            if self._before_head > HEAD_LIMIT:
                break
        self._buffer = data
        if self._before_head + len(data) > HEAD_LIMIT:
            self._broken("head too large")
        elif not self._lenient and has_bare_lf(data):
            self._broken("not HTTP: bare LF in the head; `upstream_http: lenient` on the route takes that")

    def _begin_body(self, head: ResponseHead, data: bytes) -> None:
        self._head, self._buffer = head, b""
        self._body = head.body(lenient=self._lenient)
        if not keeps_alive(head):
            self._spoiled = True  # good for this answer, not for another
        if head.status == 101:
            self._complete = True
            self._upgrade(data)
        elif self._body is None and not head.until_close:
            self._complete = True
            # A body behind HEAD, 204 or 304 has no length that counts (RFC 9112 §6.3, rule 1), so where it would end,
            # and the next answer begin, can't be known.
            self._spoiled = self._spoiled or bool(data)
        elif data:
            self._read_body(data)
        self._wake()

    def _read_body(self, data: bytes) -> None:
        body, rest = self._body, b""
        if body is not None:
            try:
                data, rest = body.feed(data)
            except BrokenBody as broken:
                self._broken(f"not HTTP: {broken}")
                return
            if body.complete:
                self._complete = True
                self._spoiled = self._spoiled or bool(rest)
                self.trailers = getattr(body, "trailers", [])
        if data:
            self._chunks.append(data)
            self._buffered += len(data)
        self._wake()

    def _upgrade(self, tail: bytes) -> None:
        # Behind a 101 the bytes are another protocol's. They wait, unread, until the tunnel stands (RFC 9110 §7.8).
        self._upgraded = True
        self.tail = tail
        if self.transport is not None:
            self.transport.pause_reading()

    def _broken(self, why: str, error: type[BrokenConnection] = BrokenConnection) -> None:
        if self._complete:
            self.abort()
        else:
            self.fail(error(why))

    async def _news(self) -> None:
        """Wait until something has changed: a head, bytes, the end. Raises the error that ended the exchange."""
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


def serialize(start_line: bytes, pairs: list[Pair]) -> bytes:
    """Make a head (RFC 9112 §2.1): start line, fields, empty line. It trusts its input: what could hold a CR or LF
    was refused or cleaned before.
    """
    lines = [start_line, *(name + b": " + value for name, value in pairs)]
    return b"\r\n".join(lines) + b"\r\n\r\n"


def tls_context(settings: UpstreamTls) -> ssl.SSLContext:
    """Make the TLS context for https upstreams of a route (`routes[].tls`)."""
    context = ssl.create_default_context(cafile=str(settings.ca_file) if settings.ca_file else None)
    if not settings.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if settings.cert_file:
        context.load_cert_chain(settings.cert_file, settings.key_file)
    # We speak HTTP/1.1 only; without ALPN some servers pick HTTP/2 (RFC 7301 §3.2).
    context.set_alpn_protocols(["http/1.1"])
    return context
