"""The path of a proxied request on one screen: target -> route -> session -> policy -> proxy or refusal."""

from collections.abc import Sequence
from contextlib import nullcontext

from aiohttp import web

from gateway.authn.access_tokens import ways_in
from gateway.authn.api_credentials import ApiCredentials
from gateway.authn.shown_credentials import ApiPrincipal
from gateway.config.schema import AccessRequest, Route
from gateway.errors import RequestRefused
from gateway.i18n.text import N_
from gateway.model import Decision, Principal, Target, Verdict
from gateway.observability.access_log import Trace
from gateway.policy.decide import PREFLIGHT, Routes, decide
from gateway.policy.grantable_groups import requestable
from gateway.portal.refusal import WayOn, refuse
from gateway.portal.rendering.render import Pages
from gateway.portal.rendering.texts import ANOTHER_ACCOUNT, REQUEST_ACCESS
from gateway.portal.return_url import over_https, with_return
from gateway.portal.unauthorized import page_for
from gateway.proxy.identity import Assertions
from gateway.proxy.proxy import Proxy
from gateway.proxy.webdav import check_destination
from gateway.request.target import agent_of, check_spelling, cookie_header
from gateway.server.fixed_answers import own_answer
from gateway.session import Sessions
from gateway.session.kept_posts import KeptPosts


class NoRoute(RequestRefused):
    """No route has this host and path."""

    status = 404
    public = N_("There is nothing here.")


class GuardedProxy:
    """Lets a request through to its app if policy allows it; otherwise says what its user can do."""

    def __init__(
        self,
        routes: Routes,
        sessions: Sessions,
        assertions: Assertions,
        proxy: Proxy,
        pages: Pages,
        credentials: ApiCredentials,
        kept: KeptPosts,
        *,
        prefix: str,
        public_url: str,
        offered: Sequence[AccessRequest] = (),
    ) -> None:
        self._routes, self._sessions, self._assertions = routes, sessions, assertions
        self._proxy, self._pages, self._prefix = proxy, pages, prefix
        self._credentials, self._kept, self._offered = credentials, kept, offered
        self._public_url = public_url

    async def handle(
        self, request: web.BaseRequest, target: Target, trace: Trace, *, trusted_peer: bool
    ) -> web.StreamResponse:
        """Answer a request for an app; `trace` gets what is found out, `trusted_peer`: a trusted proxy sent it.

        Raises NoRoute, RequestRefused for what policy or the proxy can't judge, and what `Proxy.handle` raises.
        """
        route = self._routes.find(target)
        if route is None:
            raise NoRoute(f"no route for {target.host}")
        trace.route = route.label
        check_spelling(target.path, route.allow_in_path)
        shown = await self._credentials_shown(request, route, target)
        principal = shown.principal
        # Where every rule denies, no session could change the answer, and the store is not asked.
        if principal is None and any(rule.require != "deny" for rule in route.access):
            principal = await self._sessions.load(
                cookie_header(request.headers), target.host, target.client, agent_of(request.headers)
            )
        # Browsers send a preflight without cookies, so it can only be anonymous. The app hears of nobody, and the
        # request that follows it is judged by itself.
        preflight = route.cors_preflight and is_preflight(request)
        decision = decide(route, target, principal, now := self._sessions.now(), preflight=preflight)
        if decision.reason == PREFLIGHT:
            principal = None
        trace.decided(decision, principal, now)
        if decision.verdict is not Verdict.ALLOW:
            if request.method == "POST" and (
                kept := await self._keep(request, route, target, principal, decision)
            ):
                return kept
            page = f"{self._prefix}/{page_for(decision)}"
            safe = over_https(target, self._public_url)
            page_url = f"{safe.scheme}://{safe.authority}{page}"
            return refuse(
                self._pages,
                request,
                route,
                target,
                decision,
                WayOn(with_return(page if safe is target else page_url, target.uri), page_url),
                request_id=trace.request_id,
                remedies=self._remedies(route, target, principal, now),
                offer=ways_in(route, target, decision, principal),
            )
        # COPY and MOVE write somewhere else than their target says (RFC 4918 §10.3).
        if "Destination" in request.headers:
            check_destination(request.raw_headers, self._routes, route, target, principal, now)
        if route.upstream is None and (
            answer := own_answer(route, target, public=decision.reason == "bypass")
        ):
            return answer
        if request.method == "POST":
            request = await self._kept.resume(request, target, principal)
        assertion = self._assertions.issue(principal, target.host) if principal else None
        with (
            trace.span.upstream(route.label, request.method) if trace.span else nullcontext("") as traceparent
        ):
            return await self._proxy.handle(
                request,
                route,
                target,
                principal,
                assertion,
                trusted_peer=trusted_peer,
                consumed=shown.consumed,
                request_id=trace.request_id,
                traceparent=traceparent,
            )

    async def _keep(
        self,
        request: web.BaseRequest,
        route: Route,
        target: Target,
        principal: Principal | None,
        decision: Decision,
    ) -> web.StreamResponse | None:
        """A form whose session has ended or needs a newer proof is not lost, if it may be kept."""
        if decision.verdict is Verdict.DENY:
            return None
        cookies = cookie_header(request.headers)
        username = principal.username if principal else self._sessions.ended(cookies)
        page = f"{self._prefix}/{page_for(decision)}"
        return await self._kept.keep(request, route, target, username, page)

    def _remedies(
        self, route: Route, target: Target, principal: Principal | None, now: float
    ) -> Sequence[tuple[str, str]]:
        """What somebody who is refused can do about it, as (words, address)."""
        if principal is None:
            return []
        remedies: list[tuple[str, str]] = [(ANOTHER_ACCOUNT, f"{self._prefix}/logout")]
        if requestable(self._offered, route, target, principal, now):
            remedies.insert(0, (REQUEST_ACCESS, with_return(f"{self._prefix}/access", target.uri)))
        return remedies

    async def _credentials_shown(
        self, request: web.BaseRequest, route: Route, target: Target
    ) -> ApiPrincipal:
        authorization = request.headers.getall("Authorization", ())
        certificate = request.get_extra_info("peercert") if route.client_cert else None
        if not authorization and certificate is None:
            return ApiPrincipal()
        return await self._credentials.read(route, target, tuple(authorization), certificate)


def is_preflight(request: web.BaseRequest) -> bool:
    """Fetch standard, "CORS-preflight request": browsers send it without cookies and without a body."""
    named = "Origin" in request.headers and "Access-Control-Request-Method" in request.headers
    return request.method == "OPTIONS" and named and not request.can_read_body
