"""A client connection: aiohttp's protocol plus the limits that keep one client from costing too much (rule 7).

A head that is too large is 431, one that trickles in is 408, anything that can't be parsed is 400; each gets a short
plain answer and a closed connection, before any of our handlers sees it.
"""

import asyncio
import logging
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from aiohttp import web
from aiohttp.web_protocol import RequestHandler

from gateway.config.schema import HttpLimits
from gateway.observability import metrics
from gateway.request.forwarded import peer_address
from gateway.request.malformed import Page, answer, as_bytes, cause_of, status_of
from gateway.server.fastpath import FastPath
from gateway.server.fastpath.exchange import Exchange
from gateway.server.fastpath.fast_path import ClientAddress

log = logging.getLogger("gateway.connection")


class ClientConnection(RequestHandler):
    """One client connection of a `ConnectionServer`."""

    __slots__ = (
        "_address",
        "_ahead",
        "_exchange",
        "_head_bytes",
        "_head_timer",
        "_limits",
        "_owner",
        "chosen",
    )

    def __init__(self, owner: "ConnectionServer", limits: HttpLimits, **kwargs: Any) -> None:
        super().__init__(owner, **kwargs)
        self._owner, self._limits = owner, limits
        self._head_timer: asyncio.TimerHandle | None = None
        self._head_bytes = 0
        self._exchange: Exchange | None = None
        self._ahead = b""  # what came behind a request that is under way on the fast path
        self._address = ClientAddress(None, None, False)
        self.chosen = False
        """Whether the request under way is to be traced; those go the ordinary path."""

    @property
    def draining(self) -> bool:
        return self._owner.draining

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        name = transport.get_extra_info("peername")
        text = str(name[0]) if isinstance(name, tuple) else None
        secure = transport.get_extra_info("sslcontext") is not None
        self._address = ClientAddress(peer_address(name), text, secure)
        if len(self._owner.connections) > self._limits.connections:
            self._refuse(HTTPStatus.SERVICE_UNAVAILABLE, "too many connections")

    def data_received(self, data: bytes) -> None:
        if self._exchange is not None:
            self._keep_for_later(data)
        elif not self._takes_fast_path(data):
            self._ordinary(data)

    def _takes_fast_path(self, data: bytes) -> bool:
        fast = self._owner.fast
        idle = self._waiter is not None and not self._head_bytes and self._waiting_for_head()
        if idle and self._owner.chosen is not None:
            self.chosen = self._owner.chosen()
        if (
            fast is None
            or not idle
            or self.chosen
            or self._owner.draining
            or self._close
            or self._force_close
        ):
            return False
        if len(data) > self._limits.head_size or self.writing_paused:
            return False  # a head to be refused; a client that has not taken its last answer yet
        exchange = fast.take(self, self._address, data)
        if exchange is None:
            return False
        self._exchange = exchange
        exchange.start()
        return True

    def _keep_for_later(self, data: bytes) -> None:
        self._ahead += data
        if len(self._ahead) > self._limits.head_size and self.transport is not None:
            self.transport.pause_reading()

    def _ordinary(self, data: bytes) -> None:
        if self._waiting_for_head():
            self._head_bytes += len(data)
            if self._head_timer is None:
                self._head_timer = self._loop.call_later(self._limits.head_timeout, self._head_too_slow)
        super().data_received(data)
        if self._head_timer is not None and not self._waiting_for_head():
            self._stop_head_timer()
        elif self._head_bytes > self._limits.head_size and self._waiting_for_head():
            self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "head is too large")

    def connection_lost(self, exc: BaseException | None) -> None:
        self._stop_head_timer()
        if self._exchange is not None:
            exchange, self._exchange = self._exchange, None
            exchange.client_gone()
        super().connection_lost(exc)

    # -- Client of an exchange (gateway.fastpath) ------------------------------------------------------------------

    def hand_back(self, data: bytes) -> None:
        """Let the ordinary path have a request that the fast path could not finish."""
        self._exchange = None
        ahead, self._ahead = self._ahead, b""
        self._read_on()
        self._ordinary(data + ahead)

    def exchange_done(self) -> None:
        self._exchange = None
        if self._close:
            self.force_close()
            return
        # While draining it stays open for the linger: this answer did not say `Connection: close`, so the next
        # request may be on its way already. That one goes the ordinary path, whose answer does.
        self._next_keepalive_close_time = self._loop.time() + self._keepalive_timeout
        if self._ahead:
            self._loop.call_soon(self._next_request)

    def cut(self) -> None:
        self._exchange = None
        if self.transport is not None:
            self.transport.abort()
        self.force_close()

    def _next_request(self) -> None:
        ahead, self._ahead = self._ahead, b""
        if ahead and self._exchange is None:
            self._read_on()
            self.data_received(ahead)

    def _read_on(self) -> None:
        if self.transport is not None:
            self.transport.resume_reading()

    def pause_writing(self) -> None:
        super().pause_writing()
        if self._exchange is not None:
            self._exchange.pause()

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._exchange is not None:
            self._exchange.resume()

    def close(self) -> None:
        """End the connection after the response that is under way."""
        if self._exchange is not None:
            self._close = True
        elif not self._waiting_for_head():
            super().close()
        elif not self._head_bytes:
            # aiohttp would only stop waiting for a request and leave the transport open: whoever sends on it later
            # hears nothing until the time for a head is over.
            self.force_close()
        # Half a head is a request under way: it is answered with `Connection: close`, or its time runs out.

    def _process_keepalive(self) -> None:
        if self._exchange is None:
            super()._process_keepalive()
            return
        self._next_keepalive_close_time = self._loop.time() + self._keepalive_timeout
        self._keepalive_handle = self._loop.call_at(self._next_keepalive_close_time, self._process_keepalive)

    # -- errors ----------------------------------------------------------------------------------------------------

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """What aiohttp could not parse. The reason goes to the log; the client gets the status in plain words."""
        status = status_of(exc, status)
        self.force_close_after_response()
        if status < 500:
            self._log_refusal(status, cause_of(exc))
        else:
            log.error("request failed", exc_info=exc)
        response = answer(status, self._owner.page)
        response.headers["Server"] = "auth-gateway"
        response.force_close()
        return response

    def _log_refusal(self, status: int, cause: str) -> None:
        metrics.requests.labels("", str(status), "").inc()
        fields = {"event": "bad_request", "client": self._address.text, "status": status, "cause": cause}
        log.info("refused", extra={"fields": fields})

    def force_close_after_response(self) -> None:
        """No further request is read from a connection whose framing can't be trusted."""
        self.keep_alive(False)

    def _waiting_for_head(self) -> bool:
        return not self._request_in_progress and not self._messages and self._payload_parser is None

    def _stop_head_timer(self) -> None:
        self._head_bytes = 0
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _head_too_slow(self) -> None:
        self._head_timer = None
        if self._waiting_for_head():
            self._refuse(HTTPStatus.REQUEST_TIMEOUT, "head took too long")

    def _refuse(self, status: HTTPStatus, cause: str) -> None:
        self._log_refusal(status.value, cause)
        if self.transport is not None:
            self.transport.write(as_bytes(answer(status.value, self._owner.page)))
        self.force_close()


class Request(web.BaseRequest):
    """aiohttp's request; while the server drains, its answer says `Connection: close` (RFC 9112 §9.6)."""

    @property
    def keep_alive(self) -> bool:
        protocol = self.protocol
        return super().keep_alive and not (isinstance(protocol, ClientConnection) and protocol.draining)


class ConnectionServer(web.Server):
    """aiohttp's low-level server, making our connections. Once `draining`, each ends with its next response."""

    def __init__(
        self,
        handler: Any,
        limits: HttpLimits,
        *,
        fast: FastPath | None = None,
        page: Page | None = None,
        chosen: Callable[[], bool] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(handler, request_factory=self._served, **kwargs)
        self._limits, self.fast, self.page, self.chosen = limits, fast, page, chosen
        self.draining = False
        self._connection_kwargs = {
            "max_line_size": limits.head_size,
            "max_field_size": limits.head_size,
            "max_headers": limits.header_count,
            "keepalive_timeout": limits.keepalive_timeout,
            "auto_decompress": False,
            "access_log": None,
            "lingering_time": 2.0,
            "read_bufsize": 256 * 1024,
        }

    def _served(self, message: Any, payload: Any, protocol: Any, writer: Any, task: Any) -> web.BaseRequest:
        # aiohttp says so only when the handler's task runs; what comes before that is body, not the next head
        protocol._request_in_progress = True
        return Request(message, payload, protocol, payload_writer=writer, task=task, loop=self._loop)

    def __call__(self) -> RequestHandler:
        return ClientConnection(self, self._limits, loop=self._loop, **self._connection_kwargs)
