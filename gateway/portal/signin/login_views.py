"""The page of the first step: username and password. `authn/login.py` judges them.

Also what a page of it in another tab asks: whether somebody has signed in meanwhile.
"""

from aiohttp import web

from gateway.authn.login import SignIn
from gateway.config.sections.identity_providers import IdentityProvider
from gateway.errors import TooManyAttempts
from gateway.model import Target, Verdict
from gateway.policy.decide import Routes
from gateway.portal.forms import SignInTokens, posted
from gateway.portal.rendering.render import Pages
from gateway.portal.rendering.texts import STALE_FORM, WRONG_PASSWORD, too_many
from gateway.portal.request import PortalRequest
from gateway.portal.return_url import href, read_return, with_return
from gateway.portal.signin.keep_choice import FIELD, choosing, link_token
from gateway.portal.signin.next_step import NextStep
from gateway.portal.signin.provider_ways import ProviderWays, hint_of
from gateway.session import Sessions


class LoginViews:
    """The page of username and password."""

    def __init__(
        self,
        signin: SignIn,
        sessions: Sessions,
        pages: Pages,
        tokens: SignInTokens,
        onward: NextStep,
        *,
        by_email: bool,
        can_reset: bool,
        can_register: bool,
        passkeys: bool,
        ways: ProviderWays,
        keep_for: float,
        email_link: bool,
    ) -> None:
        """`keep_for` are the seconds of a kept session."""
        self._signin, self._sessions, self._pages = signin, sessions, pages
        self._tokens, self._onward = tokens, onward
        self._by_email = by_email
        self._can_reset, self._can_register = can_reset, can_register
        self._passkeys, self._ways = passkeys, ways
        self._keep_for, self._email_link = keep_for, email_link

    async def page(self, request: PortalRequest) -> web.StreamResponse:
        """Show the form, unless the visitor is signed in already."""
        destination = self._onward.wanted(request, request.http.query.get("rd", ""))
        if round_in_circles := self._onward.trail.diagnosis(request, destination):
            return round_in_circles
        principal = request.visit.principal
        verdict = self._signin.decision(destination, principal).verdict
        if principal is None and (provider := self._ways.at_once(request)):
            return self._elsewhere(request, destination, provider)
        if principal is None or verdict is Verdict.SIGN_IN:  # signed in, but the proof may be too old
            hint = request.http.query.get("login_hint", "")[:128]
            return await self._form(request, destination, username=hint)
        return self._onward.to(request, destination, principal)

    async def submit(self, request: PortalRequest) -> web.StreamResponse:
        """Judge the password, and lead on to the second factor or to the page that was wanted."""
        form = await posted(request, tokens=self._tokens)
        destination = self._onward.wanted(request, form.unproven.get("rd", ""))
        username = form.unproven.get("username", "").strip()
        if request.visit.principal is not None and not form.of_session:
            # Another tab has signed in meanwhile: this one need not.
            return self._onward.to(request, destination, request.visit.principal)
        if not form.genuine:
            problem = (
                STALE_FORM if request.visit.csrf else self._onward.trail.cause(request, destination).public
            )
            return await self._form(request, destination, username=username, error=problem, status=403)
        try:
            principal = await self._signin.password(
                choosing(request.client, form), username, form.get("password", ""), request.visit.principal
            )
        except TooManyAttempts as limit:
            return await self._form(
                request,
                destination,
                username=username,
                error=too_many(limit),
                status=429,
                retry_after=limit.retry_after,
                keep=form.get(FIELD, ""),
            )
        if principal is None:
            return await self._form(
                request,
                destination,
                username=username,
                error=WRONG_PASSWORD,
                status=401,
                keep=form.get(FIELD, ""),
            )
        response = self._onward.to(request, destination, principal)
        await self._sessions.attach(request.http, response, principal.session)
        self._ways.go_on(request, response)
        return response

    def _elsewhere(
        self, request: PortalRequest, destination: Target, provider: IdentityProvider
    ) -> web.StreamResponse:
        """The page that leads on by itself.

        A redirect would not do: it would carry what is behind # to the provider and lose it here, and an app's own
        form that was kept on the way (`keep_posts`) may not be redirected to where that app's policy sends no forms.
        """
        return self._pages.render(
            "elsewhere.html",
            reader=request.reader,
            request_id=request.request_id,
            provider=provider.name,
            label=provider.label or provider.name,
            rd=href(destination, request.target),
            login_hint=hint_of(request),
            choice=self._ways.has_choice,
        )

    async def _form(
        self,
        request: PortalRequest,
        destination: Target,
        *,
        username: str = "",
        error: str | None = None,
        status: int = 200,
        retry_after: int | None = None,
        keep: str = "",
    ) -> web.StreamResponse:
        before = request.visit.principal
        response = self._pages.render(
            "login.html",
            status,
            reader=request.reader,
            request_id=request.request_id,
            headers={} if retry_after is None else {"Retry-After": str(retry_after)},
            csrf_token=(csrf := request.visit.csrf or self._sessions.new_csrf()),
            rd=href(destination, request.target),
            username=username,
            by_email=self._by_email,
            app_name=self._onward.app_name(request, destination),
            way_back=self._onward.way_back(request, destination),
            passkeys=self._passkeys,
            providers=self._ways.offered,
            login_hint=hint_of(request),
            password_form=self._ways.shows_password(request, self._signin.decision(destination, before)),
            can_reset=self._can_reset,
            can_register=self._can_register,
            email_link=self._email_link,
            # Who is signed in already has chosen: a session that is kept stays so.
            keep_for=0.0 if before is not None and before.session.kept else self._keep_for,
            keep=keep == "1",
            keep_token=link_token(csrf),
            error=error,
        )
        if not request.visit.csrf:
            await self._sessions.attach(request.http, response, None, csrf=csrf)
        return response


class Tabs:
    """Tells other tabs of a browser that it is signed in."""

    def __init__(self, signin: SignIn, routes: Routes, *, prefix: str) -> None:
        self._signin, self._routes, self._prefix = signin, routes, prefix

    async def state(self, request: PortalRequest) -> web.StreamResponse:
        """GET {prefix}/tab?rd=…: which step is due (login, verify, done) and the address to go on at."""
        destination = read_return(
            request.http.query.get("rd", ""), request.target, self._routes, self._prefix
        )
        principal, where = request.visit.principal, href(destination, request.target)
        verdict = self._signin.decision(destination, principal).verdict
        if principal is None or verdict is Verdict.SIGN_IN:
            step, where = "login", with_return(f"{self._prefix}/login", where)
        elif verdict is Verdict.STEP_UP:
            step, where = "verify", with_return(f"{self._prefix}/verify", where)
        else:
            step = "done"
        return web.json_response({"step": step, "location": where}, headers={"Cache-Control": "no-store"})
