"""An upstream connection of the fast path, and the stock of idle ones. It carries bytes; the exchange reads them."""

import asyncio
from collections import deque
from typing import Protocol, cast

from gateway.proxy.upstreams import IDLE_CONNECTIONS, KEEP_IDLE, RISKY_AFTER


class Listener(Protocol):
    """What a busy wire reports to."""

    def received(self, data: bytes) -> None:
        """Bytes have come."""

    def upstream_full(self, full: bool) -> None:
        """Whether more must not be written for now."""

    def upstream_lost(self, clean: bool) -> None:
        """The connection is gone; `clean` if it was closed and not reset."""


class UpstreamWire(asyncio.Protocol):
    """One connection to an upstream. While nobody listens it is idle: the answer to no request is awaited on it."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self.listener: Listener | None = None
        self.idle_since = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        if self.listener is None:
            self.abort()  # bytes nobody asked for would be taken for the answer to the next request (RFC 9112 §9.2)
        else:
            self.listener.received(data)

    def pause_writing(self) -> None:
        if self.listener is not None:
            self.listener.upstream_full(True)

    def resume_writing(self) -> None:
        if self.listener is not None:
            self.listener.upstream_full(False)

    def connection_lost(self, exc: Exception | None) -> None:
        self.transport = None
        if self.listener is not None:
            self.listener.upstream_lost(exc is None)

    def abort(self) -> None:
        """Close at once. The listener hears nothing of it."""
        self.listener = None
        if self.transport is not None:
            self.transport.abort()


class WirePool:
    """Idle wires to one upstream, the most recently used on top. `now` is the loop's time."""

    def __init__(self) -> None:
        self._idle: deque[UpstreamWire] = deque()

    def take(self, now: float, *, replayable: bool) -> UpstreamWire | None:
        """Return a wire for this request, None if one must be opened. `now`: seconds of the loop's clock.

        One that idled for a while may be closing at its other end, which only shows when the request is out: what can't
        be sent again does not go there (RFC 9112 §9.3.1).
        """
        while self._idle:
            wire = self._idle.pop()
            if wire.transport is None or wire.transport.is_closing():
                continue
            # The newest is on top: if that one is too old, so are all below it.
            idle = now - wire.idle_since
            if idle > KEEP_IDLE:
                wire.abort()
                self.close()
                return None
            if idle > RISKY_AFTER and not replayable:
                self._idle.append(wire)
                return None
            return wire
        return None

    def put(self, wire: UpstreamWire, now: float) -> None:
        """Keep a wire whose exchange was completed at `now` (the loop's clock), or close it if there are enough."""
        wire.listener = None
        if wire.transport is None or len(self._idle) >= IDLE_CONNECTIONS:
            wire.abort()
            return
        wire.idle_since = now
        self._idle.append(wire)

    def close(self) -> None:
        """Close all idle wires."""
        while self._idle:
            self._idle.pop().abort()
