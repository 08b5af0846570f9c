"""Builds the provider: its views, its background work, and what the sign-in pages ask it."""

from collections.abc import Coroutine
from dataclasses import dataclass

from aiohttp import web

from gateway.config.sections.oidc import metadata_paths
from gateway.errors import RequestRefused
from gateway.i18n.text import N_
from gateway.oidc.authorization_response import Answers
from gateway.oidc.authorize_views import AUTHORIZE, AuthorizeViews
from gateway.oidc.backchannel_logout import Logouts
from gateway.oidc.client_authentication import Authentication
from gateway.oidc.core import Core, build_core, scopes_of_routes
from gateway.oidc.device_flow import DeviceFlow
from gateway.oidc.device_views import DEVICE, DeviceViews
from gateway.oidc.discovery import (
    DEVICE_START,
    INTROSPECT,
    JWKS,
    REVOKE,
    TOKEN,
    USERINFO,
    metadata,
)
from gateway.oidc.endpoint import Machine
from gateway.oidc.key_rotation import Rotation
from gateway.oidc.protected_resources import AccessTokenReader, ProtectedResources
from gateway.oidc.pushed_requests import PAR, PushedRequestView
from gateway.oidc.registration_views import REGISTER, ClientRegistrationView
from gateway.oidc.rp_initiated_logout import END_SESSION, EndSessionViews
from gateway.oidc.signing_keys import longest_life
from gateway.oidc.token_introspection import TokenFacts
from gateway.oidc.token_views import TokenEndpointViews
from gateway.oidc.user_pages import DIAGNOSTICS, GRANTS, OwnPages
from gateway.portal.request import PortalRequest, View, Views
from gateway.portal.services import Services
from gateway.portal.signin.provider_sign_out import ProviderSignOut
from gateway.portal.signin.provider_ways import ProviderWays
from gateway.stores.protocols.oidc import Consents, Grants, Logins, Subjects

CONSENT = "/oidc/consent"


@dataclass(frozen=True, slots=True)
class OpenIDProvider:
    """The provider. `views` are by path: below the prefix, or as it stands for the well-known ones."""

    views: Views
    logouts: Logouts | None = None
    rotation: Rotation | None = None
    resources: ProtectedResources | None = None
    """Routes that take access tokens, if there are some; `reader` reads them."""
    reader: AccessTokenReader | None = None

    def beside(self) -> list[Coroutine[object, object, None]]:
        return [one.run() for one in (self.logouts, self.rotation) if one is not None]


def build_provider(
    services: Services, grants: Grants, consents: Consents, logins: Logins, subjects: Subjects
) -> OpenIDProvider:
    """Build the provider; it has no views where no client is configured. Raises ConfigError."""
    settings = services.config.oidc
    if not settings.enabled:
        return OpenIDProvider({})
    core = build_core(services, grants, consents, logins, subjects)
    logouts = Logouts(
        apps=core.apps,
        tokens=core.tokens,
        names=core.names,
        logins=logins,
        audit=services.audit,
        clock=services.clock,
    )
    services.sessions.on_change.append(logouts.hear)
    authorize = _authorize(services, core)
    pages = _pages(services, core, authorize)
    machines, facts = _machines(services, core, authorize)
    if core.unlisted is not None and settings.self_registration.register_clients:
        register = ClientRegistrationView(core.unlisted, services.limits, services.audit)
        machines = {**machines, REGISTER: Machine(core.apps).views(register.register, "POST")}
    reader = AccessTokenReader(
        tokens=core.tokens, facts=facts, limits=services.limits, audit=services.audit, clock=services.clock
    )
    rotation = Rotation(
        keys=core.keys,
        audit=services.audit,
        age=settings.rotate_keys,
        longest=longest_life(services.config),
    )
    return OpenIDProvider(
        views=_at_home(services, {**pages, **machines}),
        logouts=logouts,
        rotation=rotation if settings.rotate_keys else None,
        resources=core.resources if core.resources.any else None,
        reader=reader,
    )


def _authorize(services: Services, core: Core) -> AuthorizeViews:
    return AuthorizeViews(
        apps=core.apps,
        tokens=core.tokens,
        rules=core.rules,
        issuing=core.issuing,
        names=core.names,
        sectors=core.sectors,
        asking=core.asking,
        answers=Answers(services.pages, services.public_url),
        pushed=core.pushed,
        pages=services.pages,
        audit=services.audit,
        ring=services.ring,
        clock=services.clock,
        scopes=core.texts,
        prefix=services.prefix,
    )


def _pages(services: Services, core: Core, authorize: AuthorizeViews) -> Views:
    end = EndSessionViews(
        apps=core.apps,
        tokens=core.tokens,
        names=core.names,
        signin=services.authn.signin,
        sessions=services.sessions,
        ways=ProviderWays.of(services.config, passkeys=services.authn.factors.passkeys is not None),
        elsewhere=ProviderSignOut.of(services),
        pages=services.pages,
        prefix=services.prefix,
    )
    own = OwnPages(
        apps=core.apps,
        grants=core.grants,
        consents=core.consents,
        logins=core.logins,
        names=core.names,
        rules=core.rules,
        pages=services.pages,
        audit=services.audit,
        clock=services.clock,
        scopes=core.texts,
        prefix=services.prefix,
    )
    services.authn.signin.judges.extend((authorize.decision, own.decision))
    return {
        AUTHORIZE: {"GET": authorize.authorize, "POST": authorize.authorize},
        CONSENT: {"POST": authorize.consent},
        END_SESSION: {"GET": end.page, "POST": end.submit},
        GRANTS: {"GET": own.grants, "POST": own.revoke},
        DIAGNOSTICS: {"GET": own.diagnostics},
    }


def _machines(services: Services, core: Core, authorize: AuthorizeViews) -> tuple[Views, TokenFacts]:
    base = services.pages_url
    audiences = frozenset(
        (services.public_url, *(base + path for path in (TOKEN, INTROSPECT, REVOKE, DEVICE_START, PAR)))
    )
    authentication = Authentication(
        apps=core.apps,
        limits=services.limits,
        ledger=services.stores.ledger,
        audit=services.audit,
        clock=services.clock,
        audiences=audiences,
    )
    devices = DeviceFlow(services.stores.ledger, services.limits, services.clock)
    device = DeviceViews(
        apps=core.apps,
        authentication=authentication,
        devices=devices,
        issuing=core.issuing,
        asking=core.asking,
        pages=services.pages,
        audit=services.audit,
        clock=services.clock,
        scopes=core.texts,
        prefix=services.prefix,
        pages_url=base,
    )
    services.authn.signin.judges.append(device.decision)
    token = TokenEndpointViews(
        authentication=authentication,
        issuing=core.issuing,
        devices=devices,
        tokens=core.tokens,
        audit=services.audit,
    )
    facts = TokenFacts(
        authentication=authentication,
        apps=core.apps,
        tokens=core.tokens,
        issuing=core.issuing,
        living=core.living,
        rules=core.rules,
        grants=core.grants,
        ledger=services.stores.ledger,
        audit=services.audit,
        clock=services.clock,
    )
    machine = Machine(core.apps)
    described = metadata(
        services.public_url, base, services.config.oidc, core.rules.all, scopes_of_routes(services)
    )
    push = PushedRequestView(authentication, core.pushed, authorize.judge)

    async def discovery(request: PortalRequest) -> web.StreamResponse:
        return web.json_response(described, headers={"Cache-Control": "public, max-age=300"})

    async def jwks(request: PortalRequest) -> web.StreamResponse:
        return web.json_response(core.keys.published(), headers={"Cache-Control": "public, max-age=300"})

    views: Views = {
        TOKEN: machine.views(token.token, "POST"),
        PAR: machine.views(push.push, "POST"),
        USERINFO: machine.views(facts.userinfo, "GET", "POST"),
        INTROSPECT: machine.views(facts.introspect, "POST"),
        REVOKE: machine.views(facts.revoke, "POST"),
        DEVICE_START: machine.views(device.start, "POST"),
        DEVICE: {"GET": device.page, "POST": device.submit},
        JWKS: machine.views(jwks, "GET"),
        **{path: machine.views(discovery, "GET") for path in metadata_paths(services.config.server.base)},
    }
    return views, facts


def _at_home(services: Services, views: Views) -> Views:
    """On other hosts than the portal's there is no provider: the issuer has one name."""

    def guarded(view: View) -> View:
        async def answer(request: PortalRequest) -> web.StreamResponse:
            if request.target.host != services.home:
                raise RequestRefused(
                    "the provider is on another host", status=404, public=N_("There is nothing here.")
                )
            return await view(request)

        return answer

    return {path: {name: guarded(view) for name, view in methods.items()} for path, methods in views.items()}
