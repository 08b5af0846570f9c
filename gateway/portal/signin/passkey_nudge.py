"""Asks who signs in by SMS, and has no passkey, to add one: at most once in `webauthn.nudge`, and never twice in a row.

It only shows a page on the way; whoever says "not now" goes on at once.
"""

from aiohttp import web

from gateway.authn.factors.build import Factors
from gateway.clock import Clock
from gateway.config.schema import WebAuthn
from gateway.model import Target, User
from gateway.policy.decide import Routes
from gateway.portal.rendering.render import Pages
from gateway.portal.request import PortalRequest, see_other
from gateway.portal.return_url import href, read_return, with_return

_NOTE = "passkey_nudge"


class PasskeyNudge:
    """Decides whether the page is due, and shows it."""

    def __init__(
        self, config: WebAuthn, factors: Factors, pages: Pages, routes: Routes, clock: Clock, *, prefix: str
    ) -> None:
        self._config, self._factors, self._pages = config, factors, pages
        self._routes, self._clock, self._prefix = routes, clock, prefix

    async def due(self, request: PortalRequest, user: User, factor: str) -> bool:
        """Tell whether to show the page after this proof, and remember that it was shown."""
        # Browsers that can make passkeys say that they navigate; programs that sign in by forms don't.
        navigates = request.http.headers.get("Sec-Fetch-Dest") == "document"
        if (
            factor != "sms"
            or not navigates
            or not self._config.nudge
            or "webauthn" not in self._factors.enrols
        ):
            return False
        if await self._factors.credentials.list(user.username, "webauthn"):
            return False
        notes, now = self._factors.preferences, self._clock()
        if now < float(await notes.noted(user.username, _NOTE) or 0) + self._config.nudge:
            return False
        await notes.note(user.username, _NOTE, str(now))
        return True

    def instead(self, request: PortalRequest, destination: Target, response: web.Response) -> None:
        """Send a browser to the page, and from there to its destination."""
        way = href(destination, request.target)
        response.headers["Location"] = with_return(f"{self._prefix}/passkey/nudge", way)

    async def page(self, request: PortalRequest) -> web.StreamResponse:
        """GET: the question. Whoever is not signed in is just sent on."""
        rd = request.http.query.get("rd", "")
        destination = href(read_return(rd, request.target, self._routes, self._prefix), request.target)
        if request.visit.principal is None:
            return see_other(destination)
        return self._pages.render(
            "nudge.html", reader=request.reader, request_id=request.request_id, rd=destination
        )
