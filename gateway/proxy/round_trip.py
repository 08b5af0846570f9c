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
from gateway.proxy.upstream_head import NotReached
from gateway.proxy.upstreams import ConnectTimeout, NotConnected, PreparedRoute, Upstream
from gateway.proxy.webdav import for_upstream

# RFC 9110 §9.2.2, without TRACE, which is never proxied. POST and PATCH may be done once only: an app that takes
# payments would take two.
IDEMPOTENT = frozenset({"GET", "HEAD", "OPTIONS", "PUT", "DELETE"})


@dataclass(frozen=True, slots=True)
class UpstreamResponse:
    """The head of an upstream's answer, and the connection on which its body follows."""

    upstream: Upstream
    connection: UpstreamConnection
    head: ResponseHead


class RoundTrip:
    """One request on its way to an upstream and back; used once.

    Args:
        who: whose request it is (`identity_of`): a route with `balance: sticky` keeps a user on one upstream.
        known: whether somebody asks who signed in, so that no shared cache may keep the answer.
        upgrade: a protocol to switch to (RFC 9110 §7.8), as `websocket`; empty for an ordinary request.
    """

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
        if request.body_exists and upgrade != b"websocket":
            self._upload = Upload(request, max_body=site.route.max_body, idle=self._idle)
        self._repeated = False
        self.head: ResponseHead | None = None
        self._deadline: asyncio.Timeout | None = None
        expects_100 = request.headers.get("Expect", "").lower() == "100-continue"
        self._invited = self._upload is None or not expects_100

    async def run(self) -> RelayedResponse:
        """Ask an upstream and relay what it answers. Raises as `ask` and `relay` do."""
        return await self.relay(await self.ask())

    # --- asking

    async def ask(self) -> UpstreamResponse:
        """Return the first response head that any upstream gives; the upload goes on behind it.

        Raises RequestRefused (413) for a body that is too large, UpstreamUnreachable, UpstreamTimeout or
        BrokenConnection if no upstream answers, and ClientGone.
        """
        # A declared length is judged before an app hears of the request; a chunked body is counted on its way.
        limit, length = self._site.route.max_body, self._request.content_length
        if limit and length is not None and length > limit:
            raise too_large()
        # The next upstream is asked only while nothing has been sent. An app that broke off in the middle may have
        # done what it was asked, and doing it again elsewhere would do it twice (RFC 9110 §9.2.2).
        failure: UpstreamError | None = None
        for upstream in self._site.pool.candidates(self._who):
            try:
                return await self._ask_idle(upstream) or await self._ask_new(upstream)
            except (NotConnected, ConnectTimeout, NotReached) as error:
                if self._upload and self._upload.touched:  # Envoy has got some of the body
                    raise
                failure = error  # nothing was sent
        raise failure or UpstreamUnreachable("no upstream")

    async def _ask_idle(self, upstream: Upstream) -> UpstreamResponse | None:
        """Ask on a kept connection. If that was closed while idle, and nothing of an answer came, the request goes
        out once more (RFC 9110 §9.2.2, RFC 9112 §9.3.1).
        """
        # Once only: behind a restarted app all kept connections are dead, and each would cost one more try.
        connection = None if self._repeated else upstream.reuse(replayable=self._replayable)
        if connection is None:
            return None
        try:
            return await self._ask(upstream, connection)
        except BrokenConnection:
            # One byte of an answer proves that the app took the request. So this was no idle connection whose end
            # crossed our request on the wire, but an app that failed.
            if not self._replayable or connection.heard:
                raise
            self._repeated = True
            return None

    async def _ask_new(self, upstream: Upstream) -> UpstreamResponse:
        connection = await upstream.connect(self._times.connect)
        try:
            return await self._ask(upstream, connection)
        except BrokenConnection as error:
            # A fresh connection did not time out idly, so its end is a fault of the app's: ask it last for a while.
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
            raise type(error)(f"{upstream.address.url}: {error.detail}") from error
        except BaseException:
            # Cancelled, as the client has left. What the app sends now would be taken for the answer to the next
            # request on this connection (RFC 9112 §9.2), so it can't be kept.
            self._abandon(connection)
            raise
        upstream.answered()
        return UpstreamResponse(upstream, connection, head)

    async def _response_head(self, connection: UpstreamConnection) -> ResponseHead:
        # The upload runs beside the wait for the head: an app may answer before it has read all (RFC 9110 §7.5), as
        # with 413, and a large upload takes longer than `timeouts.response`, which only begins when it is out.
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
        # Host is the first field, so that an app needs to read no further to route (RFC 9110 §7.2). Fields for one
        # hop were removed with the client's; those that our own hop needs are written here. Whoever sends TE or
        # Upgrade has to name it in Connection (RFC 9110 §10.1.4 and §7.8), so that the app, too, takes it for this
        # hop's.
        framing = [(b"Host", host.encode())]
        if self._upgrade:
            framing += [(b"Connection", b"Upgrade"), (b"Upgrade", self._upgrade)]
        elif "trailers" in request.headers.get("TE", "").lower():
            framing += [(b"Connection", b"TE"), (b"TE", b"trailers")]
        # Exactly one of the two, and ours: a message with both can be read in two ways (RFC 9112 §6.1, §11.2).
        if request.content_length is not None:
            framing.append((b"Content-Length", b"%d" % request.content_length))
        elif self._upload is not None:
            framing.append((b"Transfer-Encoding", b"chunked"))
        headers = self._headers
        if "Destination" in request.headers or "If" in request.headers:
            headers = for_upstream(headers, self._target, origin=origin, base=base, prefix=prefix)
        return serialize(b"%b %b HTTP/1.1" % (request.method.encode(), path), framing + headers)

    def _interim(self, upstream: Upstream, status: int, reason: bytes, headers: Pairs) -> None:
        """Pass on 1xx heads, such as 103 Early Hints (RFC 9110 §15.2: a proxy forwards them).

        HTTP/1.0 does not know them. A 100 goes to a client that still waits for it, once: an app may send one
        unasked, and we may have invited the body ourselves.
        """
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
        """Start the time for the response: the request is out, and it is the upstream's turn."""
        if self._deadline is not None and self._times.response:
            self._deadline.reschedule(asyncio.get_running_loop().time() + self._times.response)

    async def sent(self) -> None:
        """Wait until all of the request is out, or can't get out."""
        if self._upload is not None:
            await self._upload.end()

    # --- the response's body

    async def relay(self, answer: UpstreamResponse) -> RelayedResponse:
        """Send the response to the client.

        Raises UpstreamUnreachable for a 101 that was not asked for. Behind that the client gets the head, so that
        nothing can be raised any more but ClientGone and cancellation: an answer that breaks off cuts the client's
        connection.
        """
        connection = answer.connection
        self._invited = True  # a 100 behind a final status would be read as the next response
        rewriter = self._site.rewriter(answer.upstream.address, self._target, known=self._known)
        # 101 may only answer a request for an upgrade (RFC 9110 §15.2.2); ours had none. Relayed, it would turn the
        # client's connection into something that no policy has looked at.
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
            # The status is out already. A cut connection is the one way left to say that this is not all (RFC 9112
            # §8); a polite end would make half an answer look whole, and caches would keep it.
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
        # The head goes out with what came right behind it, if only nothing: an event stream may say nothing for long,
        # and its client waits for the head. An answer without a body leaves in one piece, below.
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
        """Return the next piece. Raises TimeoutError if both directions stand still for `timeouts.idle`."""
        while True:
            try:
                async with asyncio.timeout(self._idle):
                    return await connection.read()
            except TimeoutError:
                if self._upload is None or not self._upload.going:
                    raise  # an upload that goes on watches the silence itself

    # --- the end

    def _finish(self, answer: UpstreamResponse) -> None:
        """Keep the connection for the next request, if both sides have said all they had to say."""
        if self._upload is not None and self._upload.going:
            self._abandon(answer.connection)  # an early answer: nobody takes the rest of the body
        else:
            answer.upstream.release(answer.connection)

    def _abandon(self, connection: UpstreamConnection) -> None:
        """Close the connection: in the middle of an exchange nothing else can be sent on it."""
        if self._upload is not None:
            self._upload.cancel()
        connection.abort()
