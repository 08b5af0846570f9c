"""A client's connection, ours from the first byte to the last: framing, order, deadlines, limits, drain and close.

It takes one request at a time out of what arrives and gives it to one of two ways to answer: the fast path, or the
ordinary path, which is aiohttp's request and our handler. They see that request, its body and nothing else; what the
client sent behind it stays here until the answer is complete (RFC 9112 §9.3.2: answers in the order of the requests).
A head that is too large is 431 or 414, one that trickles in is 408, what can't be read is 400 (rule 7).
"""

import asyncio
from collections.abc import Callable
from http import HTTPStatus
from typing import cast

from gateway.request.chunked_body import BrokenBody
from gateway.request.framing import Body, Malformed, body_of, read_head
from gateway.server.closing_connection import BRIEFLY, DISCARD_TIME, ClosingConnection, ConnectionState
from gateway.server.fastpath.client_address import ClientAddress
from gateway.server.fixed_answers import server_options
from gateway.server.ordinary_answer import OrdinaryAnswer
from gateway.server.way import Accepting, Way

WRITE_HIGH = 512 * 1024
"""Bytes of an answer that wait for the client before the app is held back."""
_BURST = 32  # requests answered without a pause, before other connections have their turn


class ClientConnection(ClosingConnection):
    """One client connection; `server` accepted it."""

    __slots__ = ("_advancing", "_chosen", "_early", "_head", "_largest", "_stays_open", "_way")

    def __init__(self, server: Accepting, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(server, loop)
        self._way: Way | None = None
        self._head = b""  # of the request under way
        self._stays_open = True
        self._early: Callable[[bytes], object] | None = None
        self._advancing = self._chosen = False
        self._largest = server.limits.head_size

    # -- asyncio.Protocol ------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start the time for a first request, or refuse a connection for which there is no room (503)."""
        self.transport = cast(asyncio.Transport, transport)
        self.transport.set_write_buffer_limits(high=WRITE_HIGH)
        self._address = ClientAddress.of(transport)
        self._idle_since = self._loop.time()
        self._deadline.set(self._idle_until)
        if not self._server.admit(self):
            self._refuse(HTTPStatus.SERVICE_UNAVAILABLE, "too many connections", linger=BRIEFLY)

    def data_received(self, data: bytes) -> None:
        """Take what has arrived: a request, more of a body, or bytes that nobody looks at any more."""
        state = self.state
        if state is ConnectionState.WAITING:
            # Most requests arrive whole, and nothing waits before them (13: an empty line, RFC 9112 §2.2). They need no
            # search through the inbox.
            end = data.find(b"\r\n\r\n") + 4
            if 4 < end <= self._largest and data[0] != 13 and not self._inbox and not self.writing_paused:
                self._begin(data[:end], data[end:])
                return
            self._inbox.add(data)
            self._advance()
        elif state is ConnectionState.SERVING:
            if self._body is not None and not self._held and not self._inbox:
                self._feed(self._body, data)
                return
            # Pipelined requests (RFC 9112 §9.3.2), or a body that nobody takes now. They wait, up to a limit: behind it
            # the socket is not read, and TCP holds the client back.
            self._inbox.add(data)
            self._regulate()
        elif state is ConnectionState.DISCARDING:
            self._inbox.add(data)
            self._discard()
        elif state is ConnectionState.LINGERING:
            self._read_on(len(data))
        elif state is ConnectionState.TUNNEL and self._early is not None:
            self._early(data)

    def pause_writing(self) -> None:
        self.writing_paused = True
        if self._way is not None:
            self._way.pause_writing()

    def resume_writing(self) -> None:
        self.writing_paused = False
        if self._way is not None:
            self._way.resume_writing()
        elif self.state is ConnectionState.WAITING:
            self._advance()

    def connection_lost(self, exc: BaseException | None) -> None:
        """Of the transport, or of a tunnel that had taken it over."""
        if self.transport is None:
            return  # told already: once by the tunnel, once by the transport
        self.state, self.transport = ConnectionState.CLOSED, None
        self._deadline.cancel()
        self._inbox.clear()
        self._body = self._early = None
        way, self._way = self._way, None
        self._server.left(self, getattr(way, "task", None))
        if way is not None:
            way.client_gone(exc)

    # -- one request after the other -------------------------------------------------------------------------------

    def _advance(self) -> None:
        """Serve what has arrived, one request at a time, for as long as answers come at once."""
        if self._advancing:
            return
        self._advancing = True
        try:
            for _ in range(_BURST):
                # A client that does not take its answers gets no more of them made.
                if self.state is not ConnectionState.WAITING or not self._inbox or self.writing_paused:
                    break
                if not self._begin_next():
                    break
            else:
                # A client that pipelines small requests without an end would keep this loop, and so all others waiting.
                self._loop.call_soon(self._advance)
        finally:
            self._advancing = False
        if self._reading_paused or self._inbox.full:
            self._regulate()

    def _begin_next(self) -> bool:
        """Begin the request at the head of the inbox; False if its head is not there yet."""
        begins = self._inbox.begins()
        try:
            head = self._inbox.next_head()
        except Malformed as refused:
            self._refuse(refused.status, refused.cause)
            return False
        if head is not None:
            self._begin(head)
            return True
        # The time for a head runs from its first byte, and is not moved by the next ones: a client that sends a byte
        # now and then ("slowloris") would keep its place for ever.
        if begins and self._inbox:
            self._deadline.set(self._loop.time() + self._server.limits.head_timeout)
        self._inbox.look_no_more()
        return False

    def _begin(self, head: bytes, rest: bytes = b"") -> None:
        """Begin a request. `rest` came with its head, and is not in the inbox, which is empty then."""
        server = self._server
        self.state, self._head = ConnectionState.SERVING, head
        self._held = self._expects = False
        # The fast path takes only what is plain and allowed. To all else it says None, having sent nothing to anybody,
        # and the ordinary path begins anew with the same bytes.
        self._chosen = server.chosen is not None and server.chosen()
        exchange = None
        if server.fast is not None and not self._chosen:
            exchange = server.fast.take(self, self._address, head)
        if exchange is None:
            self._inbox.add(rest)
            self._begin_ordinary()
            return
        body = exchange.request_body
        if body is None:
            self._inbox.add(rest)
        self._way, self._body, self._expects = exchange, body, exchange.expects
        self._stays_open = exchange.stays_open
        exchange.start()
        if body is not None and rest and self._held:
            self._inbox.add(rest)
        elif body is not None and rest:
            self._feed(body, rest)
        if self._inbox:
            self._pump()

    def _begin_ordinary(self) -> None:
        limits, transport = self._server.limits, self.transport
        assert transport is not None
        try:
            head = read_head(self._head[:-4], limits.header_count)
        except Malformed as refused:
            self._refuse(refused.status, refused.cause)
            return
        self._body = self._body or body_of(head, limits.head_size)  # the fast path may have looked at it
        self._stays_open, self._expects = head.stays_open, head.expects and self._body is not None
        # "OPTIONS *" asks about the server, not about a resource (RFC 9110 §9.3.7), so no route can answer.
        self._way = way = OrdinaryAnswer(
            head=head,
            client=self,
            handler=server_options if head.target == "*" else self._server.handler,
            transport=transport,
            loop=self._loop,
            chosen=self._chosen,
        )
        way.start()
        self._pump()

    # -- the request's body ----------------------------------------------------------------------------------------

    def _pump(self) -> None:
        """Hand on what has arrived of the body."""
        body = self._body
        if body is not None and self._inbox and not self._held and self.state is ConnectionState.SERVING:
            self._feed(body, self._inbox.take_all())
        if self._inbox or self._reading_paused:
            self._regulate()

    def _feed(self, body: Body, data: bytes) -> None:
        way = self._way
        assert way is not None
        self._expects = False  # whatever was said about 100 Continue: the body has begun to come
        try:
            piece, rest = body.feed(data)
        except BrokenBody as broken:
            # Where a broken body ends can't be known, so neither where the next request begins (RFC 9112 §6.3).
            self._body, self._stays_open, self._unreadable = None, False, True
            way.body_broken(str(broken))
            return
        self._inbox.add(rest)
        if body.complete:
            self._body = None
        if piece:
            way.body(piece)
        if body.complete and self._way is way:  # it may have answered, and so ended, at this very piece
            way.body_end()
        if rest:
            self._regulate()

    def _wait(self) -> None:
        """For the next request, which may be there already."""
        self.state, self._idle_since = ConnectionState.WAITING, self._loop.time()
        # Not moved with every request: when the time that is set comes, it is seen since when the connection is idle.
        if (until := self._idle_until) < self._deadline.at:
            self._deadline.set(until)
        if self._inbox:
            self._advance()
        elif self._reading_paused:
            self._regulate()

    # -- what a way to answer asks for -----------------------------------------------------------------------------

    @property
    def may_stay_open(self) -> bool:
        """Whether another request may follow the one under way, whose answer is about to say so (RFC 9112 §9.3)."""
        rest_comes = self._body is None or self._discardable
        return self._stays_open and not self._server.draining and rest_comes

    @property
    def _idle_until(self) -> float:
        """When the connection closes if nothing comes, in seconds of the loop's clock."""
        server = self._server
        return self._idle_since + (server.linger if server.draining else server.limits.keepalive_timeout)

    def hold_body(self) -> None:
        """Take no more of the body from the client until `release_body`."""
        self._held = True
        self._regulate()

    def release_body(self) -> None:
        """Go on with the body, beginning with what has arrived meanwhile."""
        if self._held:
            self._held = False
            self._pump()

    def hand_over(self) -> None:
        """The ordinary path shall answer. Only for a request of which the fast path has sent nothing to anybody."""
        self._way, self._held = None, False
        if self.transport is not None:
            self._begin_ordinary()

    def become_tunnel(self, early: Callable[[bytes], object]) -> None:
        """From now on the bytes are no requests. `early` takes those that came before the tunnel could."""
        self.state, self._early = ConnectionState.TUNNEL, early
        early(self._inbox.take_all())

    def answered(self, *, keep: bool) -> None:
        """The answer is written. `keep`: it did not say that the connection closes."""
        self._way, self._held = None, False
        if self.state is not ConnectionState.SERVING:
            return
        if not keep or not self._stays_open:
            self._end()
        elif self._body is None:
            self._wait()
        elif self._discardable:
            self.state = ConnectionState.DISCARDING
            self._deadline.set(self._loop.time() + DISCARD_TIME)
            self._regulate()
            self._discard()
        else:
            self._linger()

    def failed(self, *, began: bool) -> None:
        """The way to answer is broken. Whoever has read a part of the answer must see that it is not whole."""
        self._way = None
        if began:
            self.cut()
        else:
            status, head_only = HTTPStatus.INTERNAL_SERVER_ERROR, self._head.startswith(b"HEAD ")
            self._refuse(status, "the handler failed", head_only=head_only)
