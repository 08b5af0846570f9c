"""Accepts connections for one worker and knows those that are open, so that it can end without dropping a request."""

import asyncio
import socket
import ssl
from collections.abc import Callable, Sequence

from gateway.config.schema import HttpLimits, Network
from gateway.request.malformed import Page
from gateway.server.carried import CarriedRequests
from gateway.server.closing_connection import BRIEFLY
from gateway.server.connection import ClientConnection
from gateway.server.connection_shares import ConnectionShares
from gateway.server.engine_connection import connection_for
from gateway.server.fastpath import FastPath
from gateway.server.process.sockets import BACKLOG
from gateway.server.way import RequestHandler


class ConnectionServer:
    """Makes a `ClientConnection` of each that it accepts.

    Args:
        handler: answers on the ordinary path.
        limits: what one client may cost.
        fast: the fast path, if there is one.
        page: makes the page of a status, for people.
        chosen: whether the request that begins now is to be traced; those go the ordinary path.
        trusted: proxies that carry many clients, and so have no share of the connections.
        announced: networks whose PROXY protocol header Envoy is to be believed (`server.proxy_protocol`).
        carried: answers Envoy, our own front door, which is at the other end of all of them, if not None.
    """

    def __init__(
        self,
        handler: RequestHandler,
        limits: HttpLimits,
        *,
        fast: FastPath | None = None,
        page: Page | None = None,
        chosen: Callable[[], bool] | None = None,
        trusted: Sequence[Network] = (),
        announced: Sequence[Network] = (),
        carried: CarriedRequests | None = None,
    ) -> None:
        self.handler, self.limits, self.fast, self.page, self.chosen = handler, limits, fast, page, chosen
        self._shares = ConnectionShares(limits, trusted)
        self.announced, self.carried = announced, carried
        self.draining = False
        self.linger = BRIEFLY
        self.connections: set[ClientConnection] = set()
        self._refused: set[ClientConnection] = set()
        self._loop = asyncio.get_running_loop()
        self._listening: dict[socket.socket, asyncio.Server] = {}
        self._ending: set[asyncio.Task[None]] = set()
        self._empty = asyncio.Event()

    def __call__(self) -> ClientConnection:
        """Make the protocol of a new connection, as asyncio's servers want it."""
        return connection_for(self, self._loop, engine=self.carried is not None)

    async def listen(self, sock: socket.socket, ssl_context: ssl.SSLContext | None = None) -> None:
        """Accept on a bound socket, from now on."""
        unix = sock.family == getattr(socket, "AF_UNIX", None)
        create = self._loop.create_unix_server if unix else self._loop.create_server
        server = await create(self, sock=sock, ssl=ssl_context, backlog=BACKLOG)
        self._listening[sock] = server

    def leave(self, sock: socket.socket) -> None:
        """Accept no more on this socket and close it; what was accepted goes on."""
        server = self._listening.pop(sock, None)
        if server is not None:
            server.close()

    def stop_listening(self) -> None:
        """Accept no more connections; those that are open go on."""
        for sock in tuple(self._listening):
            self.leave(sock)

    # -- the connections -------------------------------------------------------------------------------------------

    def admit(self, connection: ClientConnection) -> bool:
        """Count a new connection; False if there are too many, in all or from its address."""
        self.connections.add(connection)
        # Those that are refused take nobody's place while their answer is on its way.
        room = len(self.connections) - len(self._refused) <= self.limits.connections
        if self._shares.admit(connection.peer) and room:
            return True
        self._refused.add(connection)
        return False

    def left(self, connection: ClientConnection, task: "asyncio.Task[None] | None") -> None:
        """A connection is gone; `task` may still be ending what it was doing."""
        if connection in self.connections:
            self.connections.discard(connection)
            self._refused.discard(connection)
            self._shares.left(connection.peer)
        if task is not None:
            self._ending.add(task)
            task.add_done_callback(self._ended)
        self._look()

    def _ended(self, task: "asyncio.Task[None]") -> None:
        self._ending.discard(task)
        self._look()

    def _look(self) -> None:
        if not self.connections and not self._ending:
            self._empty.set()
        else:
            self._empty.clear()

    async def emptied(self, seconds: float) -> bool:
        """Wait until no connection is open and no request runs; False if that takes longer than `seconds`."""
        self._look()
        try:
            async with asyncio.timeout(seconds):
                await self._empty.wait()
        except TimeoutError:
            return False
        return True
