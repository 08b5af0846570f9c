"""One request and its response between a client's connection and a wire to the upstream.

Until the response head is there, the request can still be handed back to the ordinary path, which knows about retries,
failover and error pages (only GET and HEAD come here, so asking twice is allowed, RFC 9110 §9.2.2). After it, a failure
cuts the client's connection, so that a broken body never looks complete.
"""

import asyncio
import time
from dataclasses import dataclass, field
from typing import Protocol

import httptools

from gateway.errors import UpstreamError
from gateway.model import Decision
from gateway.proxy.client_headers import canonical
from gateway.proxy.client_response import NOT_IN_TRAILERS
from gateway.proxy.held_answers import content_type_of, may_finish
from gateway.proxy.upstream_connection import serialize
from gateway.proxy.upstreams import PreparedRoute, Upstream
from gateway.server.fastpath.header_plans import HeaderPlan, Rendered
from gateway.server.fastpath.response_head import HEAD_LIMIT, Dechunker, FastResponseHead, Framing, chunk
from gateway.server.fastpath.upstream_wires import UpstreamWire, WirePool


class ExchangeClient(Protocol):
    """What an exchange needs of the client's connection."""

    transport: asyncio.Transport | None

    def hand_back(self, data: bytes) -> None:
        """Let the ordinary path have the request."""
        ...

    def exchange_done(self) -> None:
        """The response is written."""
        ...

    def cut(self) -> None:
        """Break the connection so that the client sees the response as incomplete."""
        ...


class Journal(Protocol):
    """Who is told how an exchange ended."""

    def ended(self, exchange: "Exchange", status: int, reason: str = "") -> None: ...
    def time_out(self, exchange: "Exchange") -> tuple[bytes, str]:
        """The page for a response that took too long, and the reason for the log."""
        ...


@dataclass(slots=True)
class Wanted:
    """An allowed request: its bytes as received, what to send, and where; then what the log says of it."""

    data: bytes
    method: str
    path: str
    out: bytes
    site: PreparedRoute
    upstream: Upstream
    stock: WirePool
    rendered: Rendered
    plan: HeaderPlan
    name: str
    decision: Decision
    since: float = field(default_factory=time.perf_counter)


class Exchange:
    __slots__ = (
        "_answer",
        "_buffer",
        "_connecting",
        "_dechunker",
        "_left",
        "_loop",
        "_paused",
        "_spoiled",
        "_wire",
        "began",
        "client",
        "deadline",
        "journal",
        "over",
        "sent",
        "started",
        "wanted",
    )

    def __init__(
        self, wanted: Wanted, client: ExchangeClient, journal: Journal, loop: asyncio.AbstractEventLoop
    ) -> None:
        self.wanted, self.client, self.journal = wanted, client, journal
        self.started = loop.time()
        self.deadline = self.started + wanted.rendered.response_time
        self.over = False
        self.began = 0.0
        """When the head of the answer went out (perf_counter)."""
        self.sent = 0
        """Bytes of the body that came from the upstream."""
        self._loop = loop
        self._wire: UpstreamWire | None = None
        self._answer: FastResponseHead | None = None
        self._dechunker: Dechunker | None = None
        self._connecting: asyncio.Task[None] | None = None
        self._buffer = b""
        self._left = 0
        self._paused = self._spoiled = False

    def start(self) -> None:
        wire = self.wanted.stock.take(self.started)
        if wire is not None:
            self._send(wire)
        else:
            self._connecting = self._loop.create_task(self._connect())

    async def _connect(self) -> None:
        try:
            wire = await self.wanted.upstream.open(UpstreamWire, self.wanted.site.route.timeouts.connect)
        except UpstreamError:
            self._fall_back()
            return
        if self.over:
            wire.abort()
        else:
            self._send(wire)

    def _send(self, wire: UpstreamWire) -> None:
        self._wire, wire.listener = wire, self
        if wire.transport is not None:
            wire.transport.write(self.wanted.out)

    # -- from the upstream -----------------------------------------------------------------------------------------

    def received(self, data: bytes) -> None:
        if self._answer is None:
            self._read_head(self._buffer + data if self._buffer else data)
        else:
            self._relay(self._answer, b"", data)
        if not self._paused:
            self.deadline = self._loop.time() + self.wanted.rendered.idle_time

    def _read_head(self, data: bytes) -> None:
        end = data.find(b"\r\n\r\n")
        if end < 0 and len(data) <= HEAD_LIMIT:
            self._buffer = data
            return
        wanted = self.wanted
        answer = wanted.rendered.answer(data[:end], wanted.method) if end > 0 else None
        if answer is None:
            self._fall_back()
            return
        self._answer, self._left, self._buffer = answer, answer.length, b""
        wanted.upstream.answered()
        self.began = time.perf_counter()
        if answer.framing is Framing.CHUNKED:
            self._dechunker = Dechunker()
        self._relay(answer, answer.head, data[end + 4 :])

    def _relay(self, answer: FastResponseHead, head: bytes, data: bytes) -> None:
        """Send on what came of the body, behind the head if that is still to be sent."""
        if answer.framing is Framing.LENGTH:
            size = len(data)
            if size > self._left:
                data, self._spoiled = data[: self._left], True
            self._left -= size
            self.sent += len(data)
            self._write(head + data if head else data, end=self._left <= 0)
        elif answer.framing is Framing.CHUNKED:
            self._relay_chunks(head, data)
        elif answer.framing is Framing.UNTIL_CLOSE:
            self.sent += len(data)
            self._write(head + chunk(data) if data else head, end=False)
        else:
            self._spoiled = bool(data)
            self._write(head, end=True)

    def _relay_chunks(self, head: bytes, data: bytes) -> None:
        dechunker = self._dechunker
        if dechunker is None:
            return
        try:
            body = dechunker.feed(data) if data else b""
        except httptools.HttpParserError:
            self._cut()
            return
        self.sent += len(body)
        out = head + chunk(body) if body else head
        if dechunker.complete:
            kept = [pair for pair in dechunker.trailers if canonical(pair[0]) not in NOT_IN_TRAILERS]
            out += serialize(b"0", kept)
        self._spoiled = dechunker.excess
        self._write(out, end=dechunker.complete)

    def _write(self, data: bytes, *, end: bool) -> None:
        if data and self.client.transport is not None:
            self.client.transport.write(data)
        if end:
            self._finish()

    def upstream_lost(self, clean: bool) -> None:
        self._wire = None
        answer = self._answer
        if answer is None:
            self._fall_back()
        elif answer.framing is Framing.UNTIL_CLOSE and clean:
            self._write(b"0\r\n\r\n", end=True)
        else:
            self._cut()

    # -- from the client -------------------------------------------------------------------------------------------

    def pause(self) -> None:
        """The client reads more slowly than the upstream sends."""
        self._paused = True
        if self._wire is not None and self._wire.transport is not None:
            self._wire.transport.pause_reading()

    def resume(self) -> None:
        self._paused = False
        self.deadline = self._loop.time() + self.wanted.rendered.idle_time
        if self._wire is not None and self._wire.transport is not None:
            self._wire.transport.resume_reading()

    def client_gone(self) -> None:
        self._end(499)

    def close(self, code: int, reason: str) -> None:
        """The session that asked has ended: so does the answer, unless it may finish."""
        answer = self._answer
        if self.over or (answer and may_finish(self.wanted.site.route, content_type_of(answer.head))):
            return
        self._end(answer.status if answer else 502, reason)
        self.client.cut()

    # -- the end ---------------------------------------------------------------------------------------------------

    def late(self) -> None:
        """The deadline has passed."""
        if self._answer is not None:
            self._cut()
            return
        page, reason = self.journal.time_out(self)
        self._end(504, reason)
        if self.client.transport is not None:
            self.client.transport.write(page)
        self.client.exchange_done()

    def _finish(self) -> None:
        answer, wire = self._answer, self._wire
        if answer is not None and wire is not None and answer.reusable and not self._spoiled:
            if self._paused and wire.transport is not None:
                wire.transport.resume_reading()
            self.wanted.stock.put(wire, self._loop.time())
            self._wire = None
        self._end(answer.status if answer else 502)
        self.client.exchange_done()

    def _fall_back(self) -> None:
        if self.over:
            return
        self._end(0)
        self.client.hand_back(self.wanted.data)

    def _cut(self) -> None:
        status = self._answer.status if self._answer else 502
        self._end(status, "upstream broke off")
        self.client.cut()

    def _end(self, status: int, reason: str = "") -> None:
        self.over = True
        connecting = self._connecting
        if connecting is not None and connecting is not asyncio.current_task(self._loop):
            connecting.cancel()
        if self._wire is not None:
            self._wire.abort()
            self._wire = None
        self.journal.ended(self, status, reason)
