"""The pages of signing out."""

from aiohttp import web

from gateway.authn.login import SignIn
from gateway.config.sections.session import SignOut
from gateway.policy.decide import Routes
from gateway.portal.forms import posted
from gateway.portal.rendering.render import Pages
from gateway.portal.request import PortalRequest, see_other
from gateway.portal.return_url import href, is_at, named, with_return
from gateway.portal.signin.next_step import RedirectLoop
from gateway.portal.signin.provider_sign_out import ProviderSignOut
from gateway.portal.signin.provider_ways import ProviderWays
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
        routes: Routes,
        ways: ProviderWays,
        elsewhere: ProviderSignOut,
        config: SignOut,
        *,
        prefix: str,
    ) -> None:
        self._signin, self._sessions, self._pages = signin, sessions, pages
        self._trail, self._domains, self._ways = trail, domains, ways
        self._elsewhere = elsewhere
        self._routes, self._config, self._prefix = routes, config, prefix

    async def page(self, request: PortalRequest) -> web.StreamResponse:
        """Ask, or say that nobody is signed in; a browser that comes back from its provider goes on from here."""
        if request.visit.principal is None and (
            wanted := await self._elsewhere.back(request.http.query.get("state", ""))
        ):
            return see_other(wanted)
        return self._pages.render(
            "logout.html",
            reader=request.reader,
            request_id=request.request_id,
            csrf_token=request.visit.csrf,
            rd=(onward := self._onward(request, request.http.query.get("rd", ""))),
            onward=onward or self._config.url,
            done=request.visit.principal is None,
        )

    async def submit(self, request: PortalRequest) -> web.StreamResponse:
        """Sign out: end the session and forget the cookie."""
        form = await posted(request)
        rd = form.unproven.get("rd", "") or request.http.query.get("rd", "")
        here, wanted = f"{self._prefix}/logout", self._onward(request, rd)
        if request.visit.principal is None:
            return see_other(with_return(here, wanted) if wanted else here)
        if not form.genuine:
            return await self.page(request)
        sign_in = await self._elsewhere.sign_in_of(request.visit.principal)
        await self._signin.sign_out(request.client, request.visit.principal)
        wanted = wanted or self._config.url
        response = see_other(await self._elsewhere.onward(request, sign_in, wanted) or wanted or here)
        remote = self._domains.is_remote(request.target.host)
        await self._sessions.detach(request.http, response, host_only=remote)
        self._trail.forget(response)  # signing in once more is no going round in circles
        self._ways.stay(response)
        return response

    def _onward(self, request: PortalRequest, rd: str) -> str:
        """The address that a link names, if it is at a host of ours or one that is listed; else ""."""
        if is_at(rd, self._config.allowed):
            return rd
        target = named(rd, request.target, self._routes, self._prefix)
        return href(target, request.target) if target else ""
