"""A pair of transports joined to a raw tunnel: bytes in on one side go out on the other, with back-pressure.

Both get a small protocol of ours, so an idle tunnel costs two sockets and little more. The only thing ever added is
one Close frame, between frames, when the tunnel is closed from here.
"""

import asyncio
from collections.abc import Callable

from gateway.proxy.websocket_frames import FrameTracker, close_frame

CLOSE_GRACE = 2.0
"""Seconds that a client has to take the Close frame."""


class _End(asyncio.Protocol):
    """One side: hands on what arrives, and stops its peer from reading while it can't write."""

    __slots__ = ("_ended", "_peer", "_received", "_transport")

    def __init__(self, received: Callable[[bytes], None], ended: Callable[[], None]) -> None:
        self._received, self._ended = received, ended
        self._transport: asyncio.Transport | None = None
        self._peer: _End | None = None

    def join(self, transport: asyncio.Transport, peer: "_End") -> None:
        """Take over a connection. From here on its bytes come to `received`, and `peer` is slowed down for it."""
        self._transport, self._peer = transport, peer
        # From here on asyncio hands this side's bytes to us, past the HTTP parsers: a tunnel is not HTTP any more.
        transport.set_protocol(self)

    @property
    def gone(self) -> bool:
        return self._transport is None

    def write(self, data: bytes) -> None:
        if data and self._transport is not None:
            self._transport.write(data)

    def finish(self) -> None:
        """Close after what is buffered has been sent."""
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def pause(self, paused: bool) -> None:
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        if paused:
            transport.pause_reading()
        else:
            transport.resume_reading()

    def data_received(self, data: bytes) -> None:
        self._received(data)

    # Back-pressure (asyncio's flow control): while this side can't send, the other is not read, so that a slow reader
    # costs a bounded buffer and TCP's window does the rest.

    def pause_writing(self) -> None:
        if self._peer is not None:
            self._peer.pause(True)

    def resume_writing(self) -> None:
        if self._peer is not None:
            self._peer.pause(False)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = self._peer = None
        self._ended()


class Tunnel:
    """One open WebSocket. `close` ends it politely from our side, `abort` at once."""

    __slots__ = (
        "_asked",
        "_close",
        "_done",
        "_idle",
        "_last",
        "_seen",
        "_timer",
        "_tracker",
        "client",
        "upstream",
        "url",
    )

    def __init__(self, idle: float) -> None:
        """`idle` is how many seconds may pass without a byte in either direction before it is closed; 0 =
        for ever.
        """
        self.url = ""
        """Of the upstream that it leads to."""
        self._tracker = FrameTracker()
        self._asked: FrameTracker | None = (
            None  # of the client, from its first byte on: most tunnels are idle
        )
        self._seen = 0
        self._close = b""
        self._done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._idle = idle
        self._last = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self.client = _End(self.from_client, self.end)
        self.upstream = _End(self.from_upstream, self.end)

    def open(
        self, client: asyncio.Transport, upstream: asyncio.Transport, early: bytes, greeting: bytes
    ) -> None:
        """Join the two transports; `early` came from the client and `greeting` from the upstream beforehand."""
        self.client.join(client, self.upstream)
        self.upstream.join(upstream, self.client)
        # What each side sent with its half of the handshake comes first, or frames would change their order.
        self._follow(early)
        self.upstream.write(early)
        self._note(greeting)
        self.client.write(greeting)
        client.resume_reading()
        upstream.resume_reading()
        self._touch()
        if self._close:  # the session ended during the handshake
            self._close_at_boundary()
            self._arm(CLOSE_GRACE, self.abort)
        self._watch_idle()

    def was_used(self) -> bool:
        """Whether the client has sent a message since this was last asked."""
        seen, self._seen = self._seen, self._asked.messages if self._asked else 0
        return seen != self._seen

    def _note(self, data: bytes) -> None:
        """Note where frames of the upstream end."""
        self._tracker.feed(data)

    def _follow(self, data: bytes) -> None:
        if data:
            self._asked = self._asked or FrameTracker()
            self._asked.feed(data)

    async def wait(self) -> None:
        """Wait until both sides have gone."""
        await self._done

    def from_client(self, data: bytes) -> None:
        """Take bytes of the client for the upstream."""
        self._touch()
        # Once we close, frames of the client are dropped: its session is over, and nothing of it may reach the app.
        if not self._close:
            self._follow(data)
            self.upstream.write(data)

    def from_upstream(self, data: bytes) -> None:
        """Take bytes of the upstream for the client, and note where its frames end."""
        self._touch()
        if not self._close:
            self._note(data)
            self.client.write(data)
        elif not self._tracker.at_boundary:
            # Data behind our Close frame would be a protocol error (RFC 6455 §5.5.1), but the frame under way must be
            # whole, or the client would read our Close as part of its payload.
            self.client.write(data[: self._tracker.to_boundary(data)])
            self._close_at_boundary()

    def close(self, code: int, reason: str) -> None:
        """Send a Close frame (`code` as in RFC 6455 §7.4, `reason` at most 123 bytes) once the frame under way is
        complete, then hang up; after CLOSE_GRACE seconds whatever the client does.
        """
        if self._close or self._done.done():
            return
        self._close = close_frame(code, reason)
        self._close_at_boundary()
        self._arm(CLOSE_GRACE, self.abort)

    def _close_at_boundary(self) -> None:
        if self._tracker.at_boundary:
            self.client.write(self._close)
            # The client's own Close, or its hanging up, ends the tunnel. Closing now, with bytes of the client
            # unread, would make TCP reset the connection and could take our frame along.
            self.upstream.abort()

    def end(self) -> None:
        """End the tunnel because one side has gone: the other gets what is on its way to it, and is closed."""
        if self._close and not self.client.gone:
            return  # we closed the upstream ourselves; the client still has CLOSE_GRACE for our frame
        self.client.finish()
        self.upstream.finish()
        if self.client.gone and self.upstream.gone:
            self.stop()

    def abort(self) -> None:
        """Cut both connections at once, with whatever is still to be sent."""
        self.client.abort()
        self.upstream.abort()

    def stop(self) -> None:
        """Stop the timer and let `wait` return: both sides have gone."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if not self._done.done():
            self._done.set_result(None)

    def _touch(self) -> None:
        self._last = asyncio.get_running_loop().time()

    def _watch_idle(self) -> None:
        """One timer a tunnel, moved only when it fires, not with every frame."""
        if not self._idle or self._close:
            return
        left = self._last + self._idle - asyncio.get_running_loop().time()
        if left <= 0:
            self.close(1001, "idle")
        else:
            self._arm(left, self._watch_idle)

    def _arm(self, delay: float, what: Callable[[], None]) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(delay, what)


class _HalfOpenEnd(_End):
    """One side that may have said all that it has to say, and still listens: `docker run -i` with a pipe."""

    __slots__ = ("_ended_sending",)

    def __init__(self, received: Callable[[bytes], None], ended: Callable[[], None]) -> None:
        super().__init__(received, ended)
        self._ended_sending = False

    def eof_received(self) -> bool:
        self._ended_sending = True
        peer = self._peer
        if not isinstance(peer, _HalfOpenEnd) or peer._ended_sending:
            return False  # nobody has anything more to say
        return peer.finish_sending()

    def finish_sending(self) -> bool:
        """Tell this side that no more will come; False where only closing says so (TLS)."""
        transport = self._transport
        if transport is None or transport.is_closing() or not transport.can_write_eof():
            return False
        transport.write_eof()
        return True


class OpaqueTunnel(Tunnel):
    """A tunnel of another protocol, whose bytes we don't read. Closed from here, it just ends.

    What the client sends is use, whatever it is.
    """

    __slots__ = ("_used",)

    def __init__(self, idle: float) -> None:
        super().__init__(idle)
        self._used = False
        self.client = _HalfOpenEnd(self.from_client, self.end)
        self.upstream = _HalfOpenEnd(self.from_upstream, self.end)

    def was_used(self) -> bool:
        used, self._used = self._used, False
        return used

    def _note(self, data: bytes) -> None: ...

    def _follow(self, data: bytes) -> None:
        self._used = self._used or bool(data)

    def _close_at_boundary(self) -> None:
        self.abort()
