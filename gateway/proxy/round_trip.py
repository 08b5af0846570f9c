"""One streaming round trip: prepare the head, find an upstream that answers, copy both bodies, finish.

Nothing is buffered whole and nothing is re-encoded. Before the response head is sent, failures are exceptions of
gateway.errors; after it, the client's connection is cut, so that a broken body never looks complete.
"""

import asyncio
from dataclasses import dataclass
from functools import partial

from aiohttp import web

from gateway.errors import ClientGone, RequestRefused, UpstreamError, UpstreamTimeout, UpstreamUnreachable
from gateway.model import Target
from gateway.proxy.client_headers import Pairs
from gateway.proxy.client_response import ClientWriter, RelayedResponse
from gateway.proxy.request_headers import host_header, request_target
from gateway.proxy.request_upload import Upload, too_large
from gateway.proxy.upstream_connection import BrokenConnection, ResponseHead, UpstreamConnection, serialize
from gateway.proxy.upstreams import ConnectTimeout, NotConnected, PreparedRoute, Upstream
from gateway.proxy.webdav import for_upstream

IDEMPOTENT = frozenset({"GET", "HEAD", "OPTIONS", "PUT", "DELETE"})


@dataclass(frozen=True, slots=True)
class UpstreamResponse:
    upstream: Upstream
    connection: UpstreamConnection
    head: ResponseHead


class RoundTrip:
    """`who` (`identity_of`) counts where it is sticky; `known`: a principal asks; `upgrade`: a protocol to ask for."""

    def __init__(
        self,
        request: web.BaseRequest,
        site: PreparedRoute,
        target: Target,
        headers: Pairs,
        *,
        who: str = "",
        known: bool = False,
        upgrade: bytes = b"",
    ) -> None:
        self._request, self._site, self._target, self._headers = request, site, target, headers
        self._who, self._known = who, known
        self._upgrade = upgrade
        self._times = site.route.timeouts
        self._idle = site.route.timeouts.idle or None
        self._upload: Upload | None = None
        if request.body_exists and not upgrade:
            self._upload = Upload(request, max_body=site.route.max_body, idle=self._idle)
        self._repeated = False
        self.head: ResponseHead | None = None
        self._deadline: asyncio.Timeout | None = None
        expects_100 = request.headers.get("Expect", "").lower() == "100-continue"
        self._invited = self._upload is None or not expects_100

    async def run(self) -> RelayedResponse:
        return await self.relay(await self.ask())

    # --- asking

    async def ask(self) -> UpstreamResponse:
        """The first response head that any upstream gives; the upload goes on behind it."""
        limit, length = self._site.route.max_body, self._request.content_length
        if limit and length is not None and length > limit:
            raise too_large()
        failure: UpstreamError | None = None
        for upstream in self._site.pool.candidates(self._who):
            try:
                return await self._ask_idle(upstream) or await self._ask_new(upstream)
            except (NotConnected, ConnectTimeout) as error:
                failure = error  # nothing was sent
        raise failure or UpstreamUnreachable("no upstream")

    async def _ask_idle(self, upstream: Upstream) -> UpstreamResponse | None:
        """Ask on a kept connection. If that was closed while idle, and nothing of an answer came, the request goes out
        once more (RFC 9110 §9.2.2, RFC 9112 §9.3.1).
        """
        connection = None if self._repeated else upstream.reuse(replayable=self._replayable)
        if connection is None:
            return None
        try:
            return await self._ask(upstream, connection)
        except BrokenConnection:
            if not self._replayable or connection.heard:
                raise
            self._repeated = True
            return None

    async def _ask_new(self, upstream: Upstream) -> UpstreamResponse:
        connection = await upstream.connect(self._times.connect)
        try:
            return await self._ask(upstream, connection)
        except BrokenConnection as error:
            upstream.failed(error)
            raise

    @property
    def _replayable(self) -> bool:
        """RFC 9110 §9.2.2: repeat only what may be done twice, and only while the whole request is still ours."""
        untouched = self._upload is None or not self._upload.touched
        return self._request.method in IDEMPOTENT and untouched

    async def _ask(self, upstream: Upstream, connection: UpstreamConnection) -> UpstreamResponse:
        lenient = self._site.route.upstream_http == "lenient"
        connection.begin(self._request.method, partial(self._interim, upstream), lenient=lenient)
        connection.write(self._head_for(upstream))
        try:
            head = await self._response_head(connection)
        except TimeoutError as error:
            self._abandon(connection)
            raise UpstreamTimeout.after(upstream.address.url, self._times.response) from error
        except BrokenConnection as error:
            self._abandon(connection)
            raise BrokenConnection(f"{upstream.address.url}: {error.detail}") from error
        except BaseException:
            self._abandon(connection)
            raise
        upstream.answered()
        return UpstreamResponse(upstream, connection, head)

    async def _response_head(self, connection: UpstreamConnection) -> ResponseHead:
        async with asyncio.timeout(None) as self._deadline:
            if self._upload is not None:
                self._upload.start(connection, sent=self._await_response, invite=self._invite)
            else:
                self._await_response()
            self.head = head = await connection.head()
            self._deadline = None
        return head

    def _head_for(self, upstream: Upstream) -> bytes:
        request, address = self._request, upstream.address
        host = host_header(self._site.route, self._target, address.authority)
        base, prefix = address.base, self._site.rules.prefix
        path, origin = request_target(self._target, base, prefix), f"{address.scheme}://{host}"
        framing = [(b"Host", host.encode())]
        if self._upgrade:
            framing += [(b"Connection", b"Upgrade"), (b"Upgrade", self._upgrade)]
        elif "trailers" in request.headers.get("TE", "").lower():
            framing += [(b"Connection", b"TE"), (b"TE", b"trailers")]
        if request.content_length is not None:
            framing.append((b"Content-Length", b"%d" % request.content_length))
        elif self._upload is not None:
            framing.append((b"Transfer-Encoding", b"chunked"))
        headers = self._headers
        if "Destination" in request.headers or "If" in request.headers:
            headers = for_upstream(headers, self._target, origin=origin, base=base, prefix=prefix)
        return serialize(b"%b %b HTTP/1.1" % (request.method.encode(), path), framing + headers)

    def _interim(self, upstream: Upstream, status: int, reason: bytes, headers: Pairs) -> None:
        """Pass on 1xx heads (100 if asked for, 103 Early Hints), which HTTP/1.0 does not know (RFC 9110 §15.2)."""
        if self._request.version < (1, 1) or (status == 100 and self._invited):
            return
        self._invited = self._invited or status == 100
        public = self._site.rewriter(upstream.address, self._target).headers(headers)
        self._tell_client(serialize(b"HTTP/1.1 %d %b" % (status, reason), public))

    def _tell_client(self, data: bytes) -> None:
        if self._request.transport is not None:
            self._request.transport.write(data)

    def _invite(self) -> None:
        if not self._invited and self._request.version >= (1, 1):
            self._invited = True
            self._tell_client(b"HTTP/1.1 100 Continue\r\n\r\n")

    def _await_response(self) -> None:
        """The request is out: from now on the upstream's time for its response runs."""
        if self._deadline is not None and self._times.response:
            self._deadline.reschedule(asyncio.get_running_loop().time() + self._times.response)

    # --- the response's body

    async def relay(self, answer: UpstreamResponse) -> RelayedResponse:
        """Send the response to the client. From here on nothing is raised but cancellation and ClientGone."""
        connection = answer.connection
        self._invited = True
        rewriter = self._site.rewriter(answer.upstream.address, self._target, known=self._known)
        if answer.head.status == 101:
            self._abandon(connection)
            raise UpstreamUnreachable("upstream switched protocols without being asked")
        writer = ClientWriter(
            self._request,
            answer.head,
            rewriter.headers(answer.head.headers),
            upstream=answer.upstream.address.url,
        )
        try:
            await self._copy_down(connection, writer)
        except (UpstreamError, RequestRefused, TimeoutError):
            self._abandon(connection)
            writer.cut()
        except OSError as error:
            self._abandon(connection)
            raise ClientGone from error
        except BaseException:
            self._abandon(connection)
            raise
        else:
            self._finish(answer)
        return writer.response

    async def _copy_down(self, connection: UpstreamConnection, writer: ClientWriter) -> None:
        if not connection.at_end():
            await self._write(writer, connection.read_nowait())
        while not connection.at_end():
            chunk = connection.read_nowait() or await self._next_of_download(connection)
            if chunk:
                await self._write(writer, chunk)
        async with asyncio.timeout(self._idle):
            await writer.end(connection.trailers)

    async def _write(self, writer: ClientWriter, chunk: bytes) -> None:
        async with asyncio.timeout(self._idle):
            await writer.write(chunk)

    async def _next_of_download(self, connection: UpstreamConnection) -> bytes:
        while True:
            try:
                async with asyncio.timeout(self._idle):
                    return await connection.read()
            except TimeoutError:
                if self._upload is None or not self._upload.going:
                    raise  # an upload that goes on watches the silence itself

    # --- the end

    def _finish(self, answer: UpstreamResponse) -> None:
        if self._upload is not None and self._upload.going:
            self._abandon(answer.connection)  # an early answer: nobody takes the rest of the body
        else:
            answer.upstream.release(answer.connection)

    def _abandon(self, connection: UpstreamConnection) -> None:
        if self._upload is not None:
            self._upload.cancel()
        connection.abort()
