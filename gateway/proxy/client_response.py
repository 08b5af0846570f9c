"""The response to the client, written head and body as the upstream sent it.

aiohttp's StreamResponse would add Server, Date and Content-Type and encode header bytes anew; this one only borrows
its place in aiohttp's life cycle (keep-alive, access log) and writes for itself.
"""

import time
from http import HTTPStatus

from aiohttp import web
from aiohttp.abc import AbstractStreamWriter

from gateway.proxy.client_headers import Pairs, canonical
from gateway.proxy.http_date import http_date
from gateway.proxy.upstream_connection import ResponseHead, serialize

# RFC 9110 §6.5.1: fields that frame, route or authenticate mean nothing, or mischief, in a trailer. A client that
# merges trailers into the head would take them from there, past everything that the gateway does with heads.
NOT_IN_TRAILERS = frozenset(
    {
        "set-cookie",
        "content-length",
        "content-type",
        "content-encoding",
        "content-range",
        "transfer-encoding",
        "host",
        "location",
        "clear-site-data",
        "cache-control",
        "expires",
        "www-authenticate",
        "authorization",
        "trailer",
        "connection",
    }
)

BEGAN = web.RequestKey("BEGAN", float)
"""Key of the request under which stands when the head of its answer went out (perf_counter)."""


class RelayedResponse(web.StreamResponse):
    """What aiohttp gets back from the handler: everything it would do is done already.

    `complete` is False if the upstream broke off in the middle; the client's connection was then cut.
    `upstream` is the URL of the one that answered, for the log.
    """

    def __init__(self, status: int, reason: str = "", *, upstream: str = "") -> None:
        super().__init__(status=status, reason=reason or _phrase(status))
        self.complete = False
        self.broke_off = "upstream broke off"
        self.upstream = upstream
        self.body_bytes = 0
        self._stays_open = True

    # What aiohttp asks for or calls when a handler returns. It writes only what is not `prepared`, and looks at
    # `keep_alive` to decide whether it reads another request from this connection.

    @property
    def prepared(self) -> bool:
        return True

    @property
    def keep_alive(self) -> bool:
        return self._stays_open

    def __repr__(self) -> str:
        return f"<RelayedResponse {self.status} {'complete' if self.complete else 'cut'}>"

    def force_close(self) -> None:
        self._stays_open = False

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        return None

    async def write_eof(self, data: bytes = b"") -> None:
        return None


class ClientWriter:
    """Writes one relayed response to the client's connection, with the framing that suits the client."""

    def __init__(
        self, request: web.BaseRequest, head: ResponseHead, headers: Pairs, *, upstream: str
    ) -> None:
        self.response = RelayedResponse(head.status, head.reason.decode("latin-1"), upstream=upstream)
        self._request = request
        self._writer = request.writer
        # A body without a length needs chunks, or ends with the connection where the client knows none (RFC 9112 §6.1:
        # no transfer coding for HTTP/1.0). The app's own framing ended with its hop.
        modern = request.version >= (1, 1)
        self._chunked = not head.bodiless and head.length is None and modern
        ends_by_length = head.bodiless or head.length is not None or self._chunked
        # Bytes of a body that nobody took would be read as the next request (RFC 9112 §9.3).
        if not (ends_by_length and request.keep_alive and request.content.is_eof()):
            self.response.force_close()
        pairs = framed(head, headers, chunked=self._chunked)
        if not has_date(pairs):
            pairs.append((b"Date", http_date()))
        if not self.response.keep_alive:
            pairs.append((b"Connection", b"close"))
        elif not modern:
            # In HTTP/1.0 a connection stays open only if both say so (RFC 9112 §9.3).
            pairs.append((b"Connection", b"keep-alive"))
        # Our own version, not the app's or the client's: a version tells of its sender alone (RFC 9112 §2.3).
        self._head = serialize(b"HTTP/1.1 %d %b" % (head.status, head.reason), pairs)

    async def write(self, chunk: bytes) -> None:
        """Send the head if it waits, and a piece of the body. Returns when the client can take more; raises OSError if
        it has left.
        """
        self.response.body_bytes += len(chunk)
        if self._chunked and chunk:  # a chunk of length 0 would end the body (RFC 9112 §7.1)
            chunk = b"%x\r\n%b\r\n" % (len(chunk), chunk)
        await self._writer.write(self._take_head() + chunk)

    async def end(self, trailers: Pairs) -> None:
        """Send the last chunk with the trailers (RFC 9112 §7.1.2) and wait until the client has taken enough."""
        last = b""
        if self._chunked:
            kept = [pair for pair in trailers if canonical(pair[0]) not in NOT_IN_TRAILERS]
            last = serialize(b"0", kept)
        await self._writer.write(self._take_head() + last)
        await self._writer.drain()
        self.response.complete = True

    def _take_head(self) -> bytes:
        """Once; nothing after that."""
        head, self._head = self._head, b""
        if head:
            self._request[BEGAN] = time.perf_counter()
        return head

    def cut(self) -> None:
        """Make sure that the client sees the response as broken: no polite end, no next request."""
        self.response.force_close()
        if self._request.transport is not None:
            self._request.transport.abort()
        self._request.protocol.force_close()


def framed(head: ResponseHead, headers: Pairs, *, chunked: bool) -> Pairs:
    """Return the headers with the framing that this client gets.

    `chunked` is ours, whatever the app's was. Content-Length goes where chunks say it (RFC 9112 §6.2), and from a 204,
    which has no body (RFC 9110 §8.6). `Trailer` stays if trailers can follow.
    """
    announces = chunked and head.chunked
    pairs = [
        (name, value)
        for name, value in headers
        if not (name.lower() == b"trailer" and not announces)
        and not (name.lower() == b"content-length" and (chunked or head.status == HTTPStatus.NO_CONTENT))
    ]
    return [*pairs, (b"Transfer-Encoding", b"chunked")] if chunked else pairs


def has_date(pairs: Pairs) -> bool:
    return any(name.lower() == b"date" for name, _ in pairs)


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""
