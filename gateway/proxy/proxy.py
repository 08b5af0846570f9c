"""The proxy: sends an allowed request to its route's upstreams and streams the answer back.

It decides nothing about who may pass. What is forwarded is `target`, never the request's own path.
"""

import asyncio
from collections.abc import Sequence

from aiohttp import web

from gateway.clock import Clock, system_clock
from gateway.config.schema import Route
from gateway.errors import RequestRefused
from gateway.i18n.text import N_
from gateway.model import Principal, Target
from gateway.proxy.client_response import Admitted, HeldAnswer, HeldAnswers, RelayedResponse
from gateway.proxy.favicon import fetch_picture
from gateway.proxy.health_checks import watch
from gateway.proxy.request_headers import Peer, named, request_headers, traced
from gateway.proxy.round_trip import RoundTrip
from gateway.proxy.upstreams import PreparedRoute, UpstreamHealth
from gateway.proxy.websocket import Tunnels, hold, open_tunnel, origin_allowed
from gateway.proxy.websocket_tunnel import OpaqueTunnel, Tunnel

__all__ = [
    "Admitted",
    "Proxy",
    "RelayedResponse",
    "Tunnels",
    "UpstreamHealth",
    "identity_of",
    "origin_allowed",
    "wants_websocket",
]

WEBSOCKET = b"websocket"
_OTHERS = {"tcp": b"tcp", "spdy/3.1": b"SPDY/3.1"}
"""What else a route may switch to, and how that is spelled to the app."""
# CONNECT asks for a forward proxy; TRACE would show the assertion to the client (RFC 9110 §9.3.8).
REFUSED_METHODS = frozenset({"CONNECT", "TRACE"})


class Proxy:
    """All routes that lead to an app, with their upstreams, their open tunnels and the answers under way.

    `prefix` is the gateway's own path, which no upstream ever gets.
    """

    def __init__(
        self,
        routes: Sequence[Route],
        *,
        session_cookie_names: frozenset[str],
        prefix: str,
        clock: Clock = system_clock,
    ) -> None:
        self.tunnels, self.answers = Tunnels(), HeldAnswers()
        self._prefix = prefix
        # By identity: two routes may be equal, and hashing a route means hashing all of its settings.
        with_app = [route for route in routes if route.upstreams]
        self._sites = {id(route): PreparedRoute.of(route, session_cookie_names, clock) for route in with_app}
        self._checks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Start the health checks of the routes that have them."""
        for site in self._sites.values():
            if site.route.health is not None:
                self._checks.append(asyncio.create_task(watch(site.pool, site.route.health)))

    async def close(self) -> None:
        """Stop the checks, say goodbye to open WebSockets, close idle connections."""
        for check in self._checks:
            check.cancel()
        await asyncio.gather(*self._checks, return_exceptions=True)
        self.tunnels.close_all()
        await self.tunnels.emptied()
        for site in self._sites.values():
            site.pool.close()

    def site_of(self, route: Route) -> PreparedRoute:
        """Return the route as it was prepared for proxying."""
        return self._sites[id(route)]

    async def picture_of(self, route: Route, host: str, path: str) -> bytes:
        """Ask the route's app for a picture of it; b"" if it has none there."""
        return await fetch_picture(self.site_of(route).pool.next(), route, host, path)

    def health(self) -> list[UpstreamHealth]:
        """Return the state of every upstream, for `readyz` and the metrics."""
        return [one for site in self._sites.values() for one in site.pool.health()]

    async def handle(
        self,
        request: web.BaseRequest,
        route: Route,
        target: Target,
        principal: Principal | None,
        assertion: str | None,
        *,
        trusted_peer: bool,
        consumed: bool = False,
        request_id: str = "",
        traceparent: str = "",
    ) -> web.StreamResponse:
        """Send an allowed request to the route's app and stream the answer back.

        Args:
            target: what was judged; this, and never the request's own path, is forwarded.
            principal: who is signed in, None for nobody.
            assertion: the signed statement about the user (a JWT, RFC 7519), if the route tells one.
            trusted_peer: whether the connection comes from a trusted proxy, whose `X-Forwarded-*` go on.
            consumed: whether Authorization was for us and goes no further.
            traceparent: replaces the client's (W3C Trace Context), empty for none.

        Raises RequestRefused, ClientGone, UpstreamError or SessionEnded as long as nothing of a response was sent.
        """
        self._refuse(request, target)
        site = self._sites[id(route)]
        peer = Peer(_peer_address(request), trusted_peer)
        raw = request.raw_headers
        # With a token of ours an app could act as its user at other apps behind the gateway.
        if consumed:
            raw = tuple(pair for pair in raw if pair[0].lower() != b"authorization")
        headers = request_headers(raw, site.rules, target, peer, principal, assertion)
        headers = traced(headers + named(request_id, site.rules), traceparent)
        who, known = identity_of(principal, target), principal is not None
        protocol = wanted_upgrade(request, route)
        if not protocol:
            trip = RoundTrip(request=request, site=site, target=target, headers=headers, who=who, known=known)
            if principal is None:
                return await trip.run()
            held = HeldAnswer(request, route, trip)
            with self.answers.registered(
                Admitted(held=held, route=route, target=target, principal=principal)
            ):
                return await held.run()
        trip = RoundTrip(
            request=request,
            site=site,
            target=target,
            headers=headers,
            who=who,
            known=known,
            upgrade=protocol,
        )
        del headers
        _refuse_switch(request, route, target, protocol)
        # Registered before the app is asked: a session that ends during the handshake must find its tunnel.
        kind = Tunnel if protocol == WEBSOCKET else OpaqueTunnel
        tunnel = kind(route.timeouts.idle)
        with self.tunnels.registered(tunnel, route, target, principal):
            refusal = await _switch(request, site, target, trip, tunnel, protocol)
            del trip, target, principal, assertion  # a tunnel may stand for days
            return refusal or await hold(request, tunnel)

    def _refuse(self, request: web.BaseRequest, target: Target) -> None:
        if request.method in REFUSED_METHODS:
            raise RequestRefused(f"{request.method} is not proxied", status=405)
        # More than `chunked` in Transfer-Encoding, or several such fields, is how requests are smuggled: one parser
        # takes the last coding, another the first, and they no longer agree where the body ends (RFC 9112 §11.2).
        codings = ",".join(request.headers.getall("Transfer-Encoding", ("chunked",)))
        if codings.strip().lower() != "chunked":
            # Ours is a new chunked body, so another coding below it would be lost (RFC 9112 §6.1).
            raise RequestRefused("transfer coding beside chunked")
        declares_body = bool(request.content_length) or "Transfer-Encoding" in request.headers
        if declares_body and (wants_websocket(request) or not request.body_exists):
            # Where an Upgrade is asked for, two parsers may not agree whether a body or the next request follows.
            raise RequestRefused("upgrade with a body")
        # Nothing below our own path reaches an app, which could show a sign-in form of its own there.
        if target.path == self._prefix or target.path.startswith(self._prefix + "/"):
            raise RequestRefused("the gateway's own path", status=404, public=N_("There is nothing here."))


def wants_websocket(request: web.BaseRequest) -> bool:
    """Whether the request asks to switch to WebSocket (RFC 6455 §4.2.1).

    HTTP/1.0 and requests with another Upgrade are ordinary requests: a server may ignore Upgrade (RFC 9110 §7.8).
    """
    upgrade = request.headers.get("Upgrade", "").strip().lower()
    return request.method == "GET" and upgrade == "websocket" and _asks_to_switch(request)


def wanted_upgrade(request: web.BaseRequest, route: Route) -> bytes:
    """The protocol that the request asks to switch to, if this route has it; b"" for an ordinary request.

    A WebSocket counts on every route: where there are none, it is refused and not taken for a page.
    """
    if wants_websocket(request):
        return WEBSOCKET
    named = [value.strip().lower() for value in request.headers.getall("Upgrade", ())]
    if len(named) != 1 or named[0] not in _OTHERS or not route.switches_to(named[0]):
        return b""
    return _OTHERS[named[0]] if _asks_to_switch(request) else b""


def _asks_to_switch(request: web.BaseRequest) -> bool:
    # Both fields are lists, may stand several times and ignore case. Connection must name Upgrade: otherwise it came
    # from a hop before the last, whose sender does not speak to us (RFC 9110 §7.8).
    options = {
        option.strip().lower() for option in ",".join(request.headers.getall("Connection", ())).split(",")
    }
    return "upgrade" in options and request.version >= (1, 1)


async def _switch(
    request: web.BaseRequest,
    site: PreparedRoute,
    target: Target,
    trip: RoundTrip,
    tunnel: Tunnel,
    protocol: bytes,
) -> RelayedResponse | None:
    """Open the tunnel; an upstream that refuses gives an ordinary response instead."""
    answer = await trip.ask()
    if answer.head.status != 101:  # a server that does not switch answers as it likes (RFC 6455 §4.2.2)
        return await trip.relay(answer)
    await trip.sent()  # the new protocol begins behind the request (RFC 9110 §7.8)
    open_tunnel(request, answer, site.rewriter(answer.upstream.address, target), tunnel, protocol)
    return None


def _refuse_switch(request: web.BaseRequest, route: Route, target: Target, protocol: bytes) -> None:
    if protocol == WEBSOCKET and not route.switches_to("websocket"):
        raise RequestRefused(
            "route without websockets", status=403, public="WebSockets are not allowed here."
        )
    if "Transfer-Encoding" in request.headers:
        # `docker exec` sends its options in a body with a length; of a chunked one, two parsers may not see one end.
        raise RequestRefused("upgrade with a chunked body")
    if not origin_allowed(request.headers.get("Origin"), target, route):
        raise RequestRefused(
            "an upgrade from a foreign origin", status=403, public="Not allowed from this page."
        )


def _peer_address(request: web.BaseRequest) -> str | None:
    """The address at the other end of the connection; None on a unix socket."""
    peer = request.transport.get_extra_info("peername") if request.transport is not None else None
    return str(peer[0]) if isinstance(peer, tuple) else None


def identity_of(principal: Principal | None, target: Target) -> str:
    """Whose requests stay together: a user's, also after the next sign-in; an address's where nobody is signed in."""
    return f"user {principal.username}" if principal else f"address {target.client}"
