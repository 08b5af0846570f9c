"""The pages of signing in: forms in, pages and redirects out. What is right or wrong, `signin` says."""

from collections.abc import Sequence

from aiohttp import web

from gateway.devices import RememberedDevices
from gateway.errors import TooManyAttempts
from gateway.factors.base import Outcome, Resend
from gateway.language.catalogues import language
from gateway.model import Principal, Target, Verdict
from gateway.policy import LENT_FACTORS
from gateway.portal.ask import Ask, see_other
from gateway.portal.forms import check_origin, read_form, token_matches
from gateway.portal.pages.render import Pages
from gateway.portal.pages.words import (
    FACTOR_LABELS,
    OLD_CODE,
    OTHER_TAB,
    STALE_FORM,
    WRONG_CODE,
    WRONG_PASSWORD,
    delivery_words,
    too_many,
)
from gateway.portal.returns import href, read_return, with_return
from gateway.portal.signin.challenges import Challenges
from gateway.portal.signin.refusals import NOT_YET, refusal
from gateway.portal.signin.signin import SignIn
from gateway.portal.signin.tokens import SignInTokens
from gateway.portal.signin.trail import Trail
from gateway.routing import Routes
from gateway.session import SessionLayer

TEMPLATES = {"approval": "approval.html"}
"""Of factors that are no code to type."""


class SignInViews:
    def __init__(
        self,
        signin: SignIn,
        sessions: SessionLayer,
        pages: Pages,
        routes: Routes,
        *,
        devices: RememberedDevices,
        can_reset: bool,
        prefix: str,
        public_url: str,
        passkeys: bool,
        providers: Sequence[tuple[str, str]],
        fallback: Sequence[str],
        live: bool,
        tokens: SignInTokens,
        trail: Trail,
    ) -> None:
        """`providers` are names and labels of accounts elsewhere.

        `fallback` stands in for SMS that are refused; `live` says whether deliveries are reported to us.
        """
        self._providers = providers
        self._passkeys, self._live, self._tokens, self._trail = passkeys, live, tokens, trail
        self._challenges = Challenges(signin, fallback)
        self._devices, self._can_reset = devices, can_reset
        self._signin, self._sessions, self._pages, self._routes = signin, sessions, pages, routes
        self._prefix, self._public_url = prefix, public_url

    # -- password ------------------------------------------------------------------------------------------------

    async def login_page(self, ask: Ask) -> web.StreamResponse:
        destination = self._return(ask.here, ask.request.query.get("rd", ""))
        if round_in_circles := self._trail.diagnosis(ask, destination):
            return round_in_circles
        principal = ask.visit.principal
        verdict = self._signin.decision(destination, principal).verdict
        if principal is None or verdict is Verdict.SIGN_IN:  # signed in, but the proof may be too old
            hint = ask.request.query.get("login_hint", "")[:128]
            return await self._login_form(ask, destination, username=hint)
        return self._onward(ask, destination, principal)

    async def login(self, ask: Ask) -> web.StreamResponse:
        check_origin(ask.request, ask.here, self._public_url)
        form = await read_form(ask.request)
        destination = self._return(ask.here, form.get("rd", ""))
        username = form.get("username", "")
        if ask.visit.principal is not None and not token_matches(form, ask.visit.csrf):
            # Another tab has signed in meanwhile: this one need not.
            return self._onward(ask, destination, ask.visit.principal)
        if not self._tokens.accepts(ask, form):
            problem = STALE_FORM if ask.visit.csrf else self._trail.cause(ask, destination).public
            return await self._login_form(ask, destination, username=username, error=problem, status=403)
        try:
            record = await self._signin.password(
                ask.client, username, form.get("password", ""), ask.visit.principal
            )
        except TooManyAttempts as limit:
            return await self._login_form(
                ask,
                destination,
                username=username,
                error=too_many(limit),
                status=429,
                retry_after=limit.retry_after,
            )
        if record is None:
            return await self._login_form(
                ask, destination, username=username, error=WRONG_PASSWORD, status=401
            )
        principal = await self._sessions.principal_of(record)
        response = self._onward(ask, destination, principal)
        await self._sessions.attach(ask.request, response, record.sid)
        return response

    async def _login_form(
        self,
        ask: Ask,
        destination: Target,
        *,
        username: str = "",
        error: str | None = None,
        status: int = 200,
        retry_after: int | None = None,
    ) -> web.StreamResponse:
        response = self._pages.render(
            "login.html",
            status,
            reader=ask.reader,
            request_id=ask.request_id,
            headers={} if retry_after is None else {"Retry-After": str(retry_after)},
            csrf_token=(csrf := ask.visit.csrf or self._sessions.new_token()),
            rd=href(destination, ask.here),
            username=username,
            passkeys=self._passkeys,
            providers=self._providers,
            can_reset=self._can_reset,
            error=error,
        )
        if not ask.visit.csrf:
            await self._sessions.attach(ask.request, response, None, csrf=csrf)
        return response

    def _onward(self, ask: Ask, destination: Target, principal: Principal) -> web.Response:
        """To the destination, or to the second factor if the destination asks for one."""
        verdict = self._signin.decision(destination, principal).verdict
        where = href(destination, ask.here)
        if verdict is Verdict.STEP_UP:
            return see_other(with_return(f"{self._prefix}/verify", where))
        response = see_other(where)
        self._trail.sent_on(ask, destination, response)
        return response

    # -- second factor -------------------------------------------------------------------------------------------

    async def verify_page(self, ask: Ask) -> web.StreamResponse:
        destination = self._return(ask.here, ask.request.query.get("rd", ""))
        if round_in_circles := self._trail.diagnosis(ask, destination):
            return round_in_circles
        return await self._verify_form(ask, destination, ask.request.query.get("factor", ""))

    async def verify(self, ask: Ask) -> web.StreamResponse:
        check_origin(ask.request, ask.here, self._public_url)
        form = await read_form(ask.request)
        destination = self._return(ask.here, form.get("rd", ""))
        factor = form.get("factor", "")
        if not token_matches(form, ask.visit.csrf):
            return await self._verify_form(ask, destination, factor, notice=OTHER_TAB, status=403)
        if form.get("resend") or (factor and not form.get("code")):
            return await self._verify_form(ask, destination, factor, resend=Resend.of(form))
        return await self._judge(ask, destination, form)

    async def _judge(self, ask: Ask, destination: Target, form: dict[str, str]) -> web.StreamResponse:
        principal = ask.visit.principal
        if principal is None:
            return self._to_login(ask, destination)
        decision = self._signin.decision(destination, principal)
        usable = await self._signin.usable_factors(principal.user, decision, principal.amr)
        factor = form.get("method", "") or (usable[0] if usable else "")
        if decision.verdict is not Verdict.STEP_UP or factor not in usable:
            return await self._verify_form(ask, destination, factor)
        try:
            outcome, record = await self._signin.prove(ask.client, principal, factor, form)
        except TooManyAttempts as limit:
            return self._pages.limited(limit, ask.reader, ask.request_id)
        if record is not None:
            response = self._onward(ask, destination, await self._sessions.principal_of(record))
            await self._sessions.attach(ask.request, response, record.sid)
            if form.get("remember_device") and factor not in LENT_FACTORS:
                await self._remember(ask, principal, response)
            return response
        return await self._refused(ask, destination, factor, outcome)

    async def _remember(self, ask: Ask, principal: Principal, response: web.StreamResponse) -> None:
        if self._devices.days:
            client, user = ask.client, principal.user
            await self._devices.remember(
                response, client.cookies, user, ip=client.ip, user_agent=client.user_agent
            )

    async def _refused(
        self, ask: Ask, destination: Target, factor: str, outcome: Outcome
    ) -> web.StreamResponse:
        if outcome is Outcome.PENDING:
            return await self._verify_form(ask, destination, factor, notice=NOT_YET)
        if outcome is Outcome.EXHAUSTED or factor == "approval":
            response = refusal(self._pages, ask, factor, outcome, self._prefix, href(destination, ask.here))
            if outcome is Outcome.EXHAUSTED:
                await self._sessions.detach(ask.request, response)
            return response
        error = WRONG_CODE if outcome is Outcome.WRONG else OLD_CODE
        return await self._verify_form(ask, destination, factor, error=error, status=401)

    async def _verify_form(
        self,
        ask: Ask,
        destination: Target,
        factor: str,
        *,
        error: str | None = None,
        notice: str | None = None,
        status: int = 200,
        resend: Resend | None = None,
    ) -> web.StreamResponse:
        principal = ask.visit.principal
        if principal is None:
            return self._to_login(ask, destination)
        decision = self._signin.decision(destination, principal)
        if decision.verdict is not Verdict.STEP_UP:
            return self._onward(ask, destination, principal)
        usable = await self._signin.usable_factors(principal.user, decision, principal.amr)
        if not usable:
            return see_other(with_return(f"{self._prefix}/enrol", href(destination, ask.here)))
        factor = factor if factor in usable else usable[0]
        try:
            begun = await self._challenges.begin(ask.client, principal, factor, usable, resend=resend)
        except TooManyAttempts as limit:
            return self._pages.limited(limit, ask.reader, ask.request_id)
        factor, prompt, send_failed = begun.factor, begun.prompt, begun.send_failed
        return self._pages.render(
            TEMPLATES.get(factor, "verify.html"),
            503 if send_failed and status == 200 else status,
            reader=ask.reader,
            request_id=ask.request_id,
            csrf_token=ask.visit.csrf,
            rd=href(destination, ask.here),
            factor=factor,
            masked=prompt.hint,
            options=prompt.options,
            number=prompt.number,
            code_length=prompt.code_length,
            resend_after=prompt.resend_after,
            can_remember=bool(self._devices.days) and not decision.factors,
            remember_days=self._devices.days,
            others=[(name, FACTOR_LABELS.get(name, name)) for name in usable if name != factor],
            send_failed=send_failed,
            error=error,
            delivery=delivery_words(prompt.outlook, language(ask.reader.lang)),
            delivery_final=prompt.outlook.final or not self._live,
            delivery_failed=prompt.outlook.state == "failed",
            called=prompt.outlook.channel == "call",
            can_call=prompt.can_call,
            cooling=prompt.cooling,
            other_number=prompt.other,
            notice=begun.notice or notice,
        )

    # -- shared ----------------------------------------------------------------------------------------------------

    def _return(self, here: Target, rd: str) -> Target:
        return read_return(rd, here, self._routes, self._prefix)

    def _to_login(self, ask: Ask, destination: Target) -> web.Response:
        return see_other(with_return(f"{self._prefix}/login", href(destination, ask.here)))
