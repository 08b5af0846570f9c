"""What is below the reserved prefix: which page or endpoint answers which path, in the looks of which domain.

Anything else there is 404.
"""

from collections.abc import Callable, Mapping

from aiohttp import web

from gateway.config.patterns import below
from gateway.config.schema import Network
from gateway.errors import RequestRefused
from gateway.i18n.text import N_
from gateway.model import Target
from gateway.observability import metrics
from gateway.observability.access_log import Trace
from gateway.policy.decide import Routes
from gateway.portal.health import Health
from gateway.portal.rendering.render import Pages
from gateway.portal.request import PortalRequest, View, Views
from gateway.portal.return_url import read_return, stands_for
from gateway.portal.signin.cross_domain_views import LOCAL
from gateway.request.target import agent_of, cookie_header
from gateway.session import Sessions
from gateway.session.device_endpoints import REFRESH, SITE
from gateway.session.domains import Domains

WELL_KNOWN = "/.well-known/"
"""What is outside the prefix has this in its path (RFC 8615)."""


class Sites:
    """Finds the pages for a request, by domain. `views` are all pages by the domain whose looks they have; "" are the
    portal's own.
    """

    def __init__(
        self,
        views: Mapping[str, Views],
        leave: View,
        domains: Domains,
        routes: Routes,
        *,
        prefix: str,
        root: bool,
    ) -> None:
        """`root` says whether the front page of the portal's host is ours, where no route has it."""
        self.root = root
        self._views, self._domains, self._routes, self._prefix = views, domains, routes, prefix
        self.paths = frozenset(views[""])
        self._remote = {name: _remote(pages, leave) for name, pages in views.items()}

    def views(self, request: web.BaseRequest, here: Target) -> Views:
        """Return the views for this request: in the looks of the domain that it is at, or that its user comes from."""
        if len(self._views) == 1 and not self._domains.any:
            return self._views[""]
        remote = self._domains.is_remote(here.host)
        name = self._domains.of(here.host if remote else self._destination(request, here).host)
        return (self._remote if remote else self._views)[name]

    def _destination(self, request: web.BaseRequest, here: Target) -> Target:
        """Where the page leads; forms name it in their address, too."""
        asked = stands_for(here, self._prefix, self._routes)
        if asked != here:
            return asked
        destination = read_return(request.query.get("rd", ""), here, self._routes, self._prefix)
        return stands_for(destination, self._prefix, self._routes)


def _remote(pages: Views, leave: View) -> Views:
    return {
        path: views
        if path in LOCAL or not path.startswith("/") or path.startswith("/oidc") or WELL_KNOWN in path
        else {"GET": leave, "POST": leave}
        for path, views in pages.items()
    }


class Portal:
    """Every page and endpoint below the prefix."""

    def __init__(
        self,
        prefix: str,
        sites: Sites,
        pages: Pages,
        sessions: Sessions,
        jwks: Callable[[], str],
        health: Health,
        metrics_networks: tuple[Network, ...],
        *,
        home: str,
        public_url: str,
        base: str = "",
        site: str = "",
        has_route: Callable[[str], bool],
    ) -> None:
        """`home` is the host of `public_url`, which is `server.public_url`; `site` the one that speaks for all that
        share the session, "" where none does; `has_route` says whether any route serves a host; `base` is the path of
        `public_url`. `exact` are whole paths and `below` starts of paths that `takes` is asked about.
        """
        self._prefix, self._pages = prefix, pages
        self._sessions, self._public_keys = sessions, jwks
        self._health, self._metrics_networks = health, metrics_networks
        self._sites = sites
        self.outside = frozenset(path for path in sites.paths if WELL_KNOWN in path)
        self._front = frozenset({f"{base}/", base} - {""} if sites.root else ())
        self.exact, self.below = self.outside | self._front | {prefix}, below(prefix)
        self._home, self._public_url, self._has_route = home, public_url, has_route
        self._site = site
        self._endpoints: Mapping[str, View] = {
            "/healthz": self._healthz,
            "/readyz": self._readyz,
            "/metrics": self._metrics,
            "/jwks.json": self._jwks,
        }
        self._static = {route.path.removeprefix(prefix): route.handler for route in pages.static_routes()}

    def takes(self, target: Target) -> bool:
        """Whether this is ours: below the prefix, or one of the few addresses outside it."""
        path = target.path
        if path in self._front:
            return target.host == self._home
        if path in self.outside:
            return target.host == (self._site if path == SITE else self._home)
        return path == self._prefix or path.startswith(self.below)

    async def handle(
        self, request: web.BaseRequest, target: Target, trace: Trace, *, trusted_peer: bool = False
    ) -> web.StreamResponse:
        """Answer what `takes` takes.

        Raises RequestRefused (404) for a host that no route names or a path that is none of ours, and MethodNotAllowed.
        """
        trace.route, request_id = "portal", trace.request_id
        path = self._below_prefix(target.path)
        if path in self._static and target.method in ("GET", "HEAD"):
            response: web.StreamResponse = await self._static[path](request)  # type: ignore[arg-type]
            return response
        if not self._is_known(target.host, path):
            raise RequestRefused(
                f"no route for {target.host}, so no page of ours is there either",
                status=404,
                public=N_("There is nothing here."),
            )
        views = self._views(path, self._sites.views(request, target))
        method = "GET" if target.method == "HEAD" else target.method
        if method not in views:
            raise _method_not_allowed(views)
        response = await views[method](await self._read(request, target, request_id, path))
        if path not in self._endpoints:
            self._pages.readers.remember(request, response)
        return response

    def _below_prefix(self, path: str) -> str:
        """Return how the views call this path."""
        if path in self._front:
            return "/"
        return path if path in self.outside else path.removeprefix(self._prefix) or "/"

    def _is_known(self, host: str, path: str) -> bool:
        """Whether pages of ours are shown at this host: a page at a host that somebody else holds looks like ours.

        What programs ask, which reach us by any name or address, shows nobody a page and reads no cookie.
        """
        if path in self._endpoints or path.startswith(_OF_PROGRAMS) or path == SITE:
            return True
        return host == self._home or self._has_route(host)

    def _views(self, path: str, pages: Views) -> Mapping[str, View]:
        if path in self._endpoints:
            return {"GET": self._endpoints[path]}
        found = pages.get(path) or pages.get(_tree(path))
        if found is None:
            raise RequestRefused("no such page of ours", status=404, public=N_("There is nothing here."))
        return found

    async def _read(
        self, request: web.BaseRequest, target: Target, request_id: str, path: str
    ) -> PortalRequest:
        """Endpoints for machines never read a session: probes must not depend on the store.

        Nor does what renews the bound cookie: a session is not used without its key there, it is about to show it.
        """
        reads_none = path in self._endpoints or path in (REFRESH, SITE)
        cookies = "" if reads_none else cookie_header(request.headers)
        visit = await self._sessions.visit(cookies, target.host, target.client, agent_of(request.headers))
        reader = self._pages.readers.here(request)
        return PortalRequest(
            http=request,
            target=target,
            visit=visit,
            request_id=request_id,
            reader=reader,
            public_url=self._public_url,
        )

    # -- endpoints for machines ------------------------------------------------------------------------------------

    async def _healthz(self, request: PortalRequest) -> web.Response:
        return web.json_response({"status": "ok"}, headers=_NO_STORE)

    async def _readyz(self, request: PortalRequest) -> web.Response:
        report = await self._health.report()
        status = 200 if report["status"] == "ready" else 503
        return web.json_response(report, status=status, headers=_NO_STORE)

    async def _metrics(self, request: PortalRequest) -> web.Response:
        if not any(request.target.client in network for network in self._metrics_networks):
            raise RequestRefused("metrics from outside server.metrics_networks", status=403)
        body, content_type = metrics.exposition()
        return web.Response(body=body, headers={"Content-Type": content_type, **_NO_STORE})

    async def _jwks(self, request: PortalRequest) -> web.Response:
        headers = {"Cache-Control": "public, max-age=300"}
        return web.Response(text=self._public_keys(), content_type="application/json", headers=headers)


def _tree(path: str) -> str:
    """The key of whoever answers everything below the first segment: "/admin/users" -> "/admin/*"."""
    return f"/{path[1:].partition('/')[0]}/*" if path.count("/") > 1 else ""


_NO_STORE = {"Cache-Control": "no-store"}
_OF_PROGRAMS = ("/admin/api/", "/sms/status")


def _method_not_allowed(views: Mapping[str, View]) -> RequestRefused:
    allowed = ", ".join(sorted({*views, "HEAD"} if "GET" in views else views))
    return MethodNotAllowed(f"allowed here: {allowed}", allowed)


class MethodNotAllowed(RequestRefused):
    """A page that has no such method (405). `allowed` is the Allow header (RFC 9110 §10.2.1)."""

    status = 405
    public = N_("This page does not understand that kind of request.")

    def __init__(self, detail: str, allowed: str) -> None:
        super().__init__(detail)
        self.allowed = allowed
