"""Tells the pages and programs of an app who is signed in (`whoami`), as the app itself is told in headers.

It says nothing that the app would not hear: the route that the caller names decides, and what it keeps from its app is
kept from the app's pages, too. Pages of other origins learn nothing, not even whether somebody is signed in.
"""

import re
from dataclasses import replace

from aiohttp import web

from gateway.authn.api_credentials import ApiCredentials
from gateway.config.schema import Route
from gateway.config.sections.header_presets import told_by
from gateway.errors import RequestRefused
from gateway.i18n.text import N_
from gateway.model import Principal, Target, Verdict
from gateway.policy.decide import Routes, decide
from gateway.portal.request import PortalRequest, Views
from gateway.portal.services import Services
from gateway.portal.unauthorized import page_for
from gateway.proxy.request_headers import canonical
from gateway.session import Sessions

WHOAMI = "/whoami"
# Cross-Origin-Resource-Policy keeps the answer out of other sites' processes (Fetch standard); a cache that kept it
# would tell the next user who the last one was.
_HEADERS = {
    "Cache-Control": "no-store",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Vary": "Cookie, Authorization, Origin, Sec-Fetch-Site",
    "X-Content-Type-Options": "nosniff",
}
_PLAIN_PATH = re.compile(r"(/[A-Za-z0-9_~@:+-][A-Za-z0-9._~@:+-]*)*/?")
"""Paths that no app reads in two ways: no escapes, no empty segments, none that begins with a dot."""


def visible(route: Route, principal: Principal) -> dict[str, object]:
    """Return what the route's app hears of a user, as JSON members; what it does not hear is not there."""
    dropped = {canonical(name) for name in route.headers.drop}
    told = {
        says.fact for name, says in told_by(route.headers.preset).items() if canonical(name) not in dropped
    }
    user, stated = principal.user, "assertion" in told  # the statement says all of it
    facts: dict[str, object] = {}
    if stated or "username" in told:
        facts["username"] = user.username
    if stated or "name" in told:
        facts["name"] = user.name
    if stated or "email" in told:
        facts["email"] = user.email
    if stated or told & {"groups", "groups_piped"}:
        facts["groups"] = list(principal.groups)
    if stated:
        facts |= {"amr": list(principal.amr), "auth_time": int(principal.session.auth_time)}
    return facts


class WhoamiView:
    """Answers `whoami`. `credentials` reads what programs show instead of a cookie."""

    def __init__(
        self, routes: Routes, sessions: Sessions, credentials: ApiCredentials, *, prefix: str
    ) -> None:
        self._routes, self._sessions, self._prefix = routes, sessions, prefix
        self._credentials = credentials

    async def answer(self, request: PortalRequest) -> web.StreamResponse:
        """Say who is signed in for the route of `?path=`, by default that of "/".

        Raises RequestRefused for a path that has two readings, and what ApiCredentials.read raises.
        """
        if not _is_own_page(request):
            return _refused(403, "cross_origin")
        target = _asked(request)
        route = self._routes.find(target)
        if route is None:
            return _refused(404, "no_route")
        principal = await self._principal(request, route, target)
        decision = decide(route, target, principal, self._sessions.now())
        if decision.verdict is Verdict.DENY:
            return _refused(403, "denied")
        if principal is None or decision.verdict is not Verdict.ALLOW:
            # Where strangers pass, too, nobody is asked to sign in, yet nobody is signed in.
            page = page_for(decision) if decision.verdict is not Verdict.ALLOW else "login"
            reason = "sign_in_required" if page == "login" else "second_factor_required"
            login = f"{target.scheme}://{target.authority}{self._prefix}/{page}"
            response = _refused(401, reason, login_url=login)
            response.headers["WWW-Authenticate"] = (
                f'Cookie realm="{target.host}", form-action="{self._prefix}/{page}"'
            )
            return response
        return web.json_response(visible(route, principal), headers=_HEADERS)

    async def _principal(self, request: PortalRequest, route: Route, target: Target) -> Principal | None:
        authorization = tuple(request.http.headers.getall("Authorization", ()))
        certificate = request.http.get_extra_info("peercert") if route.client_cert else None
        if authorization or certificate is not None:
            shown = await self._credentials.read(route, target, authorization, certificate)
            if shown.principal is not None:
                return shown.principal
        return request.visit.principal


def _is_own_page(request: PortalRequest) -> bool:
    """Whether it is the app's own page that asks, or a program; a page of the portal's host is not the app's."""
    headers, target = request.http.headers, request.target
    own = f"{target.scheme}://{target.authority}"
    return headers.get("Origin", own) == own and headers.get("Sec-Fetch-Site", "none") in (
        "same-origin",
        "none",
    )


def _asked(request: PortalRequest) -> Target:
    path = request.http.query.get("path", "/")
    if len(request.http.query.getall("path", ())) > 1 or len(path) > 2000 or not _PLAIN_PATH.fullmatch(path):
        raise RequestRefused("whoami is asked about an odd path", public=N_("There is nothing here."))
    return replace(request.target, path=path or "/", query="", method="GET", empty_query=False)


def _refused(status: int, error: str, **more: str) -> web.Response:
    return web.json_response({"error": error, **more}, status=status, headers=_HEADERS)


def whoami_pages(services: Services, credentials: ApiCredentials) -> Views:
    """Return the endpoint, at every host that a route serves."""
    view = WhoamiView(services.routes, services.sessions, credentials, prefix=services.prefix)
    return {WHOAMI: {"GET": view.answer}}
