"""The authorization endpoint: an app sends a browser here, and gets it back with a code once its user has signed in.

What is missing is proven on the ordinary sign-in pages, which come back here.
"""

from collections.abc import Mapping
from urllib.parse import parse_qs, urlencode

from aiohttp import web

from gateway.clock import Clock
from gateway.errors import RequestRefused
from gateway.keyring import KeyRing
from gateway.model import Decision, Principal, Target, Verdict
from gateway.observability.audit import Audit
from gateway.oidc.authorization_request import Denied, SignInRequest, read_request, seal, unseal
from gateway.oidc.authorization_response import Answers
from gateway.oidc.claims import ClaimRules
from gateway.oidc.client_documents import host_of
from gateway.oidc.client_policy import judge
from gateway.oidc.clients import Apps, Client
from gateway.oidc.consents import Asking, described
from gateway.oidc.errors import UnknownApp
from gateway.oidc.grants import Issuing
from gateway.oidc.pushed_requests import PushedRequests, is_pushed
from gateway.oidc.sector_identifiers import SectorIdentifiers
from gateway.oidc.session_names import met
from gateway.oidc.subjects import NamesForApps
from gateway.oidc.tokens import ID, TokenSigner
from gateway.portal.forms import posted, posted_by_anyone
from gateway.portal.rendering.render import Pages
from gateway.portal.rendering.texts import STALE_FORM
from gateway.portal.request import PortalRequest, preferred, see_other
from gateway.portal.return_url import with_return

AUTHORIZE = "/oidc/authorize"


class AuthorizeViews:
    """The pages between an app's request and the code that it gets."""

    def __init__(
        self,
        *,
        apps: Apps,
        tokens: TokenSigner,
        rules: ClaimRules,
        issuing: Issuing,
        names: NamesForApps,
        sectors: SectorIdentifiers,
        asking: Asking,
        answers: Answers,
        pushed: PushedRequests,
        pages: Pages,
        audit: Audit,
        ring: KeyRing,
        clock: Clock,
        scopes: Mapping[str, str],
        prefix: str,
    ) -> None:
        self._apps, self._tokens, self._rules = apps, tokens, rules
        self._pages, self._audit, self._ring, self._clock = pages, audit, ring, clock
        self._scopes, self._prefix = scopes, prefix
        self._issuing, self._names, self._asking, self._answers = issuing, names, asking, answers
        self._pushed, self._sectors = pushed, sectors

    # -- the request -----------------------------------------------------------------------------------------------

    async def authorize(self, request: PortalRequest) -> web.StreamResponse:
        """Judge a new request and go on with it."""
        # Two kinds of errors (RFC 6749 §4.1.2.1). Where client and redirect URI are right the browser goes back with an
        # error that the app can handle. Where not, the user sees a page here: nobody may be sent to an address that we
        # don't know.
        try:
            wanted = await self._wanted(request, await _parameters(request))
        except Denied as denied:
            return self._deny(request, denied.back.client_id, denied)
        except UnknownApp as unknown:
            self._audit.record("oidc_refused", "", request.client.ip, cause=unknown.detail)
            raise
        return await self._go_on(request, wanted)

    async def resume(self, request: PortalRequest, sealed: str) -> web.StreamResponse:
        """Go on with a sealed request after a step of signing in."""
        return await self._go_on(request, self._unseal(sealed))

    async def _wanted(self, request: PortalRequest, params: Mapping[str, str]) -> SignInRequest:
        # A request of our own, on its way back from the sign-in. It was judged when it came, and what is sealed can't
        # have been changed; whoever makes up one can't seal it.
        if "continue" in params:
            return self._unseal(params["continue"])
        app = await self._apps.load(params.get("client_id", ""), request.client.network)
        if is_pushed(params):
            return await self._pushed.take(params["request_uri"], params.get("client_id", ""))
        if app is not None and app.settings.par:
            raise UnknownApp(f"client {app.id} has to push its requests (oidc.clients.par)")
        return self.judge(params)

    def judge(self, params: Mapping[str, str]) -> SignInRequest:
        """Judge a new request, whose app was loaded. Raises UnknownApp and Denied."""
        return read_request(params, self._apps, self._rules, self._clock(), self._subject_of)

    def _subject_of(self, hint: str, app: Client) -> str | None:
        # A hint may be old: it says who was signed in, not that somebody is (Core §3.1.2.1). But it must be of this
        # client.
        claims = self._tokens.read(hint, ID, expired=True)
        return str(claims["sub"]) if claims and claims.get("aud") == app.id else None

    async def _go_on(self, request: PortalRequest, wanted: SignInRequest) -> web.StreamResponse:
        try:
            return await self._answer(request, wanted, await self._app(request, wanted))
        except Denied as denied:
            return self._deny(request, wanted.back.client_id, denied)

    async def _answer(self, request: PortalRequest, wanted: SignInRequest, app: Client) -> web.StreamResponse:
        principal = request.visit.principal
        decision = judge(app, wanted, request.target, principal, self._clock())
        if decision.verdict is Verdict.DENY:
            raise Denied(wanted.back, "access_denied", "the policy of this client does not let this user in")
        if principal is None or decision.verdict is not Verdict.ALLOW:
            return self._prove(wanted, decision)
        # OpenID Connect Core §3.1.2.1, id_token_hint: signed in as somebody else is not signed in, for this app.
        if await self._somebody_else(wanted, app, principal):
            raise Denied(wanted.back, "login_required", "somebody else is signed in")
        again = wanted.ask_consent
        if await self._asking.needed(app, principal.username, wanted.wishes, again=again):
            if wanted.silent:
                raise Denied(wanted.back, "consent_required")
            return self._consent_page(request, wanted, app, principal)
        return await self._let_in(request, wanted, app, principal)

    async def _somebody_else(self, wanted: SignInRequest, app: Client, principal: Principal) -> bool:
        """Whether the app asks for another user than the one who is signed in."""
        if not wanted.subject and not wanted.subjects:
            return False
        name = await self._names.of_user(app, principal.user)
        return name != (wanted.subject or name) or name not in (wanted.subjects or (name,))

    def _prove(self, wanted: SignInRequest, decision: Decision) -> web.Response:
        """Lead to the page that asks for what is missing, unless the app wants no page shown (Core §3.1.2.6)."""
        sign_in = decision.verdict is Verdict.SIGN_IN
        if wanted.silent:
            raise Denied(wanted.back, "login_required" if sign_in else "interaction_required")
        prefix = self._prefix
        here = f"{prefix}{AUTHORIZE}?{urlencode({'continue': self._seal(wanted)})}"
        page = with_return(f"{prefix}/{'login' if sign_in else 'verify'}", here)
        # login_hint fills in the form and proves nothing; ui_locales is the app's word on the language (Core §3.1.2.1).
        more = {"login_hint": wanted.login_hint} if wanted.login_hint and sign_in else {}
        if language := preferred(wanted.ui_locales.replace(" ", ","), self._pages.readers.offered):
            more["lang"] = language
        return see_other(f"{page}&{urlencode(more)}" if more else page)

    async def _let_in(
        self, request: PortalRequest, wanted: SignInRequest, app: Client, principal: Principal
    ) -> web.StreamResponse:
        # OpenID Connect Core §5.5.1.1: a context that the app needs and that was not reached is a failed sign-in.
        if wanted.acr_needed and not met(principal, wanted.acr_needed):
            raise Denied(wanted.back, "unmet_authentication_requirements", "none of the acr values was met")
        # The grant outlives the code by some seconds, so that a code that is redeemed at its very end finds it.
        life = app.settings.lifetimes.code + 5
        grant = await self._issuing.grant(app, principal, wanted.scopes, life, wanted=wanted)
        await self._apps.used(app)
        back = wanted.back
        code = await self._issuing.code(app, grant, back.redirect_uri, wanted.challenge, wanted.nonce)
        self._audit.record(
            "oidc_code_issued",
            principal.username,
            request.client.ip,
            client=app.id,
            grant=grant.id[:8],
            scopes=list(wanted.scopes),
        )
        return self._answers.code(request, back, code)

    def _deny(self, request: PortalRequest, client: str, denied: Denied) -> web.Response:
        username = request.visit.principal.username if request.visit.principal else ""
        self._audit.record("oidc_refused", username, request.client.ip, client=client, error=denied.code)
        return self._answers.error(request, denied.back, denied.code, denied.detail)

    # -- consent ---------------------------------------------------------------------------------------------------

    def _consent_page(
        self,
        request: PortalRequest,
        wanted: SignInRequest,
        app: Client,
        principal: Principal,
        error: str | None = None,
    ) -> web.Response:
        return self._pages.render(
            "oidc_consent.html",
            200 if error is None else 403,
            reader=request.reader,
            request_id=request.request_id,
            csrf_token=request.visit.csrf,
            sealed=self._seal(wanted),
            app=app.settings.label,
            username=principal.username,
            scopes=described(wanted.wishes, self._scopes),
            unlisted="" if app.is_listed else host_of(wanted.back.redirect_uri),
            error=error,
        )

    async def consent(self, request: PortalRequest) -> web.StreamResponse:
        """Take the answer of the consent page. All is judged again: the session may have ended or changed
        meanwhile.
        """
        form = await posted(request)
        wanted = self._unseal(form.unproven.get("continue", ""))
        app, principal = await self._app(request, wanted), request.visit.principal
        decision = judge(app, wanted, request.target, principal, self._clock())
        if principal is None or decision.verdict is not Verdict.ALLOW:
            return await self._go_on(request, wanted)
        if await self._somebody_else(wanted, app, principal):
            return await self._go_on(request, wanted)
        # A forged form would give an app what its user has never allowed, unseen: the browser comes back with a code at
        # once.
        if not form.genuine:
            return self._consent_page(request, wanted, app, principal, STALE_FORM)
        if form.get("do") != "allow":
            self._asking.refused(app, principal.username, request.client.ip)
            return self._deny(request, app.id, Denied(wanted.back, "access_denied", "the user refused"))
        await self._asking.allowed(app, principal.username, wanted.wishes, request.client.ip)
        try:
            return await self._let_in(request, wanted, app, principal)
        except Denied as denied:
            return self._deny(request, app.id, denied)

    # -- for the sign-in pages -------------------------------------------------------------------------------------

    def decision(self, destination: Target, principal: Principal | None) -> Decision | None:
        """Decide about a destination that is a sealed request of ours; None for any other."""
        if destination.path != f"{self._prefix}{AUTHORIZE}":
            return None
        try:
            wanted = self._unseal(parse_qs(destination.query).get("continue", [""])[0])
            # Nothing can be waited for here. That the app is there still is seen before it gets anything.
            app = self._apps.stand_in(wanted.back.client_id, wanted.back.redirect_uri)
            return judge(_checked(app, wanted), wanted, destination, principal, self._clock())
        except (RequestRefused, UnknownApp):  # the page itself says so
            return Decision(Verdict.ALLOW, "oidc", "no_request")

    # -- shared ----------------------------------------------------------------------------------------------------

    async def _app(self, request: PortalRequest, wanted: SignInRequest) -> Client:
        app = _checked(await self._apps.load(wanted.back.client_id, request.client.network), wanted)
        if not await self._sectors.holds(app):
            raise Denied(wanted.back, "server_error", "sector_identifier_uri does not list all redirect URIs")
        return app

    def _seal(self, wanted: SignInRequest) -> str:
        return seal(wanted, self._ring.seal)

    def _unseal(self, sealed: str) -> SignInRequest:
        return unseal(sealed, self._ring.open, self._clock())


def _checked(app: Client | None, wanted: SignInRequest) -> Client:
    if app is None or not app.may_return_to(wanted.back.redirect_uri):  # the configuration has changed
        raise UnknownApp(f"client {wanted.back.client_id} or its redirect_uri is gone")
    return app


async def _parameters(request: PortalRequest) -> Mapping[str, str]:
    """From the address or a form (OpenID Connect Core §3.1.2.1); none may come twice (RFC 6749 §3.1)."""
    if request.target.method == "POST":
        return await posted_by_anyone(request)
    query = request.http.query
    if len(set(query)) != len(query):
        raise RequestRefused("a parameter comes twice")
    return dict(query)
