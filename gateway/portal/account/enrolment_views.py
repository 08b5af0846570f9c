"""The pages of adding a second factor: choose one, prove it, keep the recovery codes, go on."""

from collections.abc import Mapping

from aiohttp import web

from gateway.authn.factors.base import Outcome, Setup
from gateway.authn.login import SignIn
from gateway.errors import InvalidUser, SendFailed, TooManyAttempts
from gateway.i18n.text import N_, Text
from gateway.model import Principal, Target
from gateway.policy.decide import Routes
from gateway.portal.account.enrolment import Added, FactorEnrolment, Permission
from gateway.portal.forms import posted
from gateway.portal.rendering.render import Pages
from gateway.portal.rendering.texts import FACTOR_LABELS, STALE_FORM, WRONG_CODE, too_many, why_not_sent
from gateway.portal.request import PortalRequest, see_other
from gateway.portal.return_url import href, read_return, with_return
from gateway.session import Sessions

WRONG = {
    "webauthn": N_("That did not work. Please try again."),
}
_ASK = N_("Your account needs a second factor. Please ask your administrator.")
_WITH_PASSWORD = N_(
    "A mailbox alone is not enough to add a second factor. Sign in with your password to add one."
)
_UNREADABLE = N_(
    "The directory has a phone number that we can't read for your account. Please ask your administrator to write it "
    "with its country code."
)
CANT_SEND = N_("We can’t send codes there. Please use another way, or ask your administrator.")
NOT_SENT = N_("We could not send a code there right now. Please check it, or try again later.")


class EnrolViews:
    """The pages of adding a second factor."""

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

    async def page(self, request: PortalRequest) -> web.StreamResponse:
        """GET: the choice, or the setup of the factor chosen."""
        destination = self._return(request, request.http.query.get("rd", ""))
        factor = request.http.query.get("factor", "")
        refused = await self._refused(request, destination, factor)
        return refused or await self._show(request, destination, factor, {})

    async def submit(self, request: PortalRequest) -> web.StreamResponse:
        """Take a step: which factor, then the code or key that proves it."""
        form = await posted(request)
        destination = self._return(request, form.unproven.get("rd", ""))
        factor = form.unproven.get("factor", "")
        refused = await self._refused(request, destination, factor)
        if refused is not None:
            return refused
        if not form.genuine:
            return await self._show(request, destination, factor, {}, error=STALE_FORM, status=403)
        if self._can_add(request, destination, factor) and (form.get("code") or form.get("credential")):
            return await self._finish(request, destination, factor, form)
        return await self._show(request, destination, factor, form)

    async def _refused(self, request: PortalRequest, destination: Target, factor: str) -> web.Response | None:
        """Where to go first, if this session may not add a factor (now)."""
        here = with_return(f"{self._prefix}/enrol", href(destination, request.target))
        if request.visit.principal is None:
            return see_other(with_return(f"{self._prefix}/login", here))
        permission = await self._enrolment.permission(request.visit.principal)
        if permission is Permission.AFTER_PROOF:
            return see_other(with_return(f"{self._prefix}/verify", here))
        if permission is Permission.UNREADABLE:
            self._enrolment.note_unreadable(request.client, request.visit.principal)
            return self._no_factor(request, _UNREADABLE, reason="phone_unreadable")
        if permission is Permission.WITH_PASSWORD:
            return self._no_factor(request, _WITH_PASSWORD, reason="link_adds_no_factor")
        possible = self._can_add(request, destination, factor) or self._choices(request, destination)
        if permission is Permission.REFUSED or not possible:
            return self._no_factor(request, _ASK, reason="no_factor_enrolled")
        return None

    def _no_factor(self, request: PortalRequest, message: Text, *, reason: str) -> web.Response:
        return self._pages.error(
            403,
            title=N_("No second factor yet"),
            message=message,
            reason=reason,
            reader=request.reader,
            request_id=request.request_id,
            actions=[(N_("Sign out"), f"{self._prefix}/logout")],
        )

    def _can_add(self, request: PortalRequest, destination: Target, factor: str) -> bool:
        return self._enrolment.can_add(_principal(request).user, factor, self._accepted(request, destination))

    def _choices(self, request: PortalRequest, destination: Target) -> list[str]:
        return self._enrolment.choices(self._accepted(request, destination))

    def _accepted(self, request: PortalRequest, destination: Target) -> frozenset[str]:
        return self._signin.decision(destination, request.visit.principal).factors

    async def _finish(
        self, request: PortalRequest, destination: Target, factor: str, form: Mapping[str, str]
    ) -> web.StreamResponse:
        principal = _principal(request)
        try:
            added = await self._enrolment.finish(request.client, principal, factor, form)
        except TooManyAttempts as limit:
            return self._pages.limited(limit, request.reader, request.request_id)
        if added.record is not None:
            return await self._done(request, destination, added)
        error = WRONG.get(factor, WRONG_CODE)
        if added.outcome is not Outcome.WRONG:
            error = N_("That took too long or too many tries. Please start again.")
        return await self._show(request, destination, factor, {}, error=error, status=401)

    async def _done(self, request: PortalRequest, destination: Target, added: Added) -> web.StreamResponse:
        assert added.record is not None
        where = href(destination, request.target)
        response = see_other(where)
        if added.codes:
            response = self._pages.render(
                "recovery_codes.html",
                reader=request.reader,
                request_id=request.request_id,
                codes=added.codes,
                onward=where,
            )
        await self._sessions.attach(request.http, response, added.record.sid)
        return response

    async def _show(
        self,
        request: PortalRequest,
        destination: Target,
        factor: str,
        form: Mapping[str, str],
        *,
        error: str | None = None,
        status: int = 200,
    ) -> web.StreamResponse:
        choices, setup = self._choices(request, destination), None
        if self._can_add(request, destination, factor):
            try:
                setup = await self._enrolment.begin(request.client, _principal(request), factor, form)
            except InvalidUser as invalid:
                setup, error, status = Setup(needs_address=True), invalid.public, 422
            except SendFailed as failure:
                usual = NOT_SENT if failure.retryable else CANT_SEND
                setup, error, status = Setup(needs_address=True), why_not_sent(failure) or usual, 503
            except TooManyAttempts as limit:
                setup, error, status = Setup(needs_address=True), too_many(limit), 503
        return self._pages.render(
            "enrol.html",
            status,
            reader=request.reader,
            request_id=request.request_id,
            csrf_token=request.visit.csrf,
            rd=href(destination, request.target),
            factor=factor if setup else "",
            setup=setup,
            choices=[(name, FACTOR_LABELS.get(name, name)) for name in choices],
            error=error,
        )

    def _return(self, request: PortalRequest, rd: str) -> Target:
        return read_return(rd, request.target, self._routes, self._prefix)


def _principal(request: PortalRequest) -> Principal:
    """`_refused` has sent everyone else away."""
    assert request.visit.principal is not None
    return request.visit.principal
