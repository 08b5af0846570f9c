"""The pages of making an account of one's own: ask for a link, prove a phone number, choose name and password.

Opening a link uses nothing up and shows a form; only forms act. Everybody who asks has the same answer.
"""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass

from aiohttp import web

from gateway.authn.bound_links import LinkState
from gateway.authn.factors.base import Outcome, Setup
from gateway.authn.factors.recovery import RecoveryFactor
from gateway.authn.registration import OpenedRegistration, SelfRegistration
from gateway.authn.registration_phone import RegistrationPhones
from gateway.errors import InvalidUser, SendFailed, TooManyAttempts, WeakPassword
from gateway.i18n.text import N_
from gateway.model import Principal, User
from gateway.observability.audit import Audit
from gateway.policy.decide import Routes
from gateway.portal.account.enrolment_views import CANT_SEND, NOT_SENT
from gateway.portal.forms import PostedForm, SignInTokens, VisitorForms, posted
from gateway.portal.rendering.render import Pages
from gateway.portal.rendering.texts import NO_COOKIE, STALE_FORM, WRONG_CODE, too_many, why_not_sent
from gateway.portal.request import PortalRequest, see_other
from gateway.portal.return_url import href, read_return, with_return
from gateway.session import Sessions
from gateway.session.cookie import AuxiliaryCookie

_STATUS = {LinkState.ELSEWHERE: 403, LinkState.GONE: 410}
_LONGER = 3600.0
"""Seconds for which the cookie outlives the link: long enough to fill in the forms behind it."""
_START_AGAIN = N_("That took too long or too many tries. Please start again.")


@dataclass(frozen=True, slots=True, kw_only=True)
class PortalPlace:
    """Where our pages are: `home` is their host, `base` their address, `shared` whether other hosts share its
    cookies.
    """

    home: str
    base: str
    prefix: str
    shared: bool


class RegistrationViews:
    """The pages behind `/register`. `phones` is None where no number is asked for."""

    def __init__(
        self,
        *,
        registration: SelfRegistration,
        phones: RegistrationPhones | None,
        sessions: Sessions,
        recovery: RecoveryFactor,
        pages: Pages,
        tokens: SignInTokens,
        routes: Routes,
        audit: Audit,
        cookie: AuxiliaryCookie,
        place: PortalPlace,
    ) -> None:
        self._registration, self._phones, self._sessions = registration, phones, sessions
        self._recovery, self._pages, self._tokens, self._routes = recovery, pages, tokens, routes
        self._audit, self._cookie, self._place = audit, cookie, place
        self._forms = VisitorForms(sessions, pages)

    async def page(self, request: PortalRequest) -> web.StreamResponse:
        """GET: with a token the step that is due, else the form that asks for a link."""
        rd = self._return(request, request.http.query.get("rd", ""))
        if token := request.http.query.get("token", ""):
            return await self._step(request, token, await self._look(request, token))
        if request.target.host != self._place.home and not self._place.shared:
            # The link leads to our own host, and only a cookie of that host can show who asked.
            return see_other(with_return(f"{self._place.base}/register", rd))
        return await self._show(request, "ask", rd=rd)

    async def submit(self, request: PortalRequest) -> web.StreamResponse:
        """POST: send a link, or take a step behind one."""
        form = await posted(request, tokens=self._tokens)
        token = form.unproven.get("token", "")
        if not form.genuine:
            error = STALE_FORM if request.visit.csrf else NO_COOKIE
            if token:
                return await self._step(request, token, await self._look(request, token), 403, error=error)
            rd = self._return(request, form.unproven.get("rd", ""))
            return await self._show(request, "ask", 403, rd=rd, error=error)
        try:
            return await (self._onward(request, token, form) if token else self._send(request, form))
        except TooManyAttempts as limit:
            return self._pages.limited(limit, request.reader, request.request_id)

    async def _send(self, request: PortalRequest, form: PostedForm) -> web.StreamResponse:
        rd, email = self._return(request, form.get("rd", "")), form.get("email", "").strip()
        if not email:
            return await self._show(request, "ask", 422, rd=rd)
        browser = self._browser(request) or secrets.token_urlsafe()
        await self._registration.request(request.client, email, browser=browser, rd=rd)
        lifetime = self._registration.links.lifetime
        response = await self._show(request, "sent", rd=rd, minutes=round(lifetime / 60))
        self._cookie.give(response, browser, lifetime + _LONGER)
        return response

    async def _onward(self, request: PortalRequest, token: str, form: PostedForm) -> web.StreamResponse:
        opened = await self._registration.open(request.client, token, self._browser(request))
        if opened.state is not LinkState.GOOD:
            return await self._step(request, token, opened)
        slot = self._registration.links.slot(token)
        if self._phones is not None and not await self._phones.proven(slot):
            return await self._phone_step(request, token, opened, form)
        try:
            return await self._finish(request, token, opened, form)
        except (InvalidUser, WeakPassword) as refused:
            return await self._step(
                request, token, opened, 422, error=refused.public, full_name=form.get("name", "")
            )

    async def _phone_step(
        self, request: PortalRequest, token: str, opened: OpenedRegistration, form: PostedForm
    ) -> web.StreamResponse:
        assert self._phones is not None
        if not form.get("code", "") or form.get("resend") or form.get("restart"):
            return await self._step(request, token, opened, form=form)
        slot = self._registration.links.slot(token)
        outcome = await self._phones.finish(request.client, slot, opened.address, form)
        if outcome is Outcome.RIGHT:
            self._audit.record("registration_phone", opened.address, request.client.ip)
            return await self._step(request, token, opened)
        error = WRONG_CODE if outcome is Outcome.WRONG else _START_AGAIN
        return await self._step(request, token, opened, 401, error=error)

    async def _finish(
        self, request: PortalRequest, token: str, opened: OpenedRegistration, form: PostedForm
    ) -> web.StreamResponse:
        client, browser, slot = request.client, self._browser(request), self._registration.links.slot(token)
        name, phone = form.get("name", ""), await self._phones.proven(slot) if self._phones else ""
        if self._registration.needs_approval:
            done = await self._registration.apply(client, token, browser, name=name, phone=phone)
            response: web.StreamResponse = await self._show(
                request, "waiting" if done else "gone", 200 if done else 410, rd=opened.rd
            )
        else:
            password = form.get("password", "")
            user = await self._registration.create(
                client, token, browser, name=name, password=password, phone=phone
            )
            done = user is not None
            if user is None:
                return await self._show(request, "gone", 410, rd=opened.rd)
            response = await self._welcome(request, user, opened)
        if done and self._phones is not None:
            await self._phones.forget(slot)
        self._cookie.drop(response)
        return response

    async def _welcome(
        self, request: PortalRequest, user: User, opened: OpenedRegistration
    ) -> web.StreamResponse:
        """Sign the new user in with what was proven in this browser just now, and nothing more."""
        client, where = request.client, self._return(request, opened.rd)
        record = await self._sessions.rise(
            request.visit.principal, user.username, "password", ip=client.ip, user_agent=client.user_agent
        )
        response: web.StreamResponse = see_other(with_return(f"{self._place.prefix}/enrol", where))
        if user.phone:
            record = await self._sessions.rise(
                Principal(user, record), user.username, "sms", ip=client.ip, user_agent=client.user_agent
            )
            self._audit.record(
                "login", user.username, client.ip, factors=list(record.amr), sid=record.sid[:8]
            )
            response = self._pages.render(
                "recovery_codes.html",
                reader=request.reader,
                request_id=request.request_id,
                codes=await self._recovery.renew(user),
                onward=where,
            )
        await self._sessions.attach(request.http, response, record.sid)
        return response

    async def _look(self, request: PortalRequest, token: str) -> OpenedRegistration:
        return await self._registration.look(token, self._browser(request))

    async def _step(
        self,
        request: PortalRequest,
        token: str,
        opened: OpenedRegistration,
        status: int = 200,
        *,
        form: Mapping[str, str] | None = None,
        error: str | None = None,
        full_name: str = "",
    ) -> web.StreamResponse:
        """Show what is due behind a link."""
        rd = self._return(request, opened.rd)
        if opened.state is not LinkState.GOOD:
            return await self._show(
                request, opened.state.value, 403 if error else _STATUS[opened.state], rd=rd
            )
        setup, step, slot = Setup(), "details", self._registration.links.slot(token)
        if self._phones is not None and not await self._phones.proven(slot):
            step = "phone"
            try:
                setup = await self._phones.begin(request.client, slot, opened.address, form or {})
            except InvalidUser as invalid:
                setup, error, status = Setup(needs_address=True), invalid.public, 422
            except SendFailed as failure:
                usual = NOT_SENT if failure.retryable else CANT_SEND
                setup, error, status = Setup(needs_address=True), why_not_sent(failure) or usual, 503
            except TooManyAttempts as limit:
                setup, error, status = Setup(needs_address=True), too_many(limit), 503
        return await self._show(
            request,
            step,
            status,
            rd=rd,
            token=token,
            address=opened.address,
            setup=setup,
            full_name=full_name,
            error=error,
        )

    async def _show(
        self, request: PortalRequest, step: str, status: int = 200, **context: object
    ) -> web.Response:
        blank: dict[str, object] = {
            "token": "",
            "address": "",
            "full_name": "",
            "minutes": 0,
            "setup": Setup(),
            "approval": self._registration.needs_approval,
            "error": None,
        }
        return await self._forms.show(request, "register.html", status, **(blank | context), step=step)

    def _browser(self, request: PortalRequest) -> str:
        return self._cookie.read(request.client.cookies)

    def _return(self, request: PortalRequest, rd: str) -> str:
        destination = read_return(rd, request.target, self._routes, self._place.prefix)
        return href(destination, request.target)
