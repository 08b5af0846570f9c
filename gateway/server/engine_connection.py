"""A connection from Envoy, our front door: each request on it is another client's, and says whose.

Only for the unix socket that `server.process.engine` has made for Envoy alone.
"""

import asyncio
from collections.abc import Awaitable
from functools import lru_cache
from typing import Any, cast

from gateway.errors import GatewayError, StoreUnavailable
from gateway.model import IPAddress
from gateway.request.client_certificate import read_certificate
from gateway.request.framing import Malformed
from gateway.request.hop import Hop, asked_again, asked_for_page, read_hop
from gateway.server.carried import NOT_CARRIED, CarriedRequests
from gateway.server.closing_connection import ConnectionState
from gateway.server.connection import ClientConnection
from gateway.server.fastpath.client_address import ClientAddress
from gateway.server.way import Accepting


class HopTransport:
    """The transport of such a connection; of its other end it tells what Envoy said of the request under way."""

    def __init__(self, transport: asyncio.BaseTransport, carried: CarriedRequests | None) -> None:
        """`carried` knows whose certificates count."""
        self._transport, self._carried = transport, carried
        self.hop = Hop(None, secure=False)

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """As of asyncio's transports, but for the address, TLS and the client's certificate."""
        if name == "peername":
            return (str(self.hop.peer), 0) if self.hop.peer is not None else ""
        if name == "sslcontext":  # asked for nothing but whether there is one
            return self if self.hop.secure else None
        if name == "peercert":
            return self._certificate()
        return self._transport.get_extra_info(name, default)

    def _certificate(self) -> dict[str, Any] | None:
        counts = self._carried.authorities if self._carried is not None else None
        if counts is None or not self.hop.certificate:
            return None
        if self.hop.authorities < counts:
            detail = "the client's certificate was checked by authorities that have changed since"
            raise GatewayError(detail, public=StoreUnavailable.public, status=503)
        return read_certificate(self.hop.certificate)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


@lru_cache(maxsize=4096)
def _address_of(peer: IPAddress | None, secure: bool) -> ClientAddress:
    return ClientAddress(peer, None if peer is None else str(peer), secure)


class EngineConnection(ClientConnection):
    """Reads the hop before each request. Limits for each address are not counted here: Envoy's connections are few."""

    __slots__ = ("_later",)

    @property
    def peer(self) -> None:
        """Nobody in particular: connections are counted by it."""
        return

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        hop = HopTransport(transport, self._server.carried)
        super().connection_made(cast(asyncio.BaseTransport, hop))

    def _begin(self, head: bytes, rest: bytes = b"") -> None:
        transport, carried = cast(Any, self.transport), self._server.carried
        if carried is not None and (asked := asked_again(head)):
            self._occupy(head)
            self._inbox.add(rest)
            self._later = self._loop.create_task(self._answer_later(carried.goes_on(asked)))
            return
        if carried is not None and (failed := asked_for_page(head)):
            self._occupy(head)
            self._inbox.add(rest)
            self._answer(carried.page(failed))
            return
        try:
            head, transport.hop = read_hop(head, self._server.announced)
        except Malformed as refused:
            self._refuse(refused.status, refused.cause)
            return
        self._address = _address_of(transport.hop.peer, transport.hop.secure)
        if not transport.hop.asks:
            super()._begin(head, rest)
            return
        self._occupy(head)
        self._inbox.add(rest)
        self._answer(carried.answer(head, self._address, transport.hop) if carried else NOT_CARRIED)

    def _occupy(self, head: bytes) -> None:
        """A question is under way. It has no body."""
        self.state, self._head = ConnectionState.SERVING, head
        self._held = self._expects = False
        self._stays_open = True

    async def _answer_later(self, answer: Awaitable[bytes]) -> None:
        self._answer(await answer)

    def _answer(self, answer: bytes) -> None:
        if self.transport is None:
            return
        keep = self.may_stay_open
        self.transport.write(
            answer if keep else answer.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n", 1)
        )
        self.answered(keep=keep)


def connection_for(server: Accepting, loop: asyncio.AbstractEventLoop, *, engine: bool) -> ClientConnection:
    """The connection that a server makes of one that it accepts; `engine`: Envoy is at its other end."""
    return EngineConnection(server, loop) if engine else ClientConnection(server, loop)
