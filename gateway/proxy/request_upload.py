"""The body of a client's request on its way to an upstream, while the upstream may already be answering.

A request without a body never comes here. Nothing is buffered whole: a piece is read from the client when the
upstream has room for it, so a slow app slows its client down and costs no memory.
"""

import asyncio
from collections.abc import Callable

from aiohttp import web

from gateway.errors import ClientGone, RequestRefused, UpstreamTimeout
from gateway.i18n.text import N_
from gateway.proxy.upstream_connection import UpstreamConnection
from gateway.request.malformed import cause_of

INVITE_AFTER = 1.0
"""Seconds after which we say "100 Continue" for an upstream that does not.

A client that sent `Expect: 100-continue` holds its body back until it is told to go on. It should not wait for ever
(RFC 9110 §10.1.1), but some do, and many apps never say it. The second leaves the app time to refuse by a final
status first.
"""


class Upload:
    """Copies one request's body; started once for each attempt, until a byte of the body has been taken."""

    def __init__(self, request: web.BaseRequest, *, max_body: int, idle: float | None) -> None:
        """`max_body` is a number of bytes, 0 = no limit; `idle` the seconds that either side may stand still, None =
        for ever.
        """
        self._request, self._max_body, self._idle = request, max_body, idle
        self._task: asyncio.Task[None] | None = None
        self.touched = False
        """Whether a byte was taken from the client: it is ours no more, and the request can't be sent again."""

    @property
    def going(self) -> bool:
        """Whether the body is still being copied."""
        return self._task is not None and not self._task.done()

    def start(
        self, connection: UpstreamConnection, *, sent: Callable[[], None], invite: Callable[[], None]
    ) -> None:
        """Begin to copy. `sent` is called when all of the body is out, `invite` when the client has to be told that
        its body is awaited.

        A failure is told to `connection`, where the task waits that reads the response: RequestRefused for a body
        that is broken, too large or stalled, ClientGone, and UpstreamTimeout for an app that reads no more.
        """
        self._task = asyncio.create_task(self._send(connection, sent, invite))

    async def end(self) -> None:
        """Wait until the body is copied, or that has failed."""
        if self._task is not None:
            await asyncio.wait((self._task,))

    def cancel(self) -> None:
        """Stop, as the response is complete or the connection is lost."""
        if self._task is not None:
            self._task.cancel()
            self._task = None

    async def _send(
        self, connection: UpstreamConnection, sent: Callable[[], None], invite: Callable[[], None]
    ) -> None:
        invitation = asyncio.get_running_loop().call_later(INVITE_AFTER, invite)
        try:
            await self._copy(connection)
        except RequestRefused as refused:
            connection.fail(refused)
        except (OSError, web.RequestPayloadError) as error:
            gone = self._request.transport is None
            connection.fail(
                ClientGone() if gone else RequestRefused(f"broken request body: {cause_of(error)}")
            )
        else:
            sent()
        finally:
            invitation.cancel()

    async def _copy(self, connection: UpstreamConnection) -> None:
        # The chunks are ours, not the client's: chunked framing belongs to one hop (RFC 9112 §7.1), and by framing
        # the body anew no odd chunk of a client's can be read in another way by the app.
        chunked, taken = self._request.content_length is None, 0
        while chunk := await self._next():
            self.touched = True
            taken += len(chunk)
            # A chunked body announces no length, so that its limit can only be found out on the way.
            if self._max_body and taken > self._max_body:
                raise too_large()
            connection.write(b"%x\r\n%b\r\n" % (len(chunk), chunk) if chunked else chunk)
            try:
                async with asyncio.timeout(self._idle):
                    await connection.drain()
            except TimeoutError:
                connection.fail(UpstreamTimeout("upstream stopped reading the request body"))
                return
        if chunked:
            connection.write(b"0\r\n\r\n")

    async def _next(self) -> bytes:
        """The next piece; empty at the end of the body. Raises RequestRefused (408) if none comes in time."""
        try:
            async with asyncio.timeout(self._idle):
                # As it came: readany() would first join all that waits.
                chunk, more = await self._request.content.readchunk()
                while not chunk and more:  # the end of one of the client's chunks
                    chunk, more = await self._request.content.readchunk()
                return chunk
        except TimeoutError as error:
            raise RequestRefused(
                "upload stalled", status=408, public=N_("The upload stopped for too long.")
            ) from error


def too_large() -> RequestRefused:
    """The refusal (413, RFC 9110 §15.5.14) of a request whose body is larger than the route's `max_body`."""
    return RequestRefused("request body above max_body", status=413, public=N_("The request is too large."))
