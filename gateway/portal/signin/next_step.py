"""Decides where a sign-in leads: to the page that was wanted, or first to the step that is missing."""

from dataclasses import dataclass

from aiohttp import web

from gateway.authn.login import SignIn
from gateway.model import Principal, Target, Verdict
from gateway.policy.routes import Routes
from gateway.portal.request import PortalRequest, see_other
from gateway.portal.return_url import href, read_return, with_return
from gateway.portal.signin.redirect_loop import RedirectLoop


@dataclass(frozen=True, slots=True)
class NextStep:
    signin: SignIn
    routes: Routes
    trail: RedirectLoop
    prefix: str

    def wanted(self, ask: PortalRequest, rd: str) -> Target:
        """Return the target that a form or link names, if it is one of ours (security rule 5)."""
        return read_return(rd, ask.here, self.routes, self.prefix)

    def to(self, ask: PortalRequest, destination: Target, principal: Principal) -> web.Response:
        """Redirect to the destination, or to the second factor if the destination asks for one."""
        if self.signin.decision(destination, principal).verdict is Verdict.STEP_UP:
            return self._first("verify", ask, destination)
        response = see_other(href(destination, ask.here))
        self.trail.sent_on(ask, destination, response)
        return response

    def to_login(self, ask: PortalRequest, destination: Target) -> web.Response:
        return self._first("login", ask, destination)

    def to_enrolment(self, ask: PortalRequest, destination: Target) -> web.Response:
        return self._first("enrol", ask, destination)

    def _first(self, page: str, ask: PortalRequest, destination: Target) -> web.Response:
        return see_other(with_return(f"{self.prefix}/{page}", href(destination, ask.here)))
