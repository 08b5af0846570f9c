"""A connection from Envoy, our front door: each request on it is another client's, and says whose.

Only for the unix socket that `server.process.engine` has made for Envoy alone.
"""

import asyncio
from typing import Any, cast

from gateway.request.framing import Malformed
from gateway.request.hop import Hop, read_hop
from gateway.server.connection import ClientConnection
from gateway.server.fastpath.header_plans import ClientAddress
from gateway.server.way import Accepting


class HopTransport:
    """The transport of such a connection; of its other end it tells what Envoy said of the request under way."""

    def __init__(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self.hop = Hop(None, secure=False)

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """As of asyncio's transports, but for the address and TLS."""
        if name == "peername":
            return (str(self.hop.peer), 0) if self.hop.peer is not None else ""
        if name == "sslcontext":  # asked for nothing but whether there is one
            return self if self.hop.secure else None
        return self._transport.get_extra_info(name, default)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


class EngineConnection(ClientConnection):
    """Reads the hop before each request. Limits for each address are not counted here: Envoy's connections are few."""

    __slots__ = ()

    @property
    def peer(self) -> None:
        """Nobody in particular: connections are counted by it."""
        return

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(cast(asyncio.BaseTransport, HopTransport(transport)))

    def _begin(self, head: bytes) -> None:
        transport = cast(Any, self.transport)
        try:
            head, transport.hop = read_hop(head, self._server.announced)
        except Malformed as refused:
            self._refuse(refused.status, refused.cause)
            return
        self._address = ClientAddress.of(transport)
        super()._begin(head)


def connection_for(server: Accepting, loop: asyncio.AbstractEventLoop, *, engine: bool) -> ClientConnection:
    """The connection that a server makes of one that it accepts; `engine`: Envoy is at its other end."""
    return EngineConnection(server, loop) if engine else ClientConnection(server, loop)
