"""Asks who signs in by SMS, and has nothing safer, to add an app or a passkey, as `sms.migration` plans it.

Also the page of who can't sign in by SMS any more: it says how to go on.
"""

from dataclasses import dataclass

from aiohttp import web

from gateway.authn.factors.build import Factors
from gateway.authn.factors.sms_migration import SAFER, SmsMigrationPlan
from gateway.clock import Clock
from gateway.i18n.text import N_
from gateway.model import Target, User
from gateway.observability.audit import Audit
from gateway.policy.decide import Routes
from gateway.portal.rendering.render import Pages
from gateway.portal.rendering.texts import FACTOR_LABELS
from gateway.portal.request import PortalRequest, see_other
from gateway.portal.return_url import href, read_return, with_return
from gateway.portal.signin.passkey_nudge import PasskeyNudge

_NOTE = "sms_migration"
PATH = "/sms/migration"
_WEAK = ("sms", "bypass", "recovery")
"""After which the page is shown: with the last two somebody helps themselves who can't sign in by SMS any more."""


class SmsMigrationNudge:
    """Decides whether the page is due, and shows it."""

    def __init__(
        self,
        plan: SmsMigrationPlan,
        factors: Factors,
        pages: Pages,
        routes: Routes,
        audit: Audit,
        clock: Clock,
        *,
        prefix: str,
    ) -> None:
        self._plan, self._factors, self._pages, self._routes = plan, factors, pages, routes
        self._audit, self._clock, self._prefix = audit, clock, prefix

    async def due(self, request: PortalRequest, user: User, factor: str) -> bool:
        """Tell whether to show the page after this proof, and remember that it was shown."""
        navigates = request.http.headers.get("Sec-Fetch-Dest") == "document"
        if factor not in _WEAK or not navigates or not self._choices():
            return False
        if not await self._plan.asks(user):
            return False
        notes, now = self._factors.preferences, self._clock()
        if now < float(await notes.noted(user.username, _NOTE) or 0) + self._plan.nudge_every:
            return False
        await notes.note(user.username, _NOTE, str(now))
        self._audit.record("sms_migration_asked", user.username, request.client.ip)
        return True

    def instead(self, request: PortalRequest, destination: Target, response: web.Response) -> None:
        """Send a browser to the page, and from there to its destination."""
        way = href(destination, request.target)
        response.headers["Location"] = with_return(f"{self._prefix}{PATH}", way)

    async def page(self, request: PortalRequest) -> web.StreamResponse:
        """GET: the question. Whoever is not signed in is just sent on."""
        rd = request.http.query.get("rd", "")
        destination = href(read_return(rd, request.target, self._routes, self._prefix), request.target)
        principal = request.visit.principal
        if principal is None:
            return see_other(destination)
        return self._pages.render(
            "sms_migration.html",
            reader=request.reader,
            request_id=request.request_id,
            rd=destination,
            deadline=self._plan.deadline,
            overdue=self._plan.overdue,
            ended=self._plan.ended_for(principal.user),
            choices=[(name, FACTOR_LABELS[name]) for name in self._choices()],
        )

    def _choices(self) -> list[str]:
        """The passkey first: it is the quickest to use."""
        return [name for name in reversed(SAFER) if name in self._factors.enrols]

    def refusal(self, request: PortalRequest, user: User, destination: Target) -> web.Response:
        """The page of who has no way in but SMS, which has ended."""
        self._audit.record(
            "sms_migration_refused",
            user.username,
            request.client.ip,
            mend=f"`auth-gateway user bypass {user.username}` gives a code that works once; then the user adds an app "
            "or a passkey",
        )
        return self._pages.error(
            403,
            title=N_("Text messages no longer sign you in"),
            message=N_(
                "Codes by text message have ended here, because they are not safe enough. Please ask your "
                "administrator for a code that works once. With it you sign in and add an authenticator app or a "
                "passkey."
            ),
            reason="sms_ended",
            reader=request.reader,
            request_id=request.request_id,
            actions=[
                (N_("Try again"), with_return(f"{self._prefix}/verify", href(destination, request.target))),
                (N_("Sign out"), f"{self._prefix}/logout"),
            ],
        )


@dataclass(frozen=True, slots=True)
class Nudges:
    """The pages that may stand between a second factor and the destination."""

    migration: SmsMigrationNudge
    passkey: PasskeyNudge

    async def between(
        self, request: PortalRequest, user: User, factor: str, destination: Target, response: web.Response
    ) -> None:
        """Have the response lead to the first page that is due after this factor, one at most."""
        for nudge in (self.migration, self.passkey):
            if await nudge.due(request, user, factor):
                nudge.instead(request, destination, response)
                return
