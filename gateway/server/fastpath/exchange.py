"""One request and its answer between a client's connection and a wire to the upstream.

`RequestHalf` sends the request; this half reads the answer and sends it on. Once the head of an answer is out, a
failure cuts the client's connection, so that a broken body never looks complete.
"""

import asyncio
import time
from typing import Protocol

from gateway.errors import GatewayError, RequestRefused, UpstreamTimeout
from gateway.i18n.text import N_
from gateway.proxy.client_response import NOT_IN_TRAILERS, content_type_of, may_finish
from gateway.proxy.request_headers import canonical
from gateway.proxy.upstream_connection import BrokenConnection, serialize
from gateway.proxy.upstream_head import HEAD_LIMIT, OddResponse, ResponseBody, has_bare_lf, split_head
from gateway.request.chunked_body import BrokenBody
from gateway.server.fastpath.asking import RequestHalf
from gateway.server.fastpath.response_head import FastResponseHead, chunk
from gateway.server.fastpath.wanted import ExchangeClient, Wanted


class Journal(Protocol):
    """Who is told how an exchange ended."""

    def ended(self, exchange: "Exchange", status: int, reason: str = "") -> None:
        """Hear that it is over. Status 0 means that the ordinary path goes on with it."""

    def page(self, exchange: "Exchange", error: GatewayError, *, closes: bool) -> bytes:
        """The answer to a request that failed, and a line in the log."""
        ...


class Exchange(RequestHalf):
    """A request under way on the fast path, and its answer."""

    __slots__ = (
        "_before_head",
        "_buffer",
        "_closes",
        "_paused",
        "_received",
        "_spoiled",
        "began",
        "journal",
        "sent",
    )

    def __init__(
        self, wanted: Wanted, client: ExchangeClient, journal: Journal, loop: asyncio.AbstractEventLoop
    ) -> None:
        super().__init__(wanted, client, loop)
        self.journal = journal
        self.began = 0.0
        """When the head of the answer went out (perf_counter)."""
        self.sent = 0
        """Bytes of the body that came from the upstream."""
        self._received: ResponseBody | None = None
        self._buffer = b""
        self._before_head = 0
        self._paused = self._spoiled = self._closes = False

    # -- from the upstream -----------------------------------------------------------------------------------------

    def received(self, data: bytes) -> None:
        """Take bytes of the upstream's answer."""
        self._heard = True
        if self._answer is None:
            # Most answers are known ones that come whole.
            if (
                not self._buffer
                and (known := self._rendered.known(data, self.wanted.line.method)) is not None
            ):
                self._relay_whole(known[0], data[known[1] :])
                return
            self._read_head(self._buffer + data if self._buffer else data)
        else:
            self._relay(self._answer, b"", data)
        # A client that does not read stops the upstream as well: its silence is then no fault, and time does not run.
        if not self._paused and self._answer is not None:
            self.deadline = self._loop.time() + self._rendered.idle_time

    def _read_head(self, data: bytes) -> None:
        # As `UpstreamConnection` does: any number of 1xx heads before the final one (RFC 9110 §15.2), limited in all.
        # 101 answers a request for an upgrade, which the fast path never sends (§15.2.2).
        wanted, lenient = self.wanted, self.wanted.allowed.site.route.upstream_http == "lenient"
        while (parts := split_head(data, lenient=lenient)) is not None:
            text, data = parts
            self._before_head += len(text)
            try:
                answer = self._rendered.answer(text, wanted.line.method, lenient=lenient)
            except OddResponse as odd:
                self._not_answered(odd)
                return
            if answer.head.status == 101:
                self._broken("switched protocols without being asked")
                return
            if answer.head.status >= 200:
                self._begin(answer, data, lenient=lenient)
                return
            self._interim(answer)
            if self._before_head > HEAD_LIMIT:
                break
        self._buffer = data
        if self._before_head + len(data) > HEAD_LIMIT:
            self._broken("head too large")
        elif not lenient and has_bare_lf(data):
            self._broken("not HTTP: bare LF in the head; `upstream_http: lenient` on the route takes that")

    def _not_answered(self, odd: OddResponse) -> None:
        if odd.failure is not BrokenConnection and self.wanted.body is None:
            # As where no connection is made: the ordinary path tries the others.
            self._upstream.failed(odd.failure(f"{self._upstream.address.url}: {odd}"))
            self._end(0)
            self.client.hand_over()
        else:
            self._broken(str(odd))

    def _interim(self, answer: FastResponseHead) -> None:
        """Pass on 1xx heads: 100 if it was asked for and not said yet, 103 Early Hints (RFC 9110 §15.2)."""
        if answer.head.status == 100:
            if self._invited:
                return
            self._invited = True
        if self.client.transport is not None:
            self.client.transport.write(answer.start + b"\r\n")

    def _begin(self, answer: FastResponseHead, data: bytes, *, lenient: bool) -> None:
        self._answer, self._buffer, self._invited = answer, b"", True
        self._received = answer.head.body(lenient=lenient)
        self._upstream.answered()
        self.began = time.perf_counter()
        # An early answer: what is still to come of the request would be read as the next one (RFC 9112 §9.3).
        self._closes = self._uploading or not self.client.may_stay_open
        self._relay(answer, answer.public(closes=self._closes), data)

    def _relay_whole(self, answer: FastResponseHead, body: bytes) -> None:
        """Do what `_begin` and `_relay` do, for an answer that has come whole, with nothing behind it."""
        self._answer, self._invited = answer, True
        self._upstream.answered()
        self.began = time.perf_counter()
        self._closes = self._uploading or not self.client.may_stay_open
        self.sent = len(body)
        self._write(answer.public(closes=self._closes) + body)
        self._finish(answer)

    def _relay(self, answer: FastResponseHead, head: bytes, data: bytes) -> None:
        """Send on what came of the body, behind the head if that is still to be sent."""
        # Three kinds of body (RFC 9112 §6.3): none; one that ends with the upstream's connection, which the client gets
        # in chunks and so knows for whole; and one whose reader says where it ends, by length or by chunks.
        body = self._received
        if body is None:
            if answer.head.until_close:
                self.sent += len(data)
                self._write(head + chunk(data) if data else head)
            else:
                self._spoiled = bool(data)
                self._write(head)
                self._finish(answer)
            return
        try:
            piece, rest = body.feed(data) if data else (b"", b"")
        except BrokenBody as broken:
            self._broken(f"not HTTP: {broken}")
            return
        self.sent += len(piece)
        self._spoiled = self._spoiled or bool(rest)
        out = head
        if piece:
            out = head + chunk(piece) if answer.chunked else head + piece if head else piece
        if not body.complete:
            self._write(out)
            return
        # The last chunk with the trailers (RFC 9112 §7.1.2), without those that mean nothing there.
        if answer.chunked:
            trailers = getattr(body, "trailers", ())
            kept = [pair for pair in trailers if canonical(pair[0]) not in NOT_IN_TRAILERS]
            out += serialize(b"0", kept)
        self._write(out)
        self._finish(answer)

    def _write(self, data: bytes) -> None:
        if data and self.client.transport is not None:
            self.client.transport.write(data)

    def upstream_lost(self, clean: bool) -> None:
        """Hear that the upstream's connection is gone; `clean` if it was closed and not reset."""
        self._wire = None
        answer = self._answer
        if answer is None:
            # A kept connection that ends without a byte was closed while it idled: what may be repeated is sent once
            # more, on a new one (RFC 9112 §9.3.1, RFC 9110 §9.2.2).
            if self._reused and not self._heard and self._replayable:
                self._reused = False
                self._open()
            else:
                self._broken("connection lost")
        elif answer.head.until_close and clean:  # a reset is no end: part of the body may be lost
            self._write(b"0\r\n\r\n")
            self._finish(answer)
        else:
            self._broken("connection lost")

    # -- from the client -------------------------------------------------------------------------------------------

    def pause_writing(self) -> None:
        """The client reads more slowly than the upstream sends."""
        self._paused = True
        if self._wire is not None and self._wire.transport is not None:
            self._wire.transport.pause_reading()

    def resume_writing(self) -> None:
        """The client has taken enough: read the upstream again, and let its time begin anew."""
        self._paused = False
        self.deadline = self._loop.time() + self._rendered.idle_time
        if self._wire is not None and self._wire.transport is not None:
            self._wire.transport.resume_reading()

    def client_gone(self, exc: BaseException | None) -> None:
        """The client has left, so nobody wants the answer. 499 is nginx' status for that in the log; nobody gets it."""
        self._end(499)

    def close(self, code: int, reason: str) -> None:
        """The session that asked has ended: so does the answer, unless it may finish."""
        answer = self._answer
        if self.over or (
            answer and may_finish(self.wanted.allowed.site.route, content_type_of(answer.start))
        ):
            return
        self._end(answer.head.status if answer else 502, reason)
        self.client.cut()

    # -- the end ---------------------------------------------------------------------------------------------------

    def late(self) -> None:
        """The deadline has passed."""
        # Whom we have waited for decides who is told what: 504 for an app that does not answer or does not read, 408
        # for a client that does not go on with its upload, a cut connection behind the head.
        url = self._upstream.address.url
        if self._answer is None and not self._uploading:
            self._fail(UpstreamTimeout.after(url, self._rendered.response_time))
        elif self._answer is None and self._wire_full:
            self._fail(UpstreamTimeout("upstream stopped reading the request body"))
        elif self._answer is None:
            public = N_("The upload stopped for too long.")
            self._fail(RequestRefused("upload stalled", status=408, public=public))
        else:
            self._broken("upstream broke off")

    def _finish(self, answer: FastResponseHead) -> None:
        wire = self._wire
        # Kept only if both sides ended as their framing said: else the rest of this exchange would be read as the next.
        if wire is not None and answer.reusable and not self._spoiled and not self._uploading:
            if self._paused and wire.transport is not None:
                wire.transport.resume_reading()
            self.wanted.stock.put(wire, self._loop.time())
            self._wire = None
        self._end(answer.head.status)
        self.client.answered(keep=not self._closes)

    def _broken(self, why: str) -> None:
        """The upstream is at fault."""
        error = BrokenConnection(f"{self._upstream.address.url}: {why}")
        # A kept connection that ends may only have been idle for too long, which says nothing about the upstream.
        if self._answer is None and not self._reused:
            self._upstream.failed(error)
        self._fail(error)

    def _fail(self, error: GatewayError) -> None:
        """A page while that is possible, else the client must see that its answer is not whole."""
        if self.over:
            return
        if self._answer is not None:
            self._end(self._answer.head.status, "upstream broke off")
            self.client.cut()
            return
        closes = not self.client.may_stay_open
        page = self.journal.page(self, error, closes=closes)
        self._end(error.status, error.detail)
        self._write(page)
        self.client.answered(keep=not closes)

    def _end(self, status: int, reason: str = "") -> None:
        self.over = True
        if self._invitation is not None:
            self._invitation.cancel()
        connecting = self._connecting
        if connecting is not None and connecting is not asyncio.current_task(self._loop):
            connecting.cancel()
        if self._wire is not None:
            self._wire.abort()
            self._wire = None
        self.journal.ended(self, status, reason)
