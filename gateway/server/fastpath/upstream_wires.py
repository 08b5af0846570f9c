"""An upstream connection of the fast path, and the stock of idle ones. It carries bytes; the exchange reads them."""

import asyncio
from collections import deque
from typing import Protocol, cast

from gateway.proxy.upstreams import IDLE_CONNECTIONS, KEEP_IDLE, RISKY_AFTER


class Listener(Protocol):
    """What a busy wire reports to."""

    def received(self, data: bytes) -> None: ...
    def upstream_full(self, full: bool) -> None: ...
    def upstream_lost(self, clean: bool) -> None: ...


class UpstreamWire(asyncio.Protocol):
    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self.listener: Listener | None = None
        self.idle_since = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        if self.listener is None:
            self.abort()  # bytes nobody asked for would be taken for the answer to the next request
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
        self.listener = None
        if self.transport is not None:
            self.transport.abort()


class WirePool:
    """Idle wires to one upstream, the most recently used on top. `now` is the loop's time."""

    def __init__(self) -> None:
        self._idle: deque[UpstreamWire] = deque()

    def take(self, now: float, *, replayable: bool) -> UpstreamWire | None:
        """A wire for this request. One that idled for a while may be closing at its other end, which only shows when
        the request is out: what can't be sent again does not go there (RFC 9112 §9.3.1)."""
        while self._idle:
            wire = self._idle.pop()
            if wire.transport is None or wire.transport.is_closing():
                continue
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
        wire.listener = None
        if wire.transport is None or len(self._idle) >= IDLE_CONNECTIONS:
            wire.abort()
            return
        wire.idle_since = now
        self._idle.append(wire)

    def close(self) -> None:
        while self._idle:
            self._idle.pop().abort()
