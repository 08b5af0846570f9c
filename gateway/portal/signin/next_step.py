"""Decides where a sign-in leads: to the page that was wanted, or first to the step that is missing."""

import hmac
import json
import logging
from dataclasses import dataclass, replace
from hashlib import sha256

from aiohttp import web

from gateway.authn.login import SignIn
from gateway.clock import Clock
from gateway.config.schema import Config
from gateway.keyring import KeyRing
from gateway.model import Principal, Target, Verdict
from gateway.policy.decide import Routes
from gateway.policy.visible_apps import named_at_sign_in
from gateway.portal.rendering.render import Pages
from gateway.portal.request import PortalRequest, see_other
from gateway.portal.return_url import href, read_return, stands_for, with_return
from gateway.portal.signin.redirect_loop_cause import Cause, Facts, diagnose
from gateway.session.cookie import AuxiliaryCookie

log = logging.getLogger("gateway.trail")
ROUNDS = 3
WITHIN = 120.0
"""Seconds from one arrival to the next for them to count as one trail."""


class RedirectLoop:
    """Notices a browser that signs in again and again, and shows why instead of another form."""

    def __init__(
        self, config: Config, ring: KeyRing, pages: Pages, clock: Clock, *, session_cookie: str
    ) -> None:
        self._secure = config.server.public_url.startswith("https:")
        self._cookie = AuxiliaryCookie.of(config, "trail")
        self._domain, self._session_cookie = config.session.domain, session_cookie
        self._ring, self._pages, self._clock = ring, pages, clock

    def sent_on(self, request: PortalRequest, destination: Target, response: web.StreamResponse) -> None:
        """Count that a browser is sent to its destination as signed in."""
        rounds = self._rounds(request, destination) + 1
        state = json.dumps([_name(destination), rounds, self._clock()])
        self._cookie.give(response, self._ring.seal(state.encode()).decode(), WITHIN)

    def forget(self, response: web.StreamResponse) -> None:
        self._cookie.drop(response)

    def diagnosis(self, request: PortalRequest, destination: Target) -> web.Response | None:
        """The page that says what is wrong, if the browser is here again after ROUNDS arrivals in a row."""
        if self._rounds(request, destination) < ROUNDS:
            return None
        cause = self.cause(request, destination)
        response = self._pages.render(
            "loop.html",
            409,
            reader=request.reader,
            request_id=request.request_id,
            message=cause.public,
            reason=cause.code,
            again=href(destination, request.target),
        )
        self.forget(response)
        return response

    def cause(self, request: PortalRequest, destination: Target) -> Cause:
        """Return why the sign-in does not hold; the operator reads it in the log."""
        here = request.target
        cause = diagnose(
            Facts(
                scheme=here.scheme,
                host=here.host,
                destination=destination.host,
                cookies=self._count(request.client.cookies),
                opened=bool(request.visit.csrf),
                signed_in=request.visit.principal is not None,
                secure=self._secure,
                domain=self._domain,
            )
        )
        log.warning(
            "request %s: sign-in at %s://%s for %s does not hold (%s): %s",
            request.request_id,
            here.scheme,
            here.authority,
            destination.host,
            cause.code,
            cause.operator,
        )
        return cause

    def _rounds(self, request: PortalRequest, destination: Target) -> int:
        sealed = self._cookie.read(request.client.cookies)
        try:
            name, rounds, at = json.loads(self._ring.open(sealed.encode())) if sealed else ("", 0, 0.0)
        except ValueError:
            return 0
        same = hmac.compare_digest(str(name), _name(destination))
        return int(rounds) if same and self._clock() - float(at) < WITHIN else 0

    def _count(self, cookies: str) -> int:
        return sum(one.strip().startswith(f"{self._session_cookie}=") for one in cookies.split(";"))


def _name(destination: Target) -> str:
    return sha256(destination.url.encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class NextStep:
    """Finds the page that comes next for a visitor."""

    signin: SignIn
    routes: Routes
    trail: RedirectLoop
    prefix: str
    home_url: str = ""

    def wanted(self, request: PortalRequest, rd: str) -> Target:
        """Return the target that a form or link names, if it is one of ours (security rule 5)."""
        return read_return(rd, request.target, self.routes, self.prefix)

    def app_name(self, request: PortalRequest, destination: Target) -> str:
        """Return what the sign-in is for: the app's name, or the host where it is another than the page's own."""
        meant = stands_for(destination, self.prefix, self.routes)
        other = meant.authority if meant.host != request.target.host else ""
        return named_at_sign_in(self.routes, meant) or other

    def way_back(self, request: PortalRequest, destination: Target) -> str:
        """Return an address for who does not want to sign in: the front page of the host if anybody may see it, else
        the operator's own page; "" if there is neither.
        """
        meant = stands_for(destination, self.prefix, self.routes)
        front = replace(meant, path=self.routes.front(meant.host), query="", fragment="")
        if meant.path != front.path and self.signin.decision(front, None).verdict is Verdict.ALLOW:
            return href(front, request.target)
        return self.home_url

    def to(self, request: PortalRequest, destination: Target, principal: Principal) -> web.Response:
        """Redirect to the destination, or to the second factor if the destination asks for one."""
        if self.signin.decision(destination, principal).verdict is Verdict.STEP_UP:
            return self._first("verify", request, destination)
        response = see_other(href(destination, request.target))
        self.trail.sent_on(request, destination, response)
        return response

    def to_login(self, request: PortalRequest, destination: Target) -> web.Response:
        return self._first("login", request, destination)

    def to_enrolment(self, request: PortalRequest, destination: Target) -> web.Response:
        return self._first("enrol", request, destination)

    def _first(self, page: str, request: PortalRequest, destination: Target) -> web.Response:
        return see_other(with_return(f"{self.prefix}/{page}", href(destination, request.target)))
