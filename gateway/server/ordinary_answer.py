"""One request on the ordinary path: aiohttp's objects, one task, our handler. The connection feeds it the body."""

import asyncio
import logging

from gateway.request.http_head import RequestHead
from gateway.server.aiohttp_adapter import RequestPort, finish, make_body, make_request
from gateway.server.way import ClientSide, RequestHandler

log = logging.getLogger("gateway.connection")


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
