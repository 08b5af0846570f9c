"""The door for other proxies: nginx, Traefik, Caddy and Envoy ask here whether a request may pass.

Each dialect only says where the original request stands; the verdict is `policy.decide`, as for the proxy door.
Nothing but `server.trusted_proxies` is believed: whoever may name the original request may name any.
"""

import logging
from collections.abc import Callable
from urllib.parse import urlsplit

from aiohttp import web

from gateway.assertion import Assertions
from gateway.config.schema import Config, Route
from gateway.errors import RequestRefused
from gateway.gate import Trace, wants_html
from gateway.model import Decision, Principal, Target, Verdict
from gateway.policy import decide
from gateway.portal.reader import PROGRAM
from gateway.portal.render import Pages
from gateway.portal.returns import with_return
from gateway.proxy import REFUSED_METHODS, origin_allowed
from gateway.proxy.headers import HeaderRules, canonical, identity
from gateway.routing import Routes
from gateway.session import SessionLayer
from gateway.target import check_spelling, make_target

log = logging.getLogger("gateway.forwardauth")

_NO_STORE = {"Cache-Control": "no-store"}


class NotBelieved(RequestRefused):
    """The asking proxy, not its client, must be mended. The log tells the operator how."""

    status = 403
    public = "This proxy is not set up to ask here. Its operator finds the reason in the gateway's log."


# -- dialects: where each proxy puts the original request ----------------------------------------------------------


def from_forwarded(request: web.BaseRequest, here: Target, suffix: str) -> Target:
    """Traefik ForwardAuth and Caddy forward_auth: X-Forwarded-Method, -Proto, -Host and -Uri."""
    names = ("Proto", "Host", "Method", "Uri")
    scheme, authority, method, uri = (_one(request, f"X-Forwarded-{name}") for name in names)
    return make_target(scheme, authority, method, uri, here.client)


def from_original(request: web.BaseRequest, here: Target, suffix: str) -> Target:
    """nginx auth_request: X-Original-URL (the whole URL) and X-Original-Method."""
    scheme, _, rest = _one(request, "X-Original-URL").partition("://")
    authority, slash, path = rest.partition("/")
    return make_target(scheme, authority, _one(request, "X-Original-Method"), slash + path, here.client)


def from_path(request: web.BaseRequest, here: Target, suffix: str) -> Target:
    """Envoy ext_authz: the original request itself, its path behind ours."""
    uri = f"{suffix}?{here.query}" if here.query else suffix
    return make_target(here.scheme, here.authority, here.method, uri, here.client)


Dialect = Callable[[web.BaseRequest, Target, str], Target]


def dialect_of(request: web.BaseRequest, suffix: str) -> Dialect:
    """The one dialect that the request speaks.

    A client may send the headers of another one through its proxy; picking either could be picking the client's.
    """
    signs: tuple[tuple[Dialect, bool], ...] = (
        (from_path, bool(suffix)),
        (from_original, _has(request, "X-Original-URL", "X-Original-Method")),
        (from_forwarded, _has(request, "X-Forwarded-Uri", "X-Forwarded-Method")),
    )
    spoken = [dialect for dialect, present in signs if present]
    if len(spoken) != 1:
        problem = "no headers that name the original request" if not spoken else "headers of two dialects"
        raise NotBelieved(
            f"forward-auth: {problem}; `auth-gateway export` writes a proxy configuration that sends one "
            "dialect and removes the others",
            status=400,
        )
    return spoken[0]


def _has(request: web.BaseRequest, *names: str) -> bool:
    return any(request.headers.get(name) for name in names)


def _one(request: web.BaseRequest, name: str) -> str:
    values = request.headers.getall(name, [])
    if len(values) != 1 or not values[0]:
        raise NotBelieved(f"forward-auth: {len(values)} {name} headers, must be one", status=400)
    return values[0]


# -- the answer ----------------------------------------------------------------------------------------------------


class ForwardAuth:
    def __init__(
        self, config: Config, routes: Routes, sessions: SessionLayer, assertions: Assertions, pages: Pages
    ) -> None:
        self._prefix, self._public_url = config.server.prefix, config.server.public_url
        self._shared_login = config.session.domain is not None
        self._routes, self._sessions, self._assertions, self._pages = routes, sessions, assertions, pages

    async def handle(
        self, request: web.BaseRequest, here: Target, trace: Trace, *, trusted_peer: bool
    ) -> web.StreamResponse:
        """200 with identity headers, 401 or 302 with the way to sign in, 403."""
        if not trusted_peer:
            raise NotBelieved(
                f"forward-auth asked by {here.client}, which is not in server.trusted_proxies; "
                "add the proxy's address there"
            )
        suffix = here.path.removeprefix(f"{self._prefix}/forward")
        dialect = dialect_of(request, suffix)
        try:
            asked = dialect(request, here, suffix)
            trace.target = asked
            route = self._route(request, asked, by_path=dialect is from_path)
        except NotBelieved as error:
            log.warning("%s", error.detail)
            raise
        except RequestRefused as refusal:  # nginx understands no other refusal than 403
            raise RequestRefused(refusal.detail, status=403, public=refusal.public) from refusal
        principal = await self._sessions.load(";".join(request.headers.getall("Cookie", ())))
        decision = decide(route, asked, principal, now := self._sessions.now())
        trace.route = route.label
        trace.decided(decision, principal, now)
        if decision.verdict is Verdict.ALLOW:
            return self._allow(route, asked, principal)
        return self._refuse(request, asked, decision, trace, status_only=dialect is from_original)

    def _route(self, request: web.BaseRequest, asked: Target, *, by_path: bool) -> Route:
        """The route of the original request, if nothing about the request itself is refused."""
        route = self._routes.find(asked)
        if route is None:
            raise RequestRefused(f"no route for {asked.host}", public="There is nothing here.")
        expected = None if by_path else request.query.get("route")
        if expected is not None and expected != route_key(route):
            raise RequestRefused(f"the proxy chose {expected[:100]!r}, the gateway {route_key(route)!r}")
        check_spelling(asked.path, route.allow_in_path)
        if asked.method in REFUSED_METHODS:
            raise RequestRefused(f"{asked.method} is not proxied")
        # Upgrade is hop-by-hop and does not arrive here; the key of the handshake does (RFC 6455 §4.1).
        if "Sec-WebSocket-Key" in request.headers and not (
            route.websocket and origin_allowed(request.headers.get("Origin"), asked, route)
        ):
            raise RequestRefused("WebSocket from a foreign origin, or to a route without WebSockets")
        return route

    def _allow(self, route: Route, asked: Target, principal: Principal | None) -> web.Response:
        assertion = self._assertions.issue(principal, asked.host) if principal else None
        rules = HeaderRules.of(route, ())
        told = [
            pair for pair in identity(principal, assertion, rules) if canonical(pair[0]) not in rules.drop
        ]
        response = web.Response(headers=_NO_STORE)
        for name, value in told:
            response.headers[name.decode()] = value.decode()
        return response

    def _refuse(
        self,
        request: web.BaseRequest,
        asked: Target,
        decision: Decision,
        trace: Trace,
        *,
        status_only: bool,
    ) -> web.StreamResponse:
        html = wants_html(asked.method, request.headers) and "Sec-WebSocket-Key" not in request.headers
        if decision.verdict is Verdict.DENY:
            return self._pages.error(
                403,
                reader=self._pages.readers.of(request),
                reason=decision.reason,
                request_id=trace.request_id,
                accepts_html=html,
            )
        page = "login" if decision.verdict is Verdict.SIGN_IN else "verify"
        location = {"Location": self._sign_in_at(page, asked)} if html else {}
        if html and not status_only:
            return web.Response(status=302, headers={**location, **_NO_STORE, "Vary": "Cookie"})
        challenge = f'Cookie realm="{asked.host}", form-action="{self._prefix}/{page}"'
        return self._pages.error(
            401,
            reader=PROGRAM,
            reason="sign_in_required" if page == "login" else "second_factor_required",
            request_id=trace.request_id,
            accepts_html=False,
            headers={**location, "WWW-Authenticate": challenge, "Vary": "Cookie, Accept"},
        )

    def _sign_in_at(self, page: str, asked: Target) -> str:
        """On the app's own host, where the session cookie belongs; on the portal's, if they share the cookie."""
        if self._shared_login and urlsplit(self._public_url).hostname != asked.host:
            return with_return(f"{self._public_url}{self._prefix}/{page}", asked.url)
        return with_return(f"{asked.scheme}://{asked.authority}{self._prefix}/{page}", asked.uri)


def route_key(route: Route) -> str:
    """How an exported configuration names the route that it chose, for `?route=`."""
    return f"{route.host}{route.path}"
