"""Answers for routes without an app (docs/routes.md): a redirect, or a fixed body.

Policy has allowed the request by then. A redirect keeps to the host that the configuration names, whatever the path.
"""

from urllib.parse import quote

from aiohttp import web

from gateway.config.schema import Redirect, Respond, Route
from gateway.model import Target
from gateway.portal.dispatch import MethodNotAllowed

_AS_SENT = "".join(map(chr, range(0x21, 0x7F)))


def own_answer(route: Route, target: Target, *, public: bool) -> web.Response | None:
    """Return the route's own answer, None for routes with an app. Caches keep it only if everybody may have it
    (`public`).
    """
    if route.redirect is not None:
        response = web.Response(status=route.redirect.status)
        response.headers["Location"] = location(route, route.redirect, target)
    elif route.respond is not None:
        response = _fixed(route.respond, target)
    else:
        return None
    if not public:
        response.headers["Cache-Control"] = "no-store"
    return response


def location(route: Route, redirect: Redirect, target: Target) -> str:
    """Return where the redirect leads: always absolute, so that no path can be read as a host."""
    to = redirect.to
    if to.startswith("/"):
        to = f"{target.scheme}://{target.authority}{to}"
    if redirect.keep_path:
        rest = target.path[len(route.path.rstrip("/")) :]
        rest = rest if rest.startswith("/") or not rest else f"/{rest}"
        to = to.rstrip("/") + rest + (f"?{target.query}" if target.query else "")
    return quote(to.encode("utf-8", "surrogateescape"), safe=_AS_SENT)


async def server_options(request: web.BaseRequest) -> web.Response:
    """Answer `OPTIONS *`: it asks about the server, which is us, and about no app (RFC 9110 §9.3.7)."""
    return web.Response(headers={"Server": "auth-gateway"})


def _fixed(respond: Respond, target: Target) -> web.Response:
    if target.method not in ("GET", "HEAD"):
        raise MethodNotAllowed(f"{target.method} to a fixed answer", "GET, HEAD")
    headers = {"Content-Type": respond.content_type, "X-Content-Type-Options": "nosniff"}
    return web.Response(status=respond.status, body=respond.body.encode(), headers=headers)
