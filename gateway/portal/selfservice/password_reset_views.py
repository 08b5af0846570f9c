"""The pages of setting a new password: ask for a link, open it, prove the second factor, choose the password."""

from collections.abc import Mapping, Sequence

from aiohttp import web

from gateway.authn.factors.base import Outcome, Prompt, Resend
from gateway.authn.password_reset import Resets, Ticket
from gateway.errors import SendFailed, TooManyAttempts, WeakPassword
from gateway.i18n.text import N_
from gateway.portal.forms import VisitorForms, posted
from gateway.portal.rendering.render import Pages
from gateway.portal.rendering.texts import (
    FACTOR_LABELS,
    NEW_CODE,
    NO_COOKIE,
    OLD_CODE,
    STALE_FORM,
    WRONG_CODE,
    not_sent,
)
from gateway.portal.request import PortalRequest

GONE = N_("This link was used already or is too old. Please ask for a new one.")
WRONG = {Outcome.WRONG: WRONG_CODE, Outcome.EXPIRED: OLD_CODE}


class ResetViews:
    """The pages of setting a new password."""

    def __init__(self, resets: Resets, forms: VisitorForms, pages: Pages, *, prefix: str) -> None:
        self._resets, self._forms, self._pages, self._prefix = resets, forms, pages, prefix

    async def page(self, request: PortalRequest) -> web.StreamResponse:
        """GET: with a token the way on, else the form that asks for one. Nothing is used up by looking."""
        token = request.http.query.get("token", "")[:128]
        if token and not await self._resets.works(token):
            return await self._show(request, "ask", 410, error=GONE)
        return await self._show(request, "open" if token else "ask", token=token)

    async def submit(self, request: PortalRequest) -> web.StreamResponse:
        """Take a step: ask for a link, prove the second factor, or choose the password."""
        form = await posted(request)
        token = form.unproven.get("token", "")
        if not form.genuine:
            error = STALE_FORM if request.visit.csrf else NO_COOKIE
            return await self._show(request, "open" if token else "ask", 403, token=token, error=error)
        try:
            return await self._step(request, form, token)
        except TooManyAttempts as limit:
            return self._pages.limited(limit, request.reader, request.request_id)

    async def _step(self, request: PortalRequest, form: Mapping[str, str], token: str) -> web.StreamResponse:
        if "username" in form:
            await self._resets.request(request.client, form["username"])
            return await self._show(request, "sent")
        browser = request.visit.csrf
        if token:
            ticket = await self._resets.open(request.client, token, browser)
        else:
            ticket = await self._resets.ticket(form.get("ticket", ""), browser)
        if ticket is None:
            return await self._show(request, "ask", 410, error=GONE)
        if ticket.proven:
            return await self._password(request, ticket, form.get("password", ""))
        return await self._second_factor(request, ticket, form)

    async def _second_factor(
        self, request: PortalRequest, ticket: Ticket, form: Mapping[str, str]
    ) -> web.StreamResponse:
        usable = await self._resets.factors(ticket)
        if not usable:
            return await self._show(request, "ask", 410, error=GONE)
        wanted = form.get("factor") or form.get("method") or ""
        factor = wanted if wanted in usable else usable[0]
        resend = Resend.of(form)
        if resend or form.get("factor") or not (form.get("code") or form.get("credential")):
            return await self._challenge(request, ticket, factor, usable, resend=resend)
        outcome, ticket = await self._resets.prove(request.client, ticket, factor, form)
        if outcome is Outcome.RIGHT:
            return await self._show(request, "password", ticket=ticket.id, username=ticket.user.username)
        if outcome is Outcome.EXHAUSTED:
            return await self._show(request, "ask", 429, error=GONE)
        return await self._challenge(request, ticket, factor, usable, error=WRONG[outcome])

    async def _challenge(
        self,
        request: PortalRequest,
        ticket: Ticket,
        factor: str,
        usable: list[str],
        *,
        resend: Resend | None = None,
        error: str | None = None,
    ) -> web.StreamResponse:
        others = [name for name in usable if name != factor]
        failed = False
        problem: Sequence[str] = ()
        try:
            prompt = await self._resets.begin(request.client, ticket, factor, resend)
        except SendFailed as failure:
            prompt, failed = Prompt(other=failure.instead), True
            problem = not_sent(failure, others=bool(others or failure.instead))
        return await self._forms.show(
            request,
            "verify.html",
            401 if error else 503 if failed else 200,
            action=f"{self._prefix}/reset",
            ticket=ticket.id,
            rd="",
            factor=factor,
            masked=prompt.hint,
            options=prompt.options,
            code_length=prompt.code_length,
            resend_after=0,
            other_number=prompt.other,
            called=prompt.outlook.channel == "call",
            channel=prompt.outlook.channel,
            can_remember=False,
            remember_days=0,
            others=[(name, FACTOR_LABELS.get(name, name)) for name in others],
            send_failed=failed,
            problem=problem,
            error=error,
            notice=NEW_CODE if resend and prompt.sent else None,
        )

    async def _password(self, request: PortalRequest, ticket: Ticket, password: str) -> web.StreamResponse:
        where = {"ticket": ticket.id, "username": ticket.user.username}
        try:
            done = await self._resets.finish(request.client, ticket, password)
        except WeakPassword as weak:
            return await self._show(request, "password", 422, error=weak.public, **where)
        return (
            await self._show(request, "done") if done else await self._show(request, "ask", 410, error=GONE)
        )

    async def _show(
        self, request: PortalRequest, step: str, status: int = 200, **context: str
    ) -> web.StreamResponse:
        blank: dict[str, object] = {"token": "", "ticket": "", "username": "", "error": None}
        return await self._forms.show(request, "reset.html", status, **(blank | context), step=step)
