"""The response to the client: written head and body as the upstream sent it, and cut off when its session ends.

aiohttp's StreamResponse would add Server, Date and Content-Type and encode header bytes anew; this one only borrows
its place in aiohttp's life cycle (keep-alive, access log) and writes for itself.

An event stream or a large download may last for hours, long after the request was judged. So answers that are under
way are kept by the session that asked (`HeldAnswers`): one that has ended gets no more of them.
"""

import asyncio
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import Protocol

from aiohttp import web
from aiohttp.abc import AbstractStreamWriter

from gateway.config.schema import Route
from gateway.errors import SessionEnded
from gateway.model import Principal, Target
from gateway.proxy.client_headers import Pairs
from gateway.proxy.http_date import http_date
from gateway.proxy.request_headers import canonical
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
        """Make sure that the client sees the response as broken."""
        _break_off(self._request, self.response)


def _break_off(request: web.BaseRequest, response: RelayedResponse) -> None:
    """No polite end, no next request: the client sees that this is not all (RFC 9112 §8)."""
    response.force_close()
    if request.transport is not None:
        request.transport.abort()
    request.protocol.force_close()


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


class Held(Protocol):
    """Something that a session holds open: a WebSocket, an answer."""

    def close(self, code: int, reason: str) -> None:
        """End it; `code` and `reason` are those of a WebSocket's Close frame."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Admitted:
    """What is held open, and what was decided on when it began, so that it can be decided again."""

    held: Held
    route: Route
    target: Target
    principal: Principal


class HeldAnswers:
    """The answers of this process that are under way to somebody whom we know."""

    def __init__(self) -> None:
        self._by_session: dict[str, set[Admitted]] = {}

    @contextmanager
    def registered(self, one: Admitted) -> Iterator[None]:
        """Hold it as long as the context lasts: before the app is asked, so that no change is missed."""
        sid = one.principal.session.sid
        self._by_session.setdefault(sid, set()).add(one)
        try:
            yield
        finally:
            group = self._by_session[sid]
            group.discard(one)
            if not group:
                del self._by_session[sid]

    def admitted(self) -> dict[str, list[Admitted]]:
        """Session id -> what it holds open."""
        return {sid: list(group) for sid, group in self._by_session.items()}


_CONTENT_TYPE = re.compile(rb"(?i)\r\ncontent-type:[ \t]*([^\r]*)")


def content_type_of(head: bytes) -> bytes:
    """The Content-Type in the bytes of a response head; empty if there is none."""
    found = _CONTENT_TYPE.search(head)
    return found[1] if found else b""


def may_finish(route: Route, content_type: bytes) -> bool:
    """Whether an answer that has begun may go on without its session; an event stream has no end to wait for."""
    return route.finish_downloads and not content_type.strip().lower().startswith(b"text/event-stream")


class Trip(Protocol):
    """A round trip to an app; `head` is the answer's, once it has come."""

    head: ResponseHead | None

    async def run(self) -> RelayedResponse: ...


class HeldAnswer:
    """One round trip that can be ended from elsewhere."""

    def __init__(self, request: web.BaseRequest, route: Route, trip: Trip) -> None:
        self._request, self._route, self._trip = request, route, trip
        self._task: asyncio.Task[object] | None = None
        self._ended = ""

    async def run(self) -> RelayedResponse:
        """Make the round trip. Raises SessionEnded if it is ended before the client got anything."""
        self._task = asyncio.current_task()
        try:
            return await self._trip.run()
        except asyncio.CancelledError:
            if not self._ended or self._task is None or self._task.uncancel():
                raise  # the client has left, or the gateway ends
        finally:
            self._task = None
        # Before the head went out there is still a page to be shown; behind it only the connection can be cut.
        if BEGAN not in self._request:
            raise SessionEnded(f"{self._ended} while its request was under way")
        return self._cut()

    def close(self, code: int, reason: str) -> None:
        """End it now, unless it may finish."""
        head = self._trip.head
        may_finish = head is not None and BEGAN in self._request and _may_finish(self._route, head)
        if self._task is not None and not self._ended and not may_finish:
            # Cancelling ends the wait for the app or the client, wherever it is. `run` tells by `_ended` that it was
            # this and not the client's leaving.
            self._ended = reason
            self._task.cancel()

    def _cut(self) -> RelayedResponse:
        response = RelayedResponse(self._trip.head.status if self._trip.head else 502)
        response.broke_off = self._ended
        _break_off(self._request, response)
        return response


def _may_finish(route: Route, head: ResponseHead) -> bool:
    """An event stream has no end that could be waited for."""
    types = [value for name, value in head.headers if name.lower() == b"content-type"]
    return may_finish(route, b"".join(types))
