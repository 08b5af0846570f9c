"""The pages of access requests: ask for a group where a page was refused, and decide about such requests."""

from collections.abc import Sequence
from dataclasses import dataclass

from aiohttp import web

from gateway.clock import Clock
from gateway.config.schema import AccessRequest
from gateway.errors import TooManyAttempts
from gateway.model import Principal, Target
from gateway.policy.decide import Routes, proven_recently
from gateway.policy.grantable_groups import proof_due, requestable
from gateway.portal.access_requests.requests import AccessDesk
from gateway.portal.forms import posted
from gateway.portal.rendering.render import Pages
from gateway.portal.rendering.texts import STALE_FORM, too_many
from gateway.portal.request import PortalRequest, Views, see_other
from gateway.portal.return_url import href, read_return, with_return
from gateway.portal.services import Services


def access_pages(services: Services) -> Views:
    """Pages by path, below the prefix; none where nothing can be asked for."""
    if not services.config.access_requests:
        return {}
    page_url = f"{services.pages_url}/approvals"
    desk = AccessDesk(
        offered=services.config.access_requests,
        store=services.stores.access_requests,
        directory=services.users.directory,
        limits=services.limits,
        audit=services.audit,
        notices=services.messaging.notices,
        clock=services.clock,
        page_url=page_url,
    )
    views = AccessViews(
        desk=desk,
        pages=services.pages,
        routes=services.routes,
        clock=services.clock,
        prefix=services.prefix,
    )
    return {
        "/access": {"GET": views.ask_page, "POST": views.ask},
        "/approvals": {"GET": views.approvals, "POST": views.decide},
    }


@dataclass(frozen=True, slots=True)
class AccessViews:
    """The pages of asking for groups and of deciding about it."""

    desk: AccessDesk
    pages: Pages
    routes: Routes
    clock: Clock
    prefix: str

    # -- asking ------------------------------------------------------------------------------------------------------

    async def ask_page(self, request: PortalRequest) -> web.StreamResponse:
        """Show what may be asked for at the page that was refused."""
        destination = self._destination(request, request.http.query.get("rd", ""))
        if request.visit.principal is None:
            return self._to("login", with_return(f"{self.prefix}/access", href(destination, request.target)))
        offered = self._offered(destination, request.visit.principal)
        if self._proof_due(destination, request.visit.principal, offered):
            return self._to("verify", with_return(f"{self.prefix}/access", href(destination, request.target)))
        return self._form(request, destination, offered)

    async def ask(self, request: PortalRequest) -> web.StreamResponse:
        """Take the request for a group."""
        form = await posted(request)
        destination = self._destination(request, form.unproven.get("rd", ""))
        principal = request.visit.principal
        if principal is None:
            return self._to("login", with_return(f"{self.prefix}/access", href(destination, request.target)))
        offered = self._offered(destination, principal)
        if self._proof_due(destination, principal, offered):
            return self._to("verify", with_return(f"{self.prefix}/access", href(destination, request.target)))
        if not form.genuine:
            return self._form(request, destination, offered, error=STALE_FORM, status=403)
        group = form.get("group", "")
        if group not in {one.group for one in offered}:
            return self._form(request, destination, offered, status=403)
        try:
            new = await self.desk.ask(
                principal, request.client.ip, group, destination.url, form.get("why", "")
            )
        except TooManyAttempts as limit:
            return self._form(request, destination, offered, error=too_many(limit), status=429)
        return self._form(request, destination, offered, done="asked" if new else "waiting")

    def _offered(self, destination: Target, principal: Principal) -> list[AccessRequest]:
        route = self.routes.find(destination)
        if route is None:
            return []
        offered = tuple(self.desk.offered.values())
        return requestable(offered, route, destination, principal, self.clock())

    def _proof_due(self, destination: Target, principal: Principal, offered: Sequence[AccessRequest]) -> bool:
        """A password alone asks for nothing in its owner's name where the page wants more."""
        route = self.routes.find(destination)
        return route is not None and proof_due(offered, route, destination, principal, self.clock())

    def _form(
        self,
        request: PortalRequest,
        destination: Target,
        offered: list[AccessRequest],
        *,
        done: str = "",
        error: str | None = None,
        status: int = 200,
    ) -> web.Response:
        return self.pages.render(
            "access.html",
            status,
            reader=request.reader,
            request_id=request.request_id,
            csrf_token=request.visit.csrf,
            rd=href(destination, request.target),
            page=destination.url,
            groups=[one.group for one in offered],
            done=done,
            error=error,
        )

    # -- deciding ----------------------------------------------------------------------------------------------------

    async def approvals(self, request: PortalRequest) -> web.StreamResponse:
        """Show what waits for this user's decision."""
        principal = request.visit.principal
        if principal is None or not proven_recently(principal.session, self.clock()):
            return self._prove_first(principal)
        return await self._list(request, principal)

    async def decide(self, request: PortalRequest) -> web.StreamResponse:
        """Take a decision: grant, refuse or end."""
        form = await posted(request)
        principal = request.visit.principal
        if principal is None or not proven_recently(principal.session, self.clock()):
            return self._prove_first(principal)
        if not form.genuine:
            return await self._list(request, principal, error=STALE_FORM, status=403)
        what = form.get("do", "")
        if what not in ("grant", "refuse", "end"):
            return await self._list(request, principal, status=400)
        seconds = form.get("seconds", "")
        done = await self.desk.decide(
            principal,
            request.client.ip,
            form.get("id", ""),
            what,
            float(seconds) if seconds.isdecimal() else 3600.0,
        )
        return await self._list(request, principal, settled=what if done else "late")

    async def _list(
        self,
        request: PortalRequest,
        principal: Principal,
        *,
        settled: str = "",
        error: str | None = None,
        status: int = 200,
    ) -> web.Response:
        return self.pages.render(
            "approvals.html",
            status,
            reader=request.reader,
            request_id=request.request_id,
            csrf_token=request.visit.csrf,
            pending=await self.desk.pending(principal),
            settled=settled,
            error=error,
        )

    def _prove_first(self, principal: Principal | None) -> web.Response:
        return self._to("login" if principal is None else "verify", f"{self.prefix}/approvals")

    def _to(self, page: str, rd: str) -> web.Response:
        return see_other(with_return(f"{self.prefix}/{page}", rd))

    def _destination(self, request: PortalRequest, rd: str) -> Target:
        return read_return(rd, request.target, self.routes, self.prefix)
