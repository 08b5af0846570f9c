"""How a client's connection ends: politely after an answer, with a refusal, at once when we drain, or by a deadline.

The part of `connection` that needs to know nothing of requests. RFC 9112 §9.6 is the reason for most of it.
"""

import asyncio
import logging
import select
from contextlib import suppress
from enum import Enum, auto
from http import HTTPStatus

from gateway.model import IPAddress
from gateway.observability import metrics
from gateway.request.chunked_body import BrokenBody
from gateway.request.framing import Body, Inbox, LengthBody
from gateway.request.malformed import answer, as_bytes
from gateway.server.deadline import Deadline
from gateway.server.fastpath.client_address import ClientAddress
from gateway.server.way import Accepting

log = logging.getLogger("gateway.connection")

LINGER_QUIET, LINGER_TIME, LINGER_BYTES = 5.0, 30.0, 256 * 1024 * 1024
"""Seconds without a byte, seconds and bytes in all, for which a closing connection is read on (RFC 9112 §9.6): closing
it with bytes unread makes TCP reset it, and a reset can take the answer along before the client has read it."""
BRIEFLY = 1.0
"""Seconds of that while we drain, or where there are too many connections; and for how long a connection that was used
a moment ago may still bring a request when we drain."""
DISCARD_BYTES, DISCARD_TIME = 64 * 1024, 5.0
"""The rest of a body whose answer is out already is read and thrown away if it is no more than so many bytes and comes
within so many seconds; else the connection closes, and its answer has said so."""
FLUSH_TIME = 30.0
"""Seconds in which a client must take some of what is buffered when its connection closes."""


class ConnectionState(Enum):
    """What a client's connection is doing; see `ClientConnection` for the way from one to the next."""

    WAITING = auto()  # for a request, or for the rest of its head
    SERVING = auto()
    DISCARDING = auto()  # the answer is out, the rest of the body is not yet in
    LINGERING = auto()  # the answer is out and no other will follow; the client may still be sending
    TUNNEL = auto()
    CLOSED = auto()


def _has_arrived(transport: asyncio.Transport) -> bool:
    """Whether the socket holds bytes that nobody has read, or the end of what the other side sends."""
    sock = transport.get_extra_info("socket")
    if sock is None or sock.fileno() < 0:
        return False
    waiting = select.poll()
    waiting.register(sock.fileno(), select.POLLIN)
    return bool(waiting.poll(0))


class ClosingConnection(asyncio.Protocol):
    """A connection with what it has received, its deadline, and the ways in which it closes."""

    __slots__ = (
        "_address",
        "_body",
        "_deadline",
        "_expects",
        "_held",
        "_idle_since",
        "_inbox",
        "_linger_end",
        "_linger_left",
        "_loop",
        "_reading_paused",
        "_server",
        "_unreadable",
        "_unsent",
        "state",
        "transport",
        "writing_paused",
    )

    def __init__(self, server: Accepting, loop: asyncio.AbstractEventLoop) -> None:
        self._server, self._loop = server, loop
        self.state = ConnectionState.WAITING
        self.transport: asyncio.Transport | None = None
        self._address = ClientAddress(None, None, False)
        self._inbox = Inbox(server.limits.head_size)
        self._body: Body | None = None  # what is still to come of the body of the request under way
        self._held = False  # nobody takes that body now
        self._expects = False  # the client waits for 100 Continue, or for an answer, before it sends the body
        self._reading_paused = self.writing_paused = False
        self._deadline = Deadline(loop, self._too_late)
        self._idle_since = self._linger_end = 0.0
        self._linger_left = self._unsent = 0
        self._unreadable = False  # the client sends a body whose end can't be told

    @property
    def peer(self) -> IPAddress | None:
        """The address at the other end, None on a unix socket."""
        return self._address.peer

    def retire(self) -> None:
        """We drain. An idle connection closes at once, so that its client turns to our successor.

        One that was used a moment ago may have a request on its way: it has that moment more, and an answer with
        `Connection: close` (RFC 9112 §9.6).
        """
        now = self._loop.time()
        if self.state is ConnectionState.WAITING and not self._inbox:
            if self._idle_until <= now:
                self._hang_up()
            else:
                self._deadline.set(self._idle_until)
        elif self.state in (ConnectionState.DISCARDING, ConnectionState.LINGERING):
            self._linger_end = now + BRIEFLY
            self._deadline.set(self._linger_end)

    def cut(self) -> None:
        """Break the connection so that the client sees the answer as incomplete."""
        if self.transport is not None and self.state is not ConnectionState.TUNNEL:
            self.state = ConnectionState.CLOSED
            self.transport.abort()

    def _end(self) -> None:
        """Close behind an answer that said so."""
        # Where the client may still be sending, closing at once would reset the connection (RFC 9112 §9.6). Otherwise
        # both sides know that nothing follows.
        more_to_come = self._inbox or self._body is not None or self._unreadable or self._reading_paused
        if more_to_come or self._server.draining:
            self._linger()
        else:
            self._close()

    @property
    def _discardable(self) -> bool:
        """Whether what is still to come of a body is little, and sure to come.

        A client that waits for 100 Continue may get its final answer first. Then it may send the body or leave it out
        (RFC 9110 §10.1.1), and what comes next could be the body or a request.
        """
        body = self._body
        return isinstance(body, LengthBody) and body.left <= DISCARD_BYTES and not self._expects

    def _discard(self) -> None:
        """Throw away the rest of a body that was answered early; serve what stands behind it."""
        body = self._body
        if body is not None:
            try:
                _, rest = body.feed(self._inbox.take_all())
            except BrokenBody:
                self._linger()
                return
            self._inbox.add(rest)
            if not body.complete:
                return
            self._body = None
        self._wait()

    def _wait(self) -> None:
        """Wait for the next request; written in `ClientConnection`."""
        raise NotImplementedError

    @property
    def _idle_until(self) -> float:
        """When the connection closes if nothing comes, in seconds of the loop's clock; written there, too."""
        raise NotImplementedError

    def _linger(self, seconds: float = LINGER_TIME) -> None:
        """Say that we are done, and read on without looking until the client closes, too."""
        transport = self.transport
        if transport is None or transport.is_closing():
            return
        self.state, self._body, self._linger_left = ConnectionState.LINGERING, None, LINGER_BYTES
        self._inbox.clear()
        now = self._loop.time()
        self._linger_end = now + (BRIEFLY if self._server.draining else seconds)
        self._deadline.set(min(now + LINGER_QUIET, self._linger_end))
        self._regulate()
        if transport.can_write_eof():  # TLS can't: there, the client goes by `Connection: close` alone
            transport.write_eof()

    def _read_on(self, size: int) -> None:
        """More came that nobody will look at."""
        self._linger_left -= size
        if self._linger_left < 0:
            self._close()
        else:
            self._deadline.set(min(self._loop.time() + LINGER_QUIET, self._linger_end))

    def _hang_up(self) -> None:
        """Close an idle connection, unless something has arrived on it that the loop is about to hand to us.

        Closed now, that request would be lost, and the client can't know whether it was served: a proxy that asked
        would say 502. What it sends until it hears of the close is lost all the same, so it hears at once.
        """
        transport = self.transport
        if transport is None:
            return
        if _has_arrived(transport):
            self._deadline.set(self._loop.time() + BRIEFLY)
            return
        if transport.can_write_eof():
            with suppress(OSError):  # the other end is gone
                transport.write_eof()  # asyncio closes the socket in the loop's next turn only
        self._close()

    def _close(self) -> None:
        if self.transport is None:
            return
        self.state = ConnectionState.CLOSED
        self.transport.close()
        self._await_flush()

    def _await_flush(self) -> None:
        """Wait while a slow client takes what is buffered; one that takes nothing more is cut off."""
        assert self.transport is not None
        self._unsent = self.transport.get_write_buffer_size()
        # asyncio's close() has no limit of its own, so that a client that takes nothing would keep the socket for ever.
        if self._unsent:
            self._deadline.set(self._loop.time() + FLUSH_TIME)

    def _refuse(
        self, status: int, cause: str, *, linger: float = LINGER_TIME, head_only: bool = False
    ) -> None:
        """Answer what is no request. Where one that can't be read ends is unknown, so nothing that follows can be
        trusted.

        `linger` is how many seconds the connection is read on.
        """
        metrics.requests.labels("", str(int(status)), "").inc()
        fields = {
            "event": "bad_request",
            "client": self._address.text,
            "status": int(status),
            "cause": cause,
        }
        log.info("refused", extra={"fields": fields})
        if self.transport is not None:
            self.transport.write(as_bytes(answer(int(status), self._server.page), head_only=head_only))
        self._linger(linger)

    def _too_late(self) -> None:
        """Ways to answer and tunnels have deadlines of their own."""
        if self.transport is None or self.state is ConnectionState.TUNNEL:
            return
        now, in_head = self._loop.time(), bool(self._inbox) and not self._inbox.begins()
        if self.state is ConnectionState.SERVING:
            self._deadline.set(now + self._server.limits.keepalive_timeout)  # for the time behind the answer
        elif self.state is ConnectionState.WAITING and not in_head and now < self._idle_until:
            self._deadline.set(self._idle_until)
        elif self.state is ConnectionState.WAITING and in_head and not self.writing_paused:
            self._refuse(HTTPStatus.REQUEST_TIMEOUT, "head took too long")
        elif self.state is ConnectionState.WAITING and not in_head and not self._inbox:
            self._hang_up()
        elif self.state is ConnectionState.CLOSED:
            # Slow is no fault: as long as the client takes anything in each FLUSH_TIME it gets the rest.
            if self.transport.get_write_buffer_size() < self._unsent:
                self._await_flush()
            else:
                self.transport.abort()
        else:
            self._close()

    def _regulate(self) -> None:
        """Stop the client while we can't use more of what it sends."""
        if self.transport is None or self.state in (ConnectionState.TUNNEL, ConnectionState.CLOSED):
            return
        full = self.state in (ConnectionState.SERVING, ConnectionState.WAITING) and (
            self._held or self._inbox.full
        )
        if full != self._reading_paused:
            self._reading_paused = full
            if full:
                self.transport.pause_reading()
            else:
                self.transport.resume_reading()
