"""The pages of adding a second factor: choose one, prove it, keep the recovery codes, go on."""

from collections.abc import Mapping

from aiohttp import web

from gateway.authn.factors.base import Outcome, Setup
from gateway.authn.login import SignIn
from gateway.errors import InvalidUser, SendFailed, TooManyAttempts
from gateway.i18n.text import N_
from gateway.model import Principal, Target
from gateway.policy.routes import Routes
from gateway.portal.account.enrolment import Added, FactorEnrolment, Permission
from gateway.portal.forms import posted
from gateway.portal.rendering.render import Pages
from gateway.portal.rendering.texts import FACTOR_LABELS, STALE_FORM, WRONG_CODE
from gateway.portal.request import PortalRequest, see_other
from gateway.portal.return_url import href, read_return, with_return
from gateway.session import Sessions

WRONG = {
    "webauthn": N_("That did not work. Please try again."),
}
NOT_SENT = N_("We could not send a code there right now. Please check it, or try again later.")


class EnrolViews:
    def __init__(
        self,
        enrolment: FactorEnrolment,
        signin: SignIn,
        sessions: Sessions,
        pages: Pages,
        routes: Routes,
        *,
        prefix: str,
    ) -> None:
        self._enrolment, self._signin, self._sessions = enrolment, signin, sessions
        self._pages, self._routes = pages, routes
        self._prefix = prefix

    async def page(self, ask: PortalRequest) -> web.StreamResponse:
        """GET: the choice, or the setup of the factor chosen."""
        destination = self._return(ask, ask.request.query.get("rd", ""))
        factor = ask.request.query.get("factor", "")
        refused = await self._refused(ask, destination, factor)
        return refused or await self._show(ask, destination, factor, {})

    async def submit(self, ask: PortalRequest) -> web.StreamResponse:
        form = await posted(ask)
        destination = self._return(ask, form.unproven.get("rd", ""))
        factor = form.unproven.get("factor", "")
        refused = await self._refused(ask, destination, factor)
        if refused is not None:
            return refused
        if not form.genuine:
            return await self._show(ask, destination, factor, {}, error=STALE_FORM, status=403)
        if self._can_add(ask, destination, factor) and (form.get("code") or form.get("credential")):
            return await self._finish(ask, destination, factor, form)
        return await self._show(ask, destination, factor, form)

    async def _refused(self, ask: PortalRequest, destination: Target, factor: str) -> web.Response | None:
        """Where to go first, if this session may not add a factor (now)."""
        here = with_return(f"{self._prefix}/enrol", href(destination, ask.here))
        if ask.visit.principal is None:
            return see_other(with_return(f"{self._prefix}/login", here))
        permission = await self._enrolment.permission(ask.visit.principal)
        if permission is Permission.AFTER_PROOF:
            return see_other(with_return(f"{self._prefix}/verify", here))
        possible = self._can_add(ask, destination, factor) or self._choices(ask, destination)
        if permission is Permission.REFUSED or not possible:
            return self._pages.error(
                403,
                title=N_("No second factor yet"),
                message=N_("Your account needs a second factor. Please ask your administrator."),
                reason="no_factor_enrolled",
                reader=ask.reader,
                request_id=ask.request_id,
                actions=[(N_("Sign out"), f"{self._prefix}/logout")],
            )
        return None

    def _can_add(self, ask: PortalRequest, destination: Target, factor: str) -> bool:
        return self._enrolment.can_add(_principal(ask).user, factor, self._accepted(ask, destination))

    def _choices(self, ask: PortalRequest, destination: Target) -> list[str]:
        return self._enrolment.choices(self._accepted(ask, destination))

    def _accepted(self, ask: PortalRequest, destination: Target) -> frozenset[str]:
        return self._signin.decision(destination, ask.visit.principal).factors

    async def _finish(
        self, ask: PortalRequest, destination: Target, factor: str, form: Mapping[str, str]
    ) -> web.StreamResponse:
        principal = _principal(ask)
        try:
            added = await self._enrolment.finish(ask.client, principal, factor, form)
        except TooManyAttempts as limit:
            return self._pages.limited(limit, ask.reader, ask.request_id)
        if added.record is not None:
            return await self._done(ask, destination, added)
        error = WRONG.get(factor, WRONG_CODE)
        if added.outcome is not Outcome.WRONG:
            error = N_("That took too long or too many tries. Please start again.")
        return await self._show(ask, destination, factor, {}, error=error, status=401)

    async def _done(self, ask: PortalRequest, destination: Target, added: Added) -> web.StreamResponse:
        assert added.record is not None
        where = href(destination, ask.here)
        response = see_other(where)
        if added.codes:
            response = self._pages.render(
                "recovery_codes.html",
                reader=ask.reader,
                request_id=ask.request_id,
                codes=added.codes,
                onward=where,
            )
        await self._sessions.attach(ask.request, response, added.record.sid)
        return response

    async def _show(
        self,
        ask: PortalRequest,
        destination: Target,
        factor: str,
        form: Mapping[str, str],
        *,
        error: str | None = None,
        status: int = 200,
    ) -> web.StreamResponse:
        choices, setup = self._choices(ask, destination), None
        if self._can_add(ask, destination, factor):
            try:
                setup = await self._enrolment.begin(ask.client, _principal(ask), factor, form)
            except InvalidUser as invalid:
                setup, error, status = Setup(needs_address=True), invalid.public, 422
            except (SendFailed, TooManyAttempts):
                setup, error, status = Setup(needs_address=True), NOT_SENT, 503
        return self._pages.render(
            "enrol.html",
            status,
            reader=ask.reader,
            request_id=ask.request_id,
            csrf_token=ask.visit.csrf,
            rd=href(destination, ask.here),
            factor=factor if setup else "",
            setup=setup,
            choices=[(name, FACTOR_LABELS.get(name, name)) for name in choices],
            error=error,
        )

    def _return(self, ask: PortalRequest, rd: str) -> Target:
        return read_return(rd, ask.here, self._routes, self._prefix)


def _principal(ask: PortalRequest) -> Principal:
    """`_refused` has sent everyone else away."""
    assert ask.visit.principal is not None
    return ask.visit.principal
