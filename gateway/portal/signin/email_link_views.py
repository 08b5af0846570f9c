"""The pages of signing in by a mailed link: ask for it, and open it.

Opening shows a button and uses nothing up. A link that was opened in another browser than the one that asked says what
to do.
"""

import secrets
from dataclasses import replace

from aiohttp import web

from gateway.authn.bound_links import LinkState
from gateway.authn.email_link import LinkRequest, OpenedLink, SignInLinks
from gateway.authn.login import SignIn
from gateway.errors import TooManyAttempts
from gateway.model import Target, Verdict
from gateway.portal.forms import PostedForm, SignInTokens, VisitorForms, posted
from gateway.portal.rendering.render import Pages
from gateway.portal.rendering.texts import NO_COOKIE, STALE_FORM
from gateway.portal.request import PortalRequest, Views, see_other
from gateway.portal.return_url import href, with_return
from gateway.portal.services import Services
from gateway.portal.signin.keep_choice import choosing, chosen_by_link
from gateway.portal.signin.next_step import NextStep
from gateway.session import Sessions
from gateway.session.cookie import AuxiliaryCookie

_STATUS = {LinkState.GOOD: 200, LinkState.ELSEWHERE: 403, LinkState.GONE: 410}
_LONGER = 60.0
"""Seconds for which the cookie outlives the link."""


def email_link_pages(services: Services, onward: NextStep) -> Views:
    """Pages by path, below the prefix."""
    config, base = services.config, services.pages_url
    if not config.email_link.enabled:
        return {}
    links = SignInLinks(
        directory=services.users.directory,
        signin=services.authn.signin,
        ledger=services.stores.ledger,
        limits=services.limits,
        passwords=services.users.passwords,
        audit=services.audit,
        notices=services.messaging.notices,
        base=base,
        lifetime=config.email_link.lifetime,
        needs_password=services.users.writable is not None,
    )
    views = EmailLinkViews(
        links=links,
        signin=services.authn.signin,
        sessions=services.sessions,
        pages=services.pages,
        tokens=services.authn.form_tokens,
        onward=onward,
        cookie=AuxiliaryCookie.of(config, "link", shared=True),
        base=base,
        home=services.home,
        shared=config.session.domain is not None,
        keep_for=config.session.keep_signed_in,
    )
    return {"/email-link": {"GET": views.page, "POST": views.submit}}


class EmailLinkViews:
    """The pages behind `/email-link`. `home` is the host of our own pages, to which links lead; `shared` whether other
    hosts share its cookies; `keep_for` are the seconds of a kept session.
    """

    def __init__(
        self,
        *,
        links: SignInLinks,
        signin: SignIn,
        sessions: Sessions,
        pages: Pages,
        tokens: SignInTokens,
        onward: NextStep,
        cookie: AuxiliaryCookie,
        base: str,
        home: str,
        shared: bool,
        keep_for: float,
    ) -> None:
        self._links, self._signin, self._sessions, self._pages = links, signin, sessions, pages
        self._tokens, self._onward, self._cookie = tokens, onward, cookie
        self._forms = VisitorForms(sessions, pages)
        self._base, self._home, self._shared, self._keep_for = base, home, shared, keep_for

    async def page(self, request: PortalRequest) -> web.StreamResponse:
        """GET: with a token the button, else the form that asks for a link."""
        destination = self._onward.wanted(request, request.http.query.get("rd", ""))
        token = request.http.query.get("token", "")
        if token:
            return await self._open(request, token)
        if request.target.host != self._home and not self._shared:
            # The link leads to our own host, and only a cookie of that host can show who asked.
            return see_other(with_return(f"{self._base}/email-link", destination.url))
        principal = request.visit.principal
        if (
            principal is not None
            and self._signin.decision(destination, principal).verdict is not Verdict.SIGN_IN
        ):
            return self._onward.to(request, destination, principal)
        hint = request.http.query.get("login_hint", "")[:128]
        return await self._ask(request, destination, username=hint, keep=chosen_by_link(request))

    async def submit(self, request: PortalRequest) -> web.StreamResponse:
        """POST: send a link, or take one. Raises TooManyAttempts."""
        form = await posted(request, tokens=self._tokens)
        destination = self._onward.wanted(request, form.unproven.get("rd", ""))
        if not form.genuine:
            error = STALE_FORM if request.visit.csrf else NO_COOKIE
            if token := form.unproven.get("token", ""):
                return await self._open(request, token, error=error)
            return await self._ask(request, destination, error=error, status=403)
        try:
            if token := form.get("token", ""):
                return await self._take(request, token)
            return await self._send(request, destination, form)
        except TooManyAttempts as limit:
            return self._pages.limited(limit, request.reader, request.request_id)

    async def _send(
        self, request: PortalRequest, destination: Target, form: PostedForm
    ) -> web.StreamResponse:
        username = form.get("username", "").strip()
        if not username:
            return await self._ask(request, destination, status=422)
        client = choosing(request.client, form)
        browser = self._cookie.read(client.cookies) or secrets.token_urlsafe()
        whole = f"{destination.url}#{destination.fragment}" if destination.fragment else destination.url
        await self._links.request(client, username, LinkRequest(browser=browser, rd=whole, keep=client.keep))
        rd = href(destination, request.target)
        response = await self._show(request, "sent", rd=rd, minutes=round(self._links.lifetime / 60))
        self._cookie.give(response, browser, self._links.lifetime + _LONGER)
        return response

    async def _open(
        self, request: PortalRequest, token: str, *, error: str | None = None
    ) -> web.StreamResponse:
        opened = await self._links.look(token, self._cookie.read(request.client.cookies))
        return await self._opened(request, opened, token, error=error)

    async def _take(self, request: PortalRequest, token: str) -> web.StreamResponse:
        client, before = request.client, request.visit.principal
        opened = await self._links.take(client, token, self._cookie.read(client.cookies))
        if opened.user is None:
            return await self._opened(request, opened, token)
        principal = await self._signin.mailed_link(replace(client, keep=opened.keep), opened.user, before)
        response = self._onward.to(request, self._onward.wanted(request, opened.rd), principal)
        await self._sessions.attach(request.http, response, principal.session)
        self._cookie.drop(response)
        return response

    async def _opened(
        self, request: PortalRequest, opened: OpenedLink, token: str, *, error: str | None = None
    ) -> web.StreamResponse:
        destination = self._onward.wanted(request, opened.rd)
        return await self._show(
            request,
            opened.state.value,
            403 if error else _STATUS[opened.state],
            rd=href(destination, request.target),
            token=token if opened.user else "",
            username=opened.user.username if opened.user else "",
            app_name=self._onward.app_name(request, destination) if opened.user else "",
            error=error,
        )

    async def _ask(
        self,
        request: PortalRequest,
        destination: Target,
        *,
        username: str = "",
        error: str | None = None,
        status: int = 200,
        keep: bool = False,
    ) -> web.StreamResponse:
        return await self._show(
            request,
            "ask",
            status,
            rd=href(destination, request.target),
            username=username,
            keep_for=self._keep_for,
            keep=keep,
            error=error,
        )

    async def _show(
        self, request: PortalRequest, step: str, status: int = 200, **context: object
    ) -> web.Response:
        blank: dict[str, object] = {
            "token": "",
            "username": "",
            "app_name": "",
            "minutes": 0,
            "keep_for": 0.0,
            "keep": False,
            "error": None,
        }
        return await self._forms.show(request, "email_link.html", status, **(blank | context), step=step)
