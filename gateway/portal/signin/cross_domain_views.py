"""Between domains: leave a remote host for the portal, be let through there, arrive back with the session.

A link can make a signed-in browser come here, so the portal hands over only what a named host of ours has begun, and
asks its user first where it was begun by another browser or from another network than the one that is here now.
"""

import secrets
from urllib.parse import quote

from aiohttp import web

from gateway.authn.login import SignIn
from gateway.config.schema import Config
from gateway.errors import RequestRefused
from gateway.i18n.text import N_
from gateway.model import Principal, Target, Verdict
from gateway.observability.audit import Audit
from gateway.policy.decide import Routes
from gateway.portal.forms import posted
from gateway.portal.rendering.render import Pages
from gateway.portal.request import PortalRequest, see_other
from gateway.portal.return_url import read_return, with_return
from gateway.portal.signin.next_step import RedirectLoop
from gateway.session import Sessions
from gateway.session.cookie import AuxiliaryCookie
from gateway.session.cross_domain_code import HandOffRequest, HandOffs
from gateway.session.domains import Domains
from gateway.stores.protocols.core import SessionStore

NONCE_KEPT = 600.0
LOCAL = frozenset({"/handoff", "/logout", "/kept", "/tab", "/whoami"})
"""Pages that a remote host shows itself; for all others it sends people to the portal."""
_SIGN_IN = ("/login", "/verify", "/passkey")
_NOT_GOOD = N_(
    "This sign-in has been used, is too old, or began in another browser. Please open the page again."
)


class HandOffViews:
    """The steps of carrying a session to a host of another domain."""

    def __init__(
        self,
        *,
        handoffs: HandOffs,
        domains: Domains,
        trail: RedirectLoop,
        signin: SignIn,
        sessions: Sessions,
        records: SessionStore,
        routes: Routes,
        pages: Pages,
        audit: Audit,
        config: Config,
    ) -> None:
        self._handoffs, self._domains, self._trail = handoffs, domains, trail
        self._signin, self._sessions, self._records = signin, sessions, records
        self._routes, self._pages, self._audit = routes, pages, audit
        self._portal, self._prefix = config.server.pages_url, config.server.prefix
        self._nonce = AuxiliaryCookie.of(config, "nonce")

    async def leave(self, request: PortalRequest) -> web.StreamResponse:
        """On a remote host, any page that is the portal's. Who signs in here takes a nonce along and comes back."""
        page = request.target.path.removeprefix(self._prefix)
        destination = read_return(
            request.http.query.get("rd", ""), request.target, self._routes, self._prefix
        )
        if page not in _SIGN_IN:
            return see_other(with_return(f"{self._portal}{page}", destination.url))
        client = request.client
        nonce = self._nonce.read(client.cookies) or secrets.token_urlsafe()
        begun = self._handoffs.begin(destination, nonce, network=client.network, user_agent=client.user_agent)
        response = see_other(f"{self._portal}/across?to={quote(destination.url, safe='')}&begun={begun}")
        self._nonce.give(response, nonce, NONCE_KEPT)
        return response

    async def across(self, request: PortalRequest) -> web.StreamResponse:
        """On the portal: whoever is signed in as the destination asks for goes there with a code, others sign in."""
        destination, begun = self._asked(request)
        if begun.expired:
            return see_other(destination.url)
        if round_in_circles := self._trail.diagnosis(request, destination):
            return round_in_circles
        if (principal := self._signed_in(request, destination)) is None:
            return self._first(request, destination)
        if not begun.is_of(request.client.network, request.client.user_agent):
            return self._question(request, destination)
        return await self._hand_over(request, destination, principal.session.sid, begun.nonce_digest)

    async def agreed(self, request: PortalRequest) -> web.StreamResponse:
        """On the portal: the user says that it was they who wanted to sign in there."""
        form = await posted(request)
        destination, begun = self._asked(request)
        principal = self._signed_in(request, destination)
        if principal is None or begun.expired or not form.genuine:
            return await self.across(request)
        return await self._hand_over(request, destination, principal.session.sid, begun.nonce_digest)

    def _asked(self, request: PortalRequest) -> tuple[Target, HandOffRequest]:
        """The page that wants the session. Raises RequestRefused unless its own host began this, and may."""
        destination = read_return(
            request.http.query.get("to", ""), request.target, self._routes, self._prefix
        )
        where = f"{destination.scheme}://{destination.authority}"
        if not self._domains.may_receive(destination):
            raise RequestRefused(
                f"no session is handed to {where}: no route names that host (a wildcard does not), nor does "
                "`domains[].hosts`, or it is not reached as server.public_url is"
            )
        begun = self._handoffs.begun(request.http.query.get("begun", ""), destination)
        if begun is None:
            raise RequestRefused(f"no session is handed to {where}: that host did not ask for this page")
        return destination, begun

    def _signed_in(self, request: PortalRequest, destination: Target) -> Principal | None:
        """Who is signed in as far as the destination asks for."""
        verdict = self._signin.decision(destination, request.visit.principal).verdict
        return None if verdict in (Verdict.SIGN_IN, Verdict.STEP_UP) else request.visit.principal

    def _first(self, request: PortalRequest, destination: Target) -> web.StreamResponse:
        verdict = self._signin.decision(destination, request.visit.principal).verdict
        if verdict not in (Verdict.SIGN_IN, Verdict.STEP_UP):
            return see_other(destination.url)
        page = "login" if verdict is Verdict.SIGN_IN else "verify"
        return see_other(with_return(f"{self._prefix}/{page}", request.target.uri))

    def _question(self, request: PortalRequest, destination: Target) -> web.StreamResponse:
        return self._pages.render(
            "across.html",
            reader=request.reader,
            request_id=request.request_id,
            csrf_token=request.visit.csrf,
            host=destination.authority,
            query=request.target.query,
        )

    async def _hand_over(
        self, request: PortalRequest, destination: Target, sid: str, nonce_digest: str
    ) -> web.StreamResponse:
        code = await self._handoffs.issue(sid, destination, nonce_digest)
        response = see_other(
            f"{destination.scheme}://{destination.authority}{self._prefix}/handoff?code={code}"
        )
        response.headers["Referrer-Policy"] = "no-referrer"
        self._trail.sent_on(request, destination, response)
        return response

    async def arrive(self, request: PortalRequest) -> web.StreamResponse:
        """On the remote host: the code for a cookie that counts at this host alone."""
        nonce = self._nonce.read(request.client.cookies)
        given = await self._handoffs.redeem(request.http.query.get("code", ""), request.target, nonce)
        record = (
            await self._records.get(given.sid)
            if given and self._domains.may_receive(request.target)
            else None
        )
        if given is None or record is None:
            again = [(N_("Open the page again"), "/")]
            return self._pages.error(
                400, reader=request.reader, message=_NOT_GOOD, request_id=request.request_id, actions=again
            )
        where = given.uri if not given.uri.startswith("//") else "/"
        response = see_other(where)
        response.headers["Referrer-Policy"] = "no-referrer"
        await self._sessions.attach(request.http, response, record.sid, host=request.target.host)
        self._audit.record(
            "handed_over", record.username, request.client.ip, host=request.target.host, sid=record.sid[:8]
        )
        return response
