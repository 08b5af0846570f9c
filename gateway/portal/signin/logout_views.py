"""The pages of signing out."""

from aiohttp import web

from gateway.authn.login import SignIn
from gateway.portal.forms import posted
from gateway.portal.rendering.render import Pages
from gateway.portal.request import PortalRequest, see_other
from gateway.portal.signin.next_step import RedirectLoop
from gateway.session import Sessions
from gateway.session.domains import Domains


class LogoutViews:
    """The page of signing out, and its form."""

    def __init__(
        self,
        signin: SignIn,
        sessions: Sessions,
        pages: Pages,
        trail: RedirectLoop,
        domains: Domains,
        *,
        prefix: str,
    ) -> None:
        self._signin, self._sessions, self._pages = signin, sessions, pages
        self._trail, self._domains = trail, domains
        self._prefix = prefix

    async def page(self, request: PortalRequest) -> web.StreamResponse:
        """Ask, or say that nobody is signed in."""
        return self._pages.render(
            "logout.html",
            reader=request.reader,
            request_id=request.request_id,
            csrf_token=request.visit.csrf,
            done=request.visit.principal is None,
        )

    async def submit(self, request: PortalRequest) -> web.StreamResponse:
        """Sign out: end the session and forget the cookie."""
        form = await posted(request)
        if request.visit.principal is None:
            return see_other(f"{self._prefix}/logout")
        if not form.genuine:
            return await self.page(request)
        await self._signin.sign_out(request.client, request.visit.principal)
        response = see_other(f"{self._prefix}/logout")
        remote = self._domains.is_remote(request.target.host)
        await self._sessions.detach(request.http, response, host_only=remote)
        self._trail.forget(response)  # signing in once more is no going round in circles
        return response
