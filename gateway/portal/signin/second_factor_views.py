"""The page of the second step: which factor is asked for, and what follows from the answer.

Where the factor wanted can't be had, another stands in that the operator configured. It widens nothing: it is one that
the user has and the destination accepts.
"""

from collections.abc import Sequence
from typing import Any

from aiohttp import web

from gateway.authn.factors.base import Outcome, Resend
from gateway.authn.factors.challenge import WINDOW
from gateway.authn.login import SignIn
from gateway.authn.remembered_devices import RememberedDevices
from gateway.errors import TooManyAttempts
from gateway.i18n.catalogues import language
from gateway.i18n.text import N_
from gateway.model import Principal, Target, Verdict
from gateway.policy.decide import LENT_FACTORS
from gateway.portal.forms import PostedForm, posted
from gateway.portal.rendering.render import Pages
from gateway.portal.rendering.texts import (
    FACTOR_LABELS,
    OLD_CODE,
    OTHER_TAB,
    WRONG_CODE,
    delivery_words,
)
from gateway.portal.request import PortalRequest, Reader
from gateway.portal.return_url import href, with_return
from gateway.portal.signin.challenges import Begun, Challenges
from gateway.portal.signin.next_step import NextStep
from gateway.portal.signin.sms_migration_views import Nudges
from gateway.session import Sessions

NOT_YET = N_("Nobody has answered yet.")
TOO_MANY = N_("That was one wrong code too many. Please sign in again.")
APPROVAL = {
    Outcome.EXHAUSTED: N_("This sign-in was refused on the other device."),
    Outcome.WRONG: N_("Another number was entered on the other device."),
    Outcome.EXPIRED: N_("Nobody answered on the other device in time."),
}


def refusal(
    pages: Pages, request: PortalRequest, factor: str, outcome: Outcome, prefix: str, onward: str
) -> web.Response:
    """A page of its own: asking anew must be the user's decision, since it disturbs another device."""
    over, approval = outcome is Outcome.EXHAUSTED, factor == "approval"
    message = APPROVAL[outcome] if approval else TOO_MANY
    action = (
        (N_("Sign in again"), with_return(f"{prefix}/login", onward))
        if over
        else (N_("Try another way"), with_return(f"{prefix}/verify", onward))
    )
    return pages.error(
        (403 if over else 401) if approval else 429,
        title=N_("Not approved") if approval else "",
        message=message,
        reader=request.reader,
        request_id=request.request_id,
        retry_after=None if approval else int(WINDOW),
        actions=[action],
    )


TEMPLATES = {"approval": "approval.html"}
"""Of factors that are no code to type."""


class VerifyViews:
    """The page of the second factor."""

    def __init__(
        self,
        signin: SignIn,
        sessions: Sessions,
        pages: Pages,
        devices: RememberedDevices,
        onward: NextStep,
        nudges: Nudges,
        *,
        fallback: Sequence[str],
        live: bool,
    ) -> None:
        """`fallback` stands in for SMS that are refused; `live` says whether deliveries are reported to us."""
        self._signin, self._sessions, self._pages, self._devices = signin, sessions, pages, devices
        self._onward, self._nudges, self._live = onward, nudges, live
        self._challenges = Challenges(signin, fallback)

    async def page(self, request: PortalRequest) -> web.StreamResponse:
        """Ask for a factor: the one in the address, else the one the user likes best."""
        destination = self._onward.wanted(request, request.http.query.get("rd", ""))
        if round_in_circles := self._onward.trail.diagnosis(request, destination):
            return round_in_circles
        return await self._form(request, destination, request.http.query.get("factor", ""))

    async def submit(self, request: PortalRequest) -> web.StreamResponse:
        """Judge the answer, send another code, or change to another factor."""
        form = await posted(request)
        destination = self._onward.wanted(request, form.unproven.get("rd", ""))
        factor = form.unproven.get("factor", "")
        if not form.genuine:
            return await self._form(request, destination, factor, notice=OTHER_TAB, status=403)
        if form.get("resend") or (factor and not form.get("code")):
            return await self._form(request, destination, factor, resend=Resend.of(form))
        return await self._judge(request, destination, form)

    async def _judge(
        self, request: PortalRequest, destination: Target, form: PostedForm
    ) -> web.StreamResponse:
        principal = request.visit.principal
        if principal is None:
            return self._onward.to_login(request, destination)
        decision = self._signin.decision(destination, principal)
        user, amr = principal.user, principal.amr
        factor = form.get("method", "")  # which our page says, so that the others need not be asked for
        if not factor:
            factor = next(iter(await self._signin.usable_factors(user, decision, amr)), "")
        usable = await self._signin.is_usable(factor, user, decision, amr)
        if decision.verdict is not Verdict.STEP_UP or not usable:
            return await self._form(request, destination, factor)
        try:
            outcome, record = await self._signin.prove(
                request.client, principal, factor, form, key_models=decision.key_models
            )
        except TooManyAttempts as limit:
            return self._pages.limited(limit, request.reader, request.request_id)
        if record is not None:
            risen = await self._sessions.with_grants(principal.user, record)
            response = self._onward.to(request, destination, risen)
            await self._nudges.between(request, principal.user, factor, destination, response)
            await self._sessions.attach(request.http, response, record)
            if form.get("remember_device") and factor not in LENT_FACTORS:
                await self._remember(request, principal, response)
            return response
        return await self._refused(request, destination, factor, outcome)

    async def _remember(
        self, request: PortalRequest, principal: Principal, response: web.StreamResponse
    ) -> None:
        if self._devices.days:
            client, user = request.client, principal.user
            await self._devices.remember(
                response, client.cookies, user, ip=client.ip, user_agent=client.user_agent
            )

    async def _refused(
        self, request: PortalRequest, destination: Target, factor: str, outcome: Outcome
    ) -> web.StreamResponse:
        if outcome is Outcome.PENDING:
            return await self._form(request, destination, factor, notice=NOT_YET)
        if outcome is Outcome.EXHAUSTED or factor == "approval":
            response = refusal(
                self._pages, request, factor, outcome, self._onward.prefix, href(destination, request.target)
            )
            if outcome is Outcome.EXHAUSTED:
                await self._sessions.detach(request.http, response)
            return response
        error = WRONG_CODE if outcome is Outcome.WRONG else OLD_CODE
        return await self._form(request, destination, factor, error=error, status=401)

    async def _form(
        self,
        request: PortalRequest,
        destination: Target,
        factor: str,
        *,
        error: str | None = None,
        notice: str | None = None,
        status: int = 200,
        resend: Resend | None = None,
    ) -> web.StreamResponse:
        principal = request.visit.principal
        if principal is None:
            return self._onward.to_login(request, destination)
        decision = self._signin.decision(destination, principal)
        if decision.verdict is not Verdict.STEP_UP:
            return self._onward.to(request, destination, principal)
        usable = await self._signin.usable_factors(principal.user, decision, principal.amr)
        if not usable and await self._signin.lost_sms(principal.user):
            return self._nudges.migration.refusal(request, principal.user, destination)
        if not usable:
            return self._onward.to_enrolment(request, destination)
        factor = factor if factor in usable else usable[0]
        try:
            begun = await self._challenges.begin(
                request.client, principal, factor, usable, resend=resend, key_models=decision.key_models
            )
        except TooManyAttempts as limit:
            return self._pages.limited(limit, request.reader, request.request_id)
        return self._pages.render(
            TEMPLATES.get(begun.factor, "verify.html"),
            503 if begun.send_failed and status == 200 else status,
            reader=request.reader,
            request_id=request.request_id,
            csrf_token=request.visit.csrf,
            rd=href(destination, request.target),
            error=error,
            notice=begun.notice or notice,
            can_remember=bool(self._devices.days) and not decision.factors,
            remember_days=self._devices.days,
            others=[(name, FACTOR_LABELS.get(name, name)) for name in usable if name != begun.factor],
            **self._asked(begun, request.reader),
        )

    def _asked(self, begun: Begun, reader: Reader) -> dict[str, Any]:
        """What the template says of the challenge."""
        prompt = begun.prompt
        return {
            "factor": begun.factor,
            "masked": prompt.hint,
            "options": prompt.options,
            "number": prompt.number,
            "code_length": prompt.code_length,
            "resend_after": prompt.resend_after,
            "send_failed": begun.send_failed,
            "problem": begun.problem,
            "delivery": delivery_words(prompt.outlook, language(reader.lang)),
            "delivery_final": prompt.outlook.final or not self._live,
            "delivery_failed": prompt.outlook.state == "failed",
            "called": prompt.outlook.channel == "call",
            "channel": prompt.outlook.channel,
            "can_call": prompt.can_call,
            "cooling": prompt.cooling,
            "other_number": prompt.other,
        }
