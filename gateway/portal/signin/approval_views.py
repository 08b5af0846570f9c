"""The other device: shows who is signing in and takes the number, or a no. And what both pages wait for, live.

Waiting is a GET that takes up to ten seconds; it says that something changed, never what.
"""

import asyncio
import hmac
from collections.abc import Awaitable, Callable

from aiohttp import web

from gateway.authn.factors.approval import ApprovalFactor, vouches
from gateway.authn.factors.approval_questions import ApprovalAnswer, ApprovalQuestion
from gateway.authn.factors.challenge import normal_code
from gateway.clock import Clock
from gateway.errors import RequestRefused
from gateway.i18n.text import N_
from gateway.messaging.notices import Notices
from gateway.model import Principal
from gateway.observability.audit import Audit
from gateway.policy.decide import proven_recently
from gateway.portal.forms import posted
from gateway.portal.rendering.render import Pages
from gateway.portal.rendering.texts import STALE_FORM
from gateway.portal.rendering.user_agent import browser_name
from gateway.portal.request import PortalRequest, see_other
from gateway.portal.return_url import with_return

ROUNDS = 10
PAUSE = 1.0
DONE = {
    "yes": N_("Approved. The other device is being signed in."),
    "no": N_("Refused. If it was not you, somebody knows your password: change it now."),
    "wrong": N_("That is not the number on the other device, so nobody was signed in."),
    "late": N_("Too late: that sign-in is answered already, or it took too long."),
}
BORROWED = N_("This session was approved by another one, or by your administrator. It can’t approve others.")


class ApproveViews:
    """The page of the device that approves."""

    def __init__(
        self,
        factor: ApprovalFactor,
        notices: Notices,
        audit: Audit,
        pages: Pages,
        *,
        prefix: str,
        clock: Clock,
    ) -> None:
        self._factor, self._notices, self._audit, self._pages = factor, notices, audit, pages
        self._here, self._prefix = f"{prefix}/approve", prefix
        self._clock = clock

    async def page(self, request: PortalRequest) -> web.StreamResponse:
        """Show who waits."""
        principal = request.visit.principal
        if principal is None or not vouches(principal.session):
            return self._first(request, principal)
        asked = await self._factor.asks.waiting(principal.username)
        done = request.http.query.get("done", "")
        return self._show(request, asked, done=done if done in DONE else "")

    async def submit(self, request: PortalRequest) -> web.StreamResponse:
        """Take the answer: the number, or a no."""
        form = await posted(request)
        principal = request.visit.principal
        if principal is None or not vouches(principal.session):
            return self._first(request, principal)
        if not form.genuine:
            asked = await self._factor.asks.waiting(principal.username)
            return self._show(request, asked, error=STALE_FORM, status=403)
        asked = await self._factor.asks.take(principal.username, form.get("id", ""))
        if asked is None:
            return see_other(f"{self._here}?done=late")
        number = normal_code(form.get("number", ""), 2) if form.get("do") == "approve" else None
        answer = judged(asked, principal, number)
        await self._settle(request, principal, asked, answer)
        return see_other(f"{self._here}?done={answer.value}")

    async def _settle(
        self, request: PortalRequest, principal: Principal, asked: ApprovalQuestion, answer: ApprovalAnswer
    ) -> None:
        user, ip = principal.user, request.client.ip
        sid = principal.session.sid[:8]
        if answer is ApprovalAnswer.YES:
            self._audit.record("approval_given", user.username, ip, sid=sid, asked_from=asked.ip)
        else:
            await self._factor.refused(user.username)
            self._audit.record(
                "approval_refused", user.username, ip, answer=answer.value, sid=sid, asked_from=asked.ip
            )
            self._tell(request, principal, asked)
        await self._factor.asks.answer(user.username, asked, answer)

    def _tell(self, request: PortalRequest, principal: Principal, asked: ApprovalQuestion) -> None:
        user, brand = principal.user, self._notices.brand
        browser = browser_name(asked.user_agent)
        subject = N_("%(brand)s: a sign-in was refused", brand=brand)
        text = N_(
            "A sign-in to your account at %(brand)s was refused on another device of yours.\n\n"
            "It came from %(browser)s, IP address %(ip)s. Whoever that was knew your password.\n\n"
            "If it was you (a wrong number also refuses), there is nothing to do. "
            "If not, change your password at once.\n",
            brand=brand,
            browser=browser,
            ip=asked.ip,
        )
        self._notices.mail(
            user.username, user.email, subject, text, about="approval_refused", lang=request.client.lang
        )

    def _first(self, request: PortalRequest, principal: Principal | None) -> web.StreamResponse:
        """What is missing before this browser may approve anything."""
        if principal is None:
            return see_other(with_return(f"{self._prefix}/login", self._here))
        if proven_recently(principal.session, self._clock()):  # more proof would change nothing
            return self._pages.error(
                403, message=BORROWED, reader=request.reader, request_id=request.request_id
            )
        return see_other(with_return(f"{self._prefix}/verify", self._here))

    def _show(
        self,
        request: PortalRequest,
        asked: ApprovalQuestion | None,
        *,
        done: str = "",
        error: str | None = None,
        status: int = 200,
    ) -> web.StreamResponse:
        return self._pages.render(
            "approve.html",
            status,
            reader=request.reader,
            request_id=request.request_id,
            csrf_token=request.visit.csrf,
            here=self._here,
            asked=asked,
            browser=browser_name(asked.user_agent) if asked else "",
            done=done,
            done_words=DONE.get(done, ""),
            error=error,
        )

    # -- waiting -------------------------------------------------------------------------------------------------

    async def wait_for_question(self, request: PortalRequest) -> web.StreamResponse:
        """Answer GET by the approving page: whether another question is there than the one it shows (`?seen=`).

        Raises RequestRefused for a session that may approve nobody.
        """
        principal = _somebody(request)
        if not vouches(principal.session):
            raise RequestRefused("this session approves nobody", status=403)
        seen = request.http.query.get("seen", "")

        async def other() -> bool:
            asked = await self._factor.asks.waiting(principal.username)
            return (asked.id if asked else "") != seen

        return await _told(other)

    async def wait_for_answer(self, request: PortalRequest) -> web.StreamResponse:
        """GET by the page that signs in: whether its form is worth sending."""
        principal = _somebody(request)
        return await _told(lambda: self._factor.is_settled(principal.username, principal.session.sid))


def judged(asked: ApprovalQuestion, principal: Principal, number: str | None) -> ApprovalAnswer:
    """Judge what the other device answered. `number` is what was typed, None for a refusal. Nobody answers their own
    question.
    """
    if number is None or asked.sid == principal.session.sid:
        return ApprovalAnswer.NO
    right = hmac.compare_digest(number.encode(), asked.number.encode())
    return ApprovalAnswer.YES if right else ApprovalAnswer.WRONG_NUMBER


def _somebody(request: PortalRequest) -> Principal:
    if request.visit.principal is None:
        raise RequestRefused("nobody waits here", status=401, public="Please sign in.")
    return request.visit.principal


async def _told(changed: Callable[[], Awaitable[bool]]) -> web.Response:
    for left in reversed(range(ROUNDS)):
        if await changed():
            return web.json_response({"changed": True}, headers=_NO_STORE)
        if left:
            await asyncio.sleep(PAUSE)
    return web.json_response({"changed": False}, headers=_NO_STORE)


_NO_STORE = {"Cache-Control": "no-store"}
