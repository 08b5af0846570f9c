"""Which door or page of the forward-auth side answers an address, ours or a peer's."""

from dataclasses import replace
from urllib.parse import urlsplit

from aiohttp import web

from gateway.config.schema import Config
from gateway.forwardauth.compatible_gateways import Page, addresses_of, find_door, find_page
from gateway.forwardauth.decision import Decider, Dialect
from gateway.forwardauth.original_request import NotBelieved, dialect_of, from_original, from_path
from gateway.model import Principal, Target, Verdict
from gateway.observability.request_trace import Trace
from gateway.policy.decide import decide
from gateway.policy.routes import Routes, path_matches
from gateway.portal.rendering.reader_language import PROGRAM
from gateway.portal.rendering.render import Pages
from gateway.portal.return_url import read_return
from gateway.session import Sessions
from gateway.session.assertions import Assertions


class ForwardAuth:
    def __init__(
        self, config: Config, routes: Routes, sessions: Sessions, assertions: Assertions, pages: Pages
    ) -> None:
        self._engine = Decider(config, routes, sessions, assertions, pages)
        self._routes, self._sessions, self._pages = routes, sessions, pages
        self._prefix, self._own = config.server.prefix, f"{config.server.prefix}/forward"
        portal = urlsplit(config.server.public_url)
        self._portal_host, self._scheme = portal.hostname or "", portal.scheme
        self._peers = addresses_of(config)
        peers = self._peers
        self.exact = frozenset((*peers.doors, *peers.pages, *peers.portal))
        self.below: tuple[str, ...] = tuple(peers.below)

    def takes(self, host: str, path: str) -> bool:
        """Whether this address, which may look like an app's, is answered here."""
        if path in self.exact:
            return path not in self._peers.portal or host == self._portal_host
        return path_matches(self._own, path) or path.startswith(self.below)

    async def handle(
        self, request: web.BaseRequest, here: Target, trace: Trace, *, trusted_peer: bool
    ) -> web.StreamResponse | None:
        """The answer; None if the address is not one of ours after all."""
        if page := find_page(self._peers, here, self._portal_host):
            return await self._page(request, here, trace, page)
        of_peer = find_door(self._peers, request, here)
        if of_peer is None and not path_matches(self._own, here.path):
            return None
        if not trusted_peer:
            raise NotBelieved(
                f"forward-auth asked by {here.client}, which is not in server.trusted_proxies; "
                "add the proxy's address there"
            )
        door, suffix = of_peer or self._own_door(request, here)
        return await self._engine.answer(request, here, trace, door, suffix)

    def _own_door(self, request: web.BaseRequest, here: Target) -> tuple[Dialect, str]:
        suffix = here.path.removeprefix(self._own)
        reader = dialect_of(request, suffix)
        door = Dialect(reader, redirects=reader is not from_original, names_route=reader is not from_path)
        return door, suffix

    # -- pages of peers --------------------------------------------------------------------------------------------

    async def _page(
        self, request: web.BaseRequest, here: Target, trace: Trace, page: Page
    ) -> web.StreamResponse:
        trace.route = "portal"
        if "X-Forwarded-Proto" not in request.headers:  # few of the peers' configurations send it
            here = replace(here, scheme=self._scheme)
        if page.leads_to == "userinfo":
            return await self._userinfo(request, here, trace)
        back: str = request.query.get(page.back) or request.headers.get("X-Auth-Request-Redirect") or ""
        destination = read_return(back, here, self._routes, self._prefix)
        return self._onward(request, trace, self._engine.page_for(page.leads_to, destination))

    def _onward(self, request: web.BaseRequest, trace: Trace, where: str) -> web.Response:
        """A redirect that also works as the body of another status: nginx' `error_page 401 =403 /oauth2/sign_in`."""
        response = self._pages.error(
            401,
            reader=self._pages.readers.of(request),
            reason="sign_in_required",
            request_id=trace.request_id,
            actions=[("Go on", where)],
            headers={"Location": where, "Refresh": f"0; url={where}"},
        )
        response.set_status(303)
        return response

    async def _userinfo(self, request: web.BaseRequest, here: Target, trace: Trace) -> web.Response:
        """Whom the app at this host would be told of, and nobody else: a half finished sign-in is none."""
        principal = await self._sessions.load(";".join(request.headers.getall("Cookie", ())))
        if principal is None or not self._is_in(principal, here):
            return self._pages.error(
                401,
                reader=PROGRAM,
                reason="sign_in_required",
                request_id=trace.request_id,
                accepts_html=False,
            )
        user = principal.user
        facts = {"user": user.username, "email": user.email, "groups": list(user.groups)}
        return web.json_response(
            {**facts, "preferredUsername": user.username}, headers={"Cache-Control": "no-store"}
        )

    def _is_in(self, principal: Principal, here: Target) -> bool:
        root = replace(here, method="GET", path="/", query="")
        route = self._routes.find(root)
        return (
            route is not None
            and decide(route, root, principal, self._sessions.now()).verdict is Verdict.ALLOW
        )
