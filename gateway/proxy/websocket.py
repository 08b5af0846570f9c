"""WebSockets: who may open one, the handshake, and the register of those that are open.

After the handshake a Tunnel moves bytes untouched, whatever subprotocol and extensions the two ends agreed on.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

from aiohttp import web

from gateway.config import addresses
from gateway.config.schema import Route
from gateway.errors import ClientGone, UpstreamUnreachable
from gateway.model import Principal, Target
from gateway.proxy.client_response import Admitted, RelayedResponse
from gateway.proxy.response_headers import Rewriter
from gateway.proxy.round_trip import UpstreamResponse
from gateway.proxy.upstream_connection import serialize
from gateway.proxy.websocket_tunnel import Tunnel

SESSION_ENDED = 4401
"""Close code in the range for private use (RFC 6455 §7.4.2), after HTTP's 401."""
NOT_ALLOWED = 4403
"""The session goes on, but policy no longer lets it in here; after HTTP's 403."""
GOING_AWAY = 1001
"""RFC 6455 §7.4.1: the endpoint is shutting down; browsers connect again."""


def origin_allowed(origin: str | None, target: Target, route: Route) -> bool:
    """Tell whether a page of `origin` (the Origin header) may open a WebSocket to `target`.

    The target's own origin may, and those of `route.websocket_origins`. Browsers always send the header (RFC 6455
    §4.1); other programs need not, and are no danger here: they have no cookies of the user.
    """
    # The same-origin policy does not hold for WebSockets: any page may open one, with the user's cookies (RFC 6455
    # §10.2). Only this check keeps a foreign page from speaking to the app as its user.
    if origin is None:
        return True
    allowed = (f"{target.scheme}://{target.authority}", *route.websocket_origins)
    given = addresses.page_origin(origin)
    return given is not None and given in {addresses.page_origin(one) for one in allowed}


class Tunnels:
    """All open tunnels of this process, so that the end of a session can close the ones it opened."""

    def __init__(self) -> None:
        # An inner dict, not a set: it keeps the order, and holds what was decided on beside each tunnel.
        self._by_session: dict[str | None, dict[Tunnel, Admitted | None]] = {}

    def __len__(self) -> int:
        return sum(map(len, self._by_session.values()))

    @contextmanager
    def registered(
        self, tunnel: Tunnel, route: Route, target: Target, principal: Principal | None
    ) -> Iterator[None]:
        """Register before the handshake: a session that ends meanwhile must find the tunnel, too.

        `principal` is None for tunnels that no session opened (bypass).
        """
        sid = principal.session.sid if principal else None
        admitted = (
            Admitted(held=tunnel, route=route, target=target, principal=principal) if principal else None
        )
        self._by_session.setdefault(sid, {})[tunnel] = admitted
        del principal, admitted, target  # this frame stays as long as the tunnel, which may be days
        try:
            yield
        finally:
            tunnel.stop()
            del self._by_session[sid][tunnel]
            if not self._by_session[sid]:
                del self._by_session[sid]

    def admitted(self) -> dict[str, list[Admitted]]:
        """Session id -> the tunnels that it holds open, with what they were decided on."""
        return {
            sid: [one for one in group.values() if one is not None]
            for sid, group in self._by_session.items()
            if sid is not None
        }

    def close_session(self, sid: str, code: int = SESSION_ENDED, reason: str = "session ended") -> None:
        """Close the tunnels that a session opened. `code` and `reason` stand in the Close frame (RFC 6455 §7.4)."""
        for tunnel in tuple(self._by_session.get(sid, ())):
            tunnel.close(code, reason)

    def close_all(self, code: int = GOING_AWAY, reason: str = "shutting down") -> None:
        """Close every tunnel, as when the process ends."""
        for tunnel in [tunnel for group in self._by_session.values() for tunnel in group]:
            tunnel.close(code, reason)

    async def emptied(self) -> None:
        """Wait until every tunnel that is open now has ended."""
        await asyncio.gather(
            *(tunnel.wait() for group in self._by_session.values() for tunnel in tuple(group))
        )


class _EarlyBytes:
    """Takes from aiohttp what the client sent before it heard our 101."""

    def __init__(self) -> None:
        self.data = b""

    def feed_data(self, data: bytes) -> tuple[bool, bytes]:
        self.data += data
        return False, b""

    def feed_eof(self) -> None:
        """The tunnel hears of the end itself."""


def open_tunnel(
    request: web.BaseRequest, answer: UpstreamResponse, rewriter: Rewriter, tunnel: Tunnel, protocol: bytes
) -> None:
    """Pass the upstream's 101 to the client and join the two connections.

    Raises ClientGone, and UpstreamUnreachable for a 101 that switches to something else.
    """
    client, upstream = request.transport, answer.connection.transport
    if client is None:
        answer.connection.abort()
        raise ClientGone
    # A 101 must name what it switches to (RFC 9110 §15.2.2). Joined to anything else, HTTP for one, the client could
    # speak to the app past policy and past header rules.
    if upstream is None or not _switches(answer, protocol):
        answer.connection.abort()
        raise UpstreamUnreachable(f"upstream answered 101 without switching to {protocol.decode().lower()}")
    # Connection and Upgrade are hop-by-hop, so the rewriter took them out; this hop switches, too (RFC 6455 §4.2.2).
    # Sec-WebSocket-Accept and -Extensions go through: the client checks the former against its own key.
    switch = [*rewriter.headers(answer.head.headers), (b"Connection", b"Upgrade"), (b"Upgrade", protocol)]
    client.write(serialize(b"HTTP/1.1 101 %b" % answer.head.reason, switch))
    tunnel.url = answer.upstream.address.url
    # A client may send frames right behind its request; aiohttp has read them and would take them for a request.
    early = _EarlyBytes()
    request.protocol.set_parser(
        cast(Any, early)
    )  # typed for aiohttp's reader; only feed_data and feed_eof are used
    tunnel.open(client, upstream, early.data, answer.connection.tail)


def _switches(answer: UpstreamResponse, protocol: bytes) -> bool:
    # A protocol's name ignores case (RFC 9110 §7.8). Several fields, or one with two names, fit nothing and are
    # refused.
    upgrades = [value for name, value in answer.head.headers if name.lower() == b"upgrade"]
    return b"".join(upgrades).strip().lower() == protocol.lower()


async def hold(request: web.BaseRequest, tunnel: Tunnel) -> RelayedResponse:
    """Keep aiohttp's handler alive as long as the tunnel, then give the connection back for its book-keeping."""
    try:
        await tunnel.wait()
    finally:
        tunnel.abort()
        # aiohttp's protocol no longer hears from the transport; told now, it would cancel this very task.
        asyncio.get_running_loop().call_soon(request.protocol.connection_lost, None)
    response = RelayedResponse(101, upstream=tunnel.url)
    response.force_close()
    response.complete = True
    return response
