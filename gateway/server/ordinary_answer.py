"""One request on the ordinary path: aiohttp's request, body and writer, one task, our handler. The connection feeds it.

`aiohttp.web_protocol.RequestHandler` would be a second owner of the connection, with a parser, a queue and a life of
its own. Ours owns all that (`connection`); of aiohttp we use the objects that handlers know, and only this file makes
them. What we rely on of their inside stands in INSIDE; a test compares it with the aiohttp that is installed, and
pyproject.toml pins the minor version.
"""

import asyncio
import logging
from ssl import SSLContext
from typing import Any

from aiohttp import web
from aiohttp.base_protocol import BaseProtocol
from aiohttp.http import HttpVersion, RawRequestMessage, StreamWriter
from aiohttp.streams import EMPTY_PAYLOAD, StreamReader
from aiohttp.web_protocol import RequestPayloadError
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from gateway.request.framing import RequestHead
from gateway.request.target import origin_form
from gateway.server.way import ClientSide, RequestHandler

log = logging.getLogger("gateway.connection")

BODY_BUFFER = 256 * 1024
"""Bytes of a request's body that wait for its handler; twice as many stop the client."""

INSIDE = {
    BaseProtocol: ("_loop", "_paused", "_drain_waiter", "_drain_helper", "_reading_paused", "transport"),
    web.BaseRequest: (
        "_message",
        "_protocol",
        "_payload",
        "_payload_writer",
        "_task",
        "_loop",
        "_finish",
        "_cancel",
    ),
    StreamReader: ("feed_data", "feed_eof", "set_exception", "is_eof"),
    StreamWriter: ("output_size",),
}
"""What we rely on beyond aiohttp's documented API, by class."""


class RequestPort(BaseProtocol):
    """What one request, its body and its writer take for aiohttp's protocol. It leads to our connection."""

    __slots__ = ("_client", "chosen", "peername", "sockname", "ssl_context")

    def __init__(
        self, client: ClientSide, loop: asyncio.AbstractEventLoop, transport: asyncio.Transport
    ) -> None:
        super().__init__(loop)
        self._client = client
        self.transport = transport
        self._paused = client.writing_paused
        self.peername: Any = transport.get_extra_info("peername")
        self.sockname: Any = transport.get_extra_info("sockname")
        self.ssl_context: SSLContext | None = transport.get_extra_info("sslcontext")
        self.chosen = False
        """Whether this request is to be traced."""

    @property
    def may_stay_open(self) -> bool:
        """Whether the connection can carry another request behind this one."""
        return self._client.may_stay_open

    # -- for aiohttp's StreamReader ------------------------------------------------------------------------------

    def pause_reading(self) -> None:
        """Hold the client back: the handler reads more slowly than it sends."""
        self._reading_paused = True
        self._client.hold_body()

    def resume_reading(self, resume_parser: bool = True) -> None:
        """Let the client go on with the body."""
        self._reading_paused = False
        self._client.release_body()

    # -- for our proxy -------------------------------------------------------------------------------------------

    def force_close(self) -> None:
        """Nothing more is read or served on this connection."""
        self._client.cut()

    def set_parser(self, parser: Any) -> None:
        """The connection becomes a tunnel; what the client sent behind its request goes to `parser`."""
        self._client.become_tunnel(parser.feed_data)

    def connection_lost(self, exc: BaseException | None) -> None:
        """The tunnel has ended, which only its own protocol heard of."""
        self._client.connection_lost(None)

    # -- for our connection --------------------------------------------------------------------------------------

    def leave(self, exc: BaseException | None) -> None:
        """The connection is gone, or has no more to do with this request; who waits to write hears of it."""
        super().connection_lost(exc)


class Request(web.BaseRequest):
    """aiohttp's request. Its answer says `Connection: close` where no other can follow (RFC 9112 §9.6)."""

    @property
    def keep_alive(self) -> bool:
        port = self.protocol
        return super().keep_alive and isinstance(port, RequestPort) and port.may_stay_open


class RequestBody(StreamReader):
    """A request's body as handlers read it."""

    def broken(self, cause: str) -> None:
        """Let whoever reads the body hear RequestPayloadError with this cause."""
        self.set_exception(RequestPayloadError(cause))


class OrdinaryAnswer:
    """Runs `handler` for a request and writes what it returns, unless it has done that itself (RelayedResponse)."""

    __slots__ = ("_body", "_client", "_handler", "_head", "_loop", "_port", "task")

    def __init__(
        self,
        head: RequestHead,
        client: ClientSide,
        handler: RequestHandler,
        transport: asyncio.Transport,
        loop: asyncio.AbstractEventLoop,
        *,
        chosen: bool,
    ) -> None:
        self._head, self._client, self._handler, self._loop = head, client, handler, loop
        self._port = RequestPort(client, loop, transport)
        self._port.chosen = chosen
        self._body = make_body(head, self._port, loop)
        self.task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Run the handler in a task of its own."""
        self.task = self._loop.create_task(self._run())

    async def _run(self) -> None:
        task = asyncio.current_task()
        assert task is not None
        request = make_request(self._head, self._body, self._port, task, self._loop)
        try:
            response = await self._handler(request)
            await response.prepare(request)
            await response.write_eof()
        except ConnectionError:  # nobody is left to read, or the app broke off
            self._end()
            self._client.cut()
        except asyncio.CancelledError:
            self._end()
            self._client.cut()
            raise
        except Exception:
            log.exception("request failed")
            # A part of an answer can't be taken back: behind it only a cut says that it is not whole (RFC 9112 §8).
            began = getattr(request.writer, "output_size", 1) > 0
            self._end()
            self._client.failed(began=began)
        else:
            self._end()
            self._client.answered(keep=bool(response.keep_alive))
        finally:
            finish(request)

    def _end(self) -> None:
        """From here on, nobody who still holds the request can write to the connection or hold back its reading."""
        self._port.leave(None)
        self.task = None

    # -- the connection speaks -------------------------------------------------------------------------------------

    def body(self, data: bytes) -> None:
        if self._body is not None:
            self._body.feed_data(data)

    def body_end(self) -> None:
        if self._body is not None:
            self._body.feed_eof()

    def body_broken(self, cause: str) -> None:
        if self._body is not None:
            self._body.broken(cause)

    def pause_writing(self) -> None:
        self._port.pause_writing()

    def resume_writing(self) -> None:
        self._port.resume_writing()

    def client_gone(self, exc: BaseException | None) -> None:
        """Nobody should wait for an upstream in vain, so the handler is cancelled."""
        if self._body is not None and not self._body.is_eof():
            self._body.set_exception(exc or ConnectionResetError("Connection lost"))
        self._port.leave(exc)
        if self.task is not None:
            self.task.cancel()


def make_body(head: RequestHead, port: RequestPort, loop: asyncio.AbstractEventLoop) -> RequestBody | None:
    """None for a request without a body."""
    return RequestBody(port, BODY_BUFFER, loop=loop) if head.has_body else None


def make_request(
    head: RequestHead,
    body: RequestBody | None,
    port: RequestPort,
    task: "asyncio.Task[None]",
    loop: asyncio.AbstractEventLoop,
) -> Request:
    """Make the request that handlers get; what connects it with the client is `port`."""
    message = RawRequestMessage(
        method=head.method,
        path=head.target,
        version=HttpVersion(*head.version),
        headers=_headers(head),
        raw_headers=head.headers,
        should_close=not head.stays_open,
        compression=None,  # bodies pass as they come
        upgrade=False,  # decided by the proxy, whatever aiohttp would make of it
        chunked=head.chunked,
        url=_url(head.target),
    )
    payload: StreamReader = EMPTY_PAYLOAD if body is None else body
    protocol: Any = port  # typed for RequestHandler; INSIDE says what of it is used
    writer = StreamWriter(port, loop)
    return Request(message, payload, protocol, payload_writer=writer, task=task, loop=loop)


def _headers(head: RequestHead) -> CIMultiDictProxy[str]:
    return CIMultiDictProxy(
        CIMultiDict(
            [(name.decode("ascii"), value.decode("utf-8", "surrogateescape")) for name, value in head.headers]
        )
    )


def _url(target: str) -> URL:
    """Path and query alone: which host is meant says `request.target`, for every form (RFC 9112 §3.2)."""
    path, _, query = origin_form(target).partition("?")
    return URL.build(path=path, query_string=query, encoded=True)


def finish(request: web.BaseRequest) -> None:
    """Release what a parsed form may hold."""
    request._finish()
