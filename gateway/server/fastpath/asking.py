"""The half of an exchange that faces the app with the request: a wire, the head, the body, and 100 Continue.

As long as nothing was sent to the upstream, the request can be handed over to the ordinary path, which knows about
failover. After that it stays here: the app has it, and asking again could do twice what it asks for. It is sent a
second time only if a wire that had been kept turns out to be dead without a byte of an answer (RFC 9112 §9.3.1), the
method allows it (RFC 9110 §9.2.2), and it has no body.
"""

import asyncio

from gateway.errors import GatewayError, RequestRefused, UpstreamError
from gateway.proxy.request_upload import INVITE_AFTER, too_large
from gateway.proxy.round_trip import IDEMPOTENT
from gateway.server.fastpath.response_head import FastResponseHead, chunk
from gateway.server.fastpath.upstream_wires import UpstreamWire
from gateway.server.fastpath.wanted import ExchangeClient, Wanted


class RequestHalf:
    """Sends a request; its heir `Exchange` receives the answer."""

    __slots__ = (
        "_answer",
        "_asked",
        "_connecting",
        "_heard",
        "_invitation",
        "_invited",
        "_loop",
        "_rendered",
        "_reused",
        "_uploaded",
        "_uploading",
        "_upstream",
        "_wire",
        "_wire_full",
        "client",
        "deadline",
        "expects",
        "over",
        "request_body",
        "started",
        "stays_open",
        "wanted",
    )

    def __init__(self, wanted: Wanted, client: ExchangeClient, loop: asyncio.AbstractEventLoop) -> None:
        allowed, body = wanted.allowed, wanted.body
        self.wanted, self.client, self._loop = wanted, client, loop
        self._upstream, self._rendered = allowed.upstream, allowed.rendered
        self.request_body, self.stays_open = body, allowed.plan.stays_open
        self.started = loop.time()
        self.deadline = self.started + allowed.rendered.response_time
        self._wire: UpstreamWire | None = None
        self._answer: FastResponseHead | None = None
        self._connecting: asyncio.Task[None] | None = None
        self._invitation: asyncio.TimerHandle | None = None
        self._uploaded = 0
        self.over = self._asked = self._reused = self._heard = self._wire_full = False
        self._uploading = body is not None
        self.expects = self._uploading and allowed.plan.expects
        """Whether the client waits for 100 Continue, or for an answer, before it sends the body."""
        self._invited = not self.expects

    def start(self) -> None:
        """Send the request on a kept wire, or open one."""
        # Silence during an upload is the client's, so that time counts; `response` begins when all of it is out.
        if self._uploading:
            self.deadline = self.started + self._rendered.idle_time
        wire = self.wanted.stock.take(self.started, replayable=self._replayable)
        if wire is not None:
            self._reused = True
            self._send(wire)
        else:
            self._open()

    @property
    def _replayable(self) -> bool:
        """Whether the request may be sent twice (RFC 9110 §9.2.2). A body is not kept, so it can't be."""
        return self.wanted.body is None and self.wanted.line.method in IDEMPOTENT

    def _open(self) -> None:
        # No byte of the body is taken while there is nowhere to send it: it would be gone if the ordinary path takes
        # over.
        if self._uploading:
            self.client.hold_body()
        self._connecting = self._loop.create_task(self._connect())

    async def _connect(self) -> None:
        try:
            wire = await self._upstream.open(UpstreamWire, self.wanted.allowed.site.route.timeouts.connect)
        except UpstreamError as error:
            if self.over:
                return
            if self._asked:
                self._fail(error)
            else:
                self._end(0)
                self.client.hand_over()
            return
        if self.over:
            wire.abort()
        else:
            self._send(wire)

    def _send(self, wire: UpstreamWire) -> None:
        self._wire, wire.listener, self._asked = wire, self, True
        if wire.transport is not None:
            wire.transport.write(self.wanted.out)
        if self._uploading:
            if not self._invited:
                self._invitation = self._loop.call_later(INVITE_AFTER, self._invite)
            self.client.release_body()

    def _invite(self) -> None:
        """The app does not say whether it wants the body. Not every app does, and the client waits."""
        if not self._invited and not self.over and self.client.transport is not None:
            self._invited = True
            self.client.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    # -- the request's body ----------------------------------------------------------------------------------------

    def body(self, data: bytes) -> None:
        """Send on a piece of the client's body."""
        wanted, wire = self.wanted, self._wire
        self._uploaded += len(data)
        most = wanted.allowed.site.route.max_body
        if most and self._uploaded > most:
            self._fail(too_large())
            return
        if wire is not None and wire.transport is not None:
            wire.transport.write(chunk(data) if wanted.chunked else data)
        self.deadline = self._loop.time() + self._rendered.idle_time

    def body_end(self) -> None:
        """Hear that the body is complete: from now on the app's time for its answer runs."""
        self._uploading = False
        if self.wanted.chunked and self._wire is not None and self._wire.transport is not None:
            self._wire.transport.write(b"0\r\n\r\n")
        if self._answer is None:
            self.deadline = self._loop.time() + self._rendered.response_time

    def body_broken(self, cause: str) -> None:
        """Hear that the client's framing is wrong: the request is refused, and the app's connection cut in the middle
        of it.
        """
        self._fail(RequestRefused(f"broken request body: {cause}"))

    def upstream_full(self, full: bool) -> None:
        """Hold the client back while the upstream reads more slowly than the client sends."""
        self._wire_full = full
        if full:
            self.client.hold_body()
        else:
            self.deadline = self._loop.time() + self._rendered.idle_time
            self.client.release_body()

    # -- what the other half does ----------------------------------------------------------------------------------

    def received(self, data: bytes) -> None:
        """Take bytes of the answer; written in `Exchange`."""
        raise NotImplementedError

    def upstream_lost(self, clean: bool) -> None:
        """Hear that the upstream's connection is gone; written in `Exchange`."""
        raise NotImplementedError

    def _fail(self, error: GatewayError) -> None:
        raise NotImplementedError

    def _end(self, status: int, reason: str = "") -> None:
        raise NotImplementedError
