"""Sends browsers to an identity provider and takes them back: two addresses for each provider."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from urllib.parse import urlencode

from aiohttp import web

from gateway.authn.federation.accounts import AccountLinks, named_users
from gateway.authn.federation.base import (
    FederationProvider,
    NotSignedIn,
    ProviderHints,
    ProviderUnavailable,
)
from gateway.authn.federation.group_names import groups_from
from gateway.authn.federation.login_state import LoginStates
from gateway.authn.federation.openid import OpenIdProvider
from gateway.authn.federation.openid_logout import OpenIdLogout
from gateway.authn.federation.sign_ins import NotedSignIns
from gateway.authn.login import SignIn
from gateway.config.sections.identity_providers import IdentityProvider, OidcProvider
from gateway.errors import GatewayError
from gateway.i18n.text import N_
from gateway.model import Target, Verdict
from gateway.observability.audit import Audit
from gateway.policy.decide import Routes
from gateway.portal.forms import posted_by_anyone
from gateway.portal.rendering.render import Pages
from gateway.portal.request import PortalRequest, View, Views, see_other
from gateway.portal.return_url import href, read_return, with_return
from gateway.portal.services import Services
from gateway.portal.signin.keep_choice import chosen_by_link
from gateway.portal.signin.login_hints import LoginHints
from gateway.portal.signin.next_step import RedirectLoop
from gateway.portal.signin.provider_logout_views import provider_logout_pages
from gateway.portal.signin.provider_ways import ProviderWays
from gateway.rate_limits import Budget, RateLimits
from gateway.session import Sessions

PER_IP = Budget(name="federated-ip", limit=60, window=600, about="address")
AWAY = N_("That way to sign in does not work right now. Please try again in a few minutes.")
STRAYED = N_("That sign-in was begun elsewhere, or too long ago. Please try again.")


def federation_pages(services: Services) -> Views:
    """Pages by path, below the prefix."""
    links = AccountLinks(
        store=services.stores.federated,
        directory=services.users.directory,
        writable=services.users.writable,
        audit=services.audit,
        clock=services.clock,
        taken=named_users(services.config),
    )
    sign_ins = NotedSignIns(services.stores.provider_sign_ins, services.ring.seal, services.clock)
    hints = LoginHints(
        sessions=services.sessions, accounts=services.stores.federated, directory=services.users.directory
    )
    ways = ProviderWays.of(services.config, passkeys=services.authn.factors.passkeys is not None)
    trail = RedirectLoop(
        config=services.config,
        ring=services.ring,
        pages=services.pages,
        clock=services.clock,
        session_cookie=services.sessions.cookie_name,
    )
    views: dict[str, Mapping[str, View]] = {}
    for config in services.config.identity_providers:
        one = ProviderViews(
            config=config,
            provider=services.providers[config.name],
            journeys=LoginStates(services.stores.ledger),
            links=links,
            sign_ins=sign_ins,
            hints=hints,
            ways=ways,
            trail=trail,
            signin=services.authn.signin,
            sessions=services.sessions,
            routes=services.routes,
            limits=services.limits,
            audit=services.audit,
            pages=services.pages,
            prefix=services.prefix,
            pages_url=services.pages_url,
        )
        services.closing.append(one.provider.close)
        views[f"/federated/{config.name}"] = {"GET": one.leave}
        views[f"/federated/{config.name}/callback"] = {
            "GET": one.come_back,
            "POST": one.come_back_by_post,
        }
        if isinstance(config, OidcProvider) and isinstance(one.provider, OpenIdProvider):
            ending = OpenIdLogout(config=config, provider=one.provider, clock=services.clock)
            views |= provider_logout_pages(services, ending)
    return views


@dataclass(frozen=True, slots=True)
class ProviderViews:
    """The two addresses of one provider."""

    config: IdentityProvider
    provider: FederationProvider
    journeys: LoginStates
    links: AccountLinks
    sign_ins: NotedSignIns
    hints: LoginHints
    ways: ProviderWays
    trail: RedirectLoop
    signin: SignIn
    sessions: Sessions
    routes: Routes
    limits: RateLimits
    audit: Audit
    pages: Pages
    prefix: str
    pages_url: str

    async def leave(self, request: PortalRequest) -> web.StreamResponse:
        """Send the browser to the provider; what it must bring back is kept here."""
        await self.limits.spend(PER_IP, request.client.network)
        csrf = request.visit.csrf or self.sessions.new_csrf()
        destination = read_return(request.http.query.get("rd", ""), request.target, self.routes, self.prefix)
        attempt = await self.journeys.begin(
            self.config.name, self._redirect_uri(), _whole(destination), csrf, keep=chosen_by_link(request)
        )
        hints = ProviderHints(await self.hints.of(request, self.config), request.reader.lang)
        try:
            response = see_other(await self.provider.address(attempt, hints))
        except ProviderUnavailable as error:
            return self._failed(request, error, _whole(destination))
        if not request.visit.csrf:
            await self.sessions.attach(request.http, response, None, csrf=csrf)
        self.ways.go_on(request, response)
        return response

    async def come_back(self, request: PortalRequest) -> web.StreamResponse:
        """The provider's answer: checked, matched to a user, and a session whose second factor is still ours to ask."""
        await self.limits.spend(PER_IP, request.client.network)
        answer = dict(request.http.query)
        journey = await self.journeys.end(self.config.name, answer.get("state", ""))
        if journey is None or not journey.is_of(request.visit.csrf):
            return self._strayed(request, journey.rd if journey else "/")
        destination = read_return(journey.rd, request.target, self.routes, self.prefix)
        if round_in_circles := self.trail.diagnosis(request, destination):
            return round_in_circles
        try:
            account = await self.provider.account(journey.attempt, answer)
            groups = groups_from(self.config, account.groups)
            user = await self.links.user(self.config, account, request.client.ip)
        except (NotSignedIn, ProviderUnavailable) as error:
            return self._failed(request, error, journey.rd)
        principal = await self.signin.federated(
            replace(request.client, keep=journey.keep),
            user,
            request.visit.principal,
            mfa=account.mfa,
            groups=groups,
        )
        await self.sign_ins.note(principal, self.config.name, account)
        where = href(destination, request.target)
        if self.signin.decision(destination, principal).verdict is Verdict.STEP_UP:
            response = see_other(with_return(f"{self.prefix}/verify", where))
        else:
            response = see_other(where)
            self.trail.sent_on(request, destination, response)
        await self.sessions.attach(request.http, response, principal.session)
        return response

    async def come_back_by_post(self, request: PortalRequest) -> web.StreamResponse:
        """The same answer as a form (OAuth 2.0 Form Post Response Mode), which another site's page sends on purpose.

        Our cookie is SameSite=Lax, so it does not come along: the browser is sent on to the address that takes
        answers, and brings it there.
        """
        form = await posted_by_anyone(request)
        kept = {name: form[name] for name in ("code", "state", "iss", "error") if form.get(name)}
        return see_other(f"{self.prefix}/federated/{self.config.name}/callback?{urlencode(kept)}")

    def _strayed(self, request: PortalRequest, rd: str) -> web.Response:
        """Another tab may have signed in meanwhile: then this one need not, and nothing of the answer is used."""
        if request.visit.principal is not None:
            return see_other(href(read_return(rd, request.target, self.routes, self.prefix), request.target))
        return self._failed(request, NotSignedIn("unknown state, or of another browser", public=STRAYED), "/")

    def _redirect_uri(self) -> str:
        return f"{self.pages_url}/federated/{self.config.name}/callback"

    def _failed(self, request: PortalRequest, error: GatewayError, rd: str) -> web.Response:
        self.audit.record(
            "federated_failed", "", request.client.ip, provider=self.config.name, cause=error.detail[:300]
        )
        away = isinstance(error, ProviderUnavailable) and self.ways.hides_password
        destination = read_return(rd, request.target, self.routes, self.prefix)
        here = href(destination, request.target)
        actions = [(N_("Try again"), with_return(f"{self.prefix}/federated/{self.config.name}", here))]
        if self.ways.has_choice:
            actions.append((N_("Sign in another way"), self.ways.page(self.prefix, here)))
        return self.pages.error(
            error.status,
            reader=request.reader,
            message=AWAY if away else error.public,
            request_id=request.request_id,
            actions=actions,
        )


def _whole(destination: Target) -> str:
    """Return the address with its host: the browser comes back to the portal's, wherever it set out."""
    return f"{destination.url}#{destination.fragment}" if destination.fragment else destination.url
