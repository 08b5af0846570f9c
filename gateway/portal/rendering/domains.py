"""Which pages a request is shown: in the looks of the domain that it is for, and on remote hosts mostly the way out."""

from collections.abc import Mapping

from aiohttp import web

from gateway.model import Target
from gateway.policy.routes import Routes
from gateway.portal.request import View, Views
from gateway.portal.return_url import read_return, stands_for
from gateway.portal.signin.cross_domain_views import LOCAL
from gateway.session.domains import Domains


class Sites:
    """`views` are all pages by the domain whose looks they have; "" are the portal's own."""

    def __init__(
        self, views: Mapping[str, Views], leave: View, domains: Domains, routes: Routes, *, prefix: str
    ) -> None:
        self._views, self._domains, self._routes, self._prefix = views, domains, routes, prefix
        self.paths = frozenset(views[""])
        self._remote = {name: _remote(pages, leave) for name, pages in views.items()}

    def views(self, request: web.BaseRequest, here: Target) -> Views:
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
        if path in LOCAL or not path.startswith("/") or path.startswith(("/oidc", "/.well-known"))
        else {"GET": leave, "POST": leave}
        for path, views in pages.items()
    }
