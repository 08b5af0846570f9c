"""Answers "may this pass?" for other proxies: the dialect of the address that is asked at reads the original request,
the policy decides, and the answer is given in the words of that dialect."""

import logging
from collections.abc import Mapping, Sequence
from urllib.parse import urlsplit

from aiohttp import web
from multidict import CIMultiDict

from gateway.authn.access_tokens import ways_in
from gateway.authn.api_credentials import ApiCredentials
from gateway.authn.shown_credentials import ApiPrincipal
from gateway.config.patterns import below, host_matches
from gateway.config.schema import Config, Route
from gateway.config.sections.header_presets import HeaderFact
from gateway.errors import RequestRefused
from gateway.forwardauth.compatible_gateways import CompatiblePages, addresses_of, find_door, find_page
from gateway.forwardauth.original_request import (
    Dialect,
    NotBelieved,
    OriginalRequest,
    Question,
    Reader,
    demanded,
    dialect_of,
    from_forwarded,
    from_original,
    from_path,
)
from gateway.i18n.text import N_
from gateway.model import Decision, Principal, Target, Verdict
from gateway.observability.access_log import Trace
from gateway.policy.decide import Routes, decide
from gateway.portal.refusal import WayOn, refuse
from gateway.portal.rendering.render import Pages
from gateway.portal.return_url import over_https, with_return
from gateway.portal.unauthorized import page_for
from gateway.proxy.identity import Assertions, identity
from gateway.proxy.proxy import REFUSED_METHODS, origin_allowed
from gateway.proxy.request_headers import HeaderRules
from gateway.proxy.webdav import check_destination, destination_of
from gateway.request.target import agent_of, check_spelling, cookie_header, origin_form
from gateway.session import Sessions
from gateway.session.domains import Domains

log = logging.getLogger("gateway.forwardauth")

CONSUMES, CONSUMED = "X-Gateway-Consumes", "X-Gateway-Consumed"
"""Question and answer: the proxy will not pass Authorization on if it was for us; it was."""
_AUTHORIZATION = "authorization"
# A proxy that kept a yes (nginx' `proxy_cache` can) would go on letting in whom we have signed out.
_NO_STORE = {"Cache-Control": "no-store"}
NOTHING = N_("There is nothing here.")
_STRICTNESS = (Verdict.ALLOW, Verdict.STEP_UP, Verdict.SIGN_IN, Verdict.DENY)


class ForwardAuth:
    """Answers the questions of other proxies, at our own address and at those of `forward.compatible`."""

    def __init__(
        self,
        config: Config,
        routes: Routes,
        sessions: Sessions,
        assertions: Assertions,
        pages: Pages,
        credentials: ApiCredentials,
    ) -> None:
        """`exact` are whole paths and `below` starts of paths, some like an app's, that `takes` is asked about."""
        self._prefix, self._public_url = config.server.prefix, config.server.public_url
        self._pages_url = config.server.pages_url
        self._shared_login, self._domains = config.session.domain is not None, Domains(config)
        self._routes, self._sessions, self._assertions, self._pages = routes, sessions, assertions, pages
        self._credentials = credentials
        self._own, self._portal_host = f"{self._prefix}/forward", urlsplit(self._public_url).hostname or ""
        self._own_dialects: dict[Reader, Dialect] = {
            reader: Dialect(
                reader, redirects=reader is not from_original, names_route=reader is not from_path
            )
            for reader in (from_forwarded, from_original, from_path)
        }
        self._peers = addresses_of(config)
        self._peer_pages = CompatiblePages(
            config, routes=routes, sessions=sessions, pages=pages, page_for=self.page_for
        )
        self._peer_paths = frozenset((*self._peers.doors, *self._peers.pages, *self._peers.portal))
        self._below_peers = tuple(self._peers.below)
        self._below_own = below(self._own)
        self.exact = self._peer_paths | {self._own}
        self.below: tuple[str, ...] = (*self._below_peers, *self._below_own)
        self.doors = frozenset((self._own, *self._peers.doors)) - {*self._peers.pages, *self._peers.portal}
        """Where proxies ask that name the original request in a header."""
        self.doors_below = tuple(f"{start.rstrip('/')}/" for start in (self._own, *self._peers.below))
        """Where they ask that put its path behind ours."""
        # A proxy hides these from clients, as they are written. What else is read as the same is a client's.
        self._spelled = (self._own, *self._peers.doors, *self._peers.below)
        self._rules: dict[tuple[int, int], HeaderRules] = {}

    def takes(self, target: Target) -> bool:
        """Whether this address, which may look like an app's, is answered here."""
        path = target.path
        if path == self._own or path.startswith(self.below) or path in self._peers.doors:
            return True
        return path in self._peer_paths and find_page(self._peers, target, self._portal_host) is not None

    async def handle(
        self, request: web.BaseRequest, here: Target, trace: Trace, *, trusted_peer: bool
    ) -> web.StreamResponse:
        """Answer what `takes` takes. Raises NotBelieved if no trusted proxy asks (its client could be asking itself),
        RequestRefused for another spelling of the address.
        """
        of_peers = here.path in self._peer_paths or here.path.startswith(self._below_peers)
        if of_peers and (page := find_page(self._peers, here, self._portal_host)):
            return await self._peer_pages.answer(request, here, trace, page)
        if not trusted_peer:
            raise NotBelieved(
                f"forward-auth asked by {here.client}, which is not in server.trusted_proxies; "
                "add the proxy's address there"
            )
        if not origin_form(request.raw_path).startswith(self._spelled):
            raise RequestRefused(
                "forward-auth at an address that no proxy spells so", status=404, public=NOTHING
            )
        door, suffix = self.door_of(request, here)
        return await self._answer(request, here, trace, door, suffix)

    def door_of(self, question: Question, here: Target) -> tuple[Dialect, str]:
        """The dialect that is spoken at this address, and the original path behind it. Raises NotBelieved."""
        ours = here.path == self._own or here.path.startswith(self._below_own)
        if not ours and (of_peer := find_door(self._peers, question, here)):
            return of_peer
        suffix = here.path.removeprefix(self._own)
        return self._own_dialects[dialect_of(question, suffix)], suffix

    async def _answer(
        self, request: web.BaseRequest, here: Target, trace: Trace, door: Dialect, suffix: str
    ) -> web.StreamResponse:
        """Yes with identity headers, 401 or 302 with the way to sign in, 403."""
        try:
            asked = door.read(request, here, suffix)
            trace.target = asked.target
            routes = self.routes_of(asked)
            for route in routes:
                self.check(request, asked.target, route, names_route=door.names_route)
        except NotBelieved as error:
            log.warning("%s", error.detail)
            raise
        except RequestRefused as refusal:  # nginx understands no other refusal than 403
            raise RequestRefused(refusal.detail, status=403, public=refusal.public) from refusal
        authorization, shown = self.authorization(request, asked), ApiPrincipal()
        if authorization:
            shown = await self._credentials.read(routes[0], asked.target, authorization, None)
        here, cookies, agent = asked.target, cookie_header(request.headers), agent_of(request.headers)
        principal = shown.principal or await self._sessions.load(cookies, here.host, here.client, agent)
        route, decision = self.decide(request, door, routes, asked.target, principal)
        trace.route = route.label
        trace.decided(decision, principal, self._sessions.now())
        if decision.verdict is Verdict.ALLOW:
            if "Destination" in request.headers:
                self._check_destination(request, route, asked.target, principal)
            told = self.told(route, asked.target, principal, door, consumed=shown.consumed)
            return web.Response(status=door.yes, headers=told)
        return self._refuse(request, route, asked.target, decision, trace, door)

    def authorization(self, question: Question, asked: OriginalRequest) -> Sequence[str]:
        """API credentials count for a proxy that says it keeps them from the app, and that names the whole request."""
        whole = asked.knows_path and asked.knows_method
        if not whole or question.headers.get(CONSUMES) != _AUTHORIZATION:
            return ()
        return tuple(question.headers.getall("Authorization", ()))

    def decide(
        self,
        question: Question,
        door: Dialect,
        routes: Sequence[Route],
        target: Target,
        principal: Principal | None,
    ) -> tuple[Route, Decision]:
        """What the strictest of the routes says, and which it is."""
        now = self._sessions.now()
        decided = [(route, decide(route, target, principal, now)) for route in routes]
        route, decision = max(decided, key=lambda pair: _STRICTNESS.index(pair[1].verdict))
        return route, demanded(question, door, principal, decision)

    def routes_of(self, asked: OriginalRequest) -> list[Route]:
        """The route of the original request; all that its host has, where the proxy does not say which path.

        The answer must be right for each of them: rules can't ask for what nobody knows. Raises NotBelieved,
        RequestRefused.
        """
        host = asked.target.host
        if asked.knows_path:
            found = self._routes.find(asked.target)
            routes = [found] if found else []
        else:
            routes = [route for route in self._routes.all if host_matches(route.host, host)]
            if routes and not any(route.path == "/" for route in routes):
                raise NotBelieved(f"forward-auth: no path is named, and {host} has no route for all of them")
        if not routes:
            raise RequestRefused(f"no route for {host}", public=NOTHING)
        for known, key in (
            (asked.knows_path, "paths"),
            (asked.knows_path, "query"),
            (asked.knows_method, "methods"),
        ):
            if not known and any(getattr(rule, key) for route in routes for rule in route.access):
                raise NotBelieved(
                    f"forward-auth: the rules for {host} ask about {key}, which this proxy does not name; let it ask "
                    "at the gateway's own endpoint instead (docs/forward-auth.md)"
                )
        return routes

    def check(self, question: Question, target: Target, route: Route, *, names_route: bool) -> None:
        """Refuse what is wrong about the request itself, with RequestRefused or NotBelieved. Of the path only its
        spelling counts.
        """
        expected = question.query.get("route") if names_route else None
        if expected is not None and expected != route_key(route):
            raise RequestRefused(f"the proxy chose {expected[:100]!r}, the gateway {route_key(route)!r}")
        check_spelling(target.path, route.allow_in_path)
        if not route.upstreams:
            raise NotBelieved(
                f"forward-auth: the gateway itself answers for {route.label} (`redirect`, `respond`), so no app may; "
                "let the proxy send these requests to the gateway (docs/routes.md)"
            )
        if target.method in REFUSED_METHODS:
            raise RequestRefused(f"{target.method} is not proxied")
        # Upgrade is hop-by-hop and does not arrive here; the key of the handshake does (RFC 6455 §4.1).
        if "Sec-WebSocket-Key" in question.headers and not (
            route.switches_to("websocket") and origin_allowed(question.headers.get("Origin"), target, route)
        ):
            raise RequestRefused("WebSocket from a foreign origin, or to a route without WebSockets")

    def _check_destination(
        self, request: web.BaseRequest, route: Route, target: Target, principal: Principal | None
    ) -> None:
        """Where COPY and MOVE write. What the proxy can't write anew for its app must be the same there."""
        try:
            check_destination(
                request.raw_headers, self._routes, route, target, principal, self._sessions.now()
            )
        except RequestRefused as refusal:
            raise RequestRefused(refusal.detail, status=403, public=refusal.public) from refusal
        based = any(urlsplit(url).path.strip("/") for url in route.upstreams if not url.startswith("unix:"))
        if (route.strip_path or based) and destination_of(request.raw_headers, target):
            raise RequestRefused(
                "Destination on a route whose paths change: only the gateway's own proxy maps it", status=403
            )

    def told(
        self, route: Route, target: Target, principal: Principal | None, door: Dialect, *, consumed: bool
    ) -> CIMultiDict[str]:
        """The headers of a yes: the proxy copies them for its app, and must remove the client's own of those names."""
        assertion = self._assertions.issue(principal, target.host) if principal else None
        told = CIMultiDict(_NO_STORE)
        rules = self._rules_for(route, door.told)
        made = rules.of_user.told(principal) if rules.of_user else []
        for name, value in (*identity(principal, assertion, rules.told), *made):
            told[name.decode()] = value.decode()
        if consumed:
            told[CONSUMED] = _AUTHORIZATION
        return told

    def _rules_for(self, route: Route, told: Mapping[str, HeaderFact]) -> HeaderRules:
        """Made once for each pair. By identity: routes and tables of headers live as long as this, and are few."""
        key = (id(route), id(told))
        if key not in self._rules:
            self._rules[key] = HeaderRules.of(route, (), told)
        return self._rules[key]

    def _refuse(
        self,
        request: web.BaseRequest,
        route: Route,
        target: Target,
        decision: Decision,
        trace: Trace,
        door: Dialect,
    ) -> web.StreamResponse:
        where = self.page_for(page_for(decision), target)
        way_on = WayOn(where, where.partition("?")[0], redirect=302 if door.redirects else 401)
        offer = ways_in(route, target, decision, None) if CONSUMES in request.headers else ""
        return refuse(
            self._pages, request, route, target, decision, way_on, request_id=trace.request_id, offer=offer
        )

    def page_for(self, page: str, target: Target) -> str:
        """On the app's own host, where the session cookie belongs; on the portal's, if they share the cookie."""
        target, elsewhere = over_https(target, self._public_url), target.host != self._portal_host
        if self._shared_login and elsewhere and not self._domains.is_remote(target.host):
            return with_return(f"{self._pages_url}/{page}", target.url)
        return with_return(f"{target.scheme}://{target.authority}{self._prefix}/{page}", target.uri)


def route_key(route: Route) -> str:
    """How an exported configuration names the route that it chose, for `?route=`."""
    return f"{route.host}{route.path}"
