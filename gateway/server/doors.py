"""Makes the handlers of a worker: who answers which request, where all is served and where http only redirects."""

from collections.abc import Sequence
from functools import partial
from urllib.parse import urlsplit

from aiohttp import web

from gateway.authn.access_tokens import WELL_KNOWN as RESOURCE_METADATA
from gateway.authn.risk.geo import country_finder
from gateway.forwardauth import ForwardAuth
from gateway.forwardauth.engine_pass import Passes
from gateway.model import Target
from gateway.observability.access_log import AccessLog, Trace
from gateway.oidc.protected_resources import ProtectedResources
from gateway.portal.dispatch import Portal
from gateway.portal.request import Reader
from gateway.server.composition import Composed
from gateway.server.connection_server import ConnectionServer
from gateway.server.handler import Door, Handler
from gateway.server.plain_listener import PlainRedirects
from gateway.server.proxied import GuardedProxy
from gateway.server.tls.acme.challenges import WELL_KNOWN


def front(
    composed: Composed,
    access: AccessLog,
    forward: ForwardAuth,
    portal: Portal,
    resources: ProtectedResources | None = None,
) -> Handler:
    """Make the handler of where everything is served. `resources` are routes that take access tokens."""
    services = composed.services
    passes = Passes(
        config=services.config,
        routes=services.routes,
        sessions=services.sessions,
        assertions=composed.assertions,
    )
    gate = GuardedProxy(
        routes=services.routes,
        sessions=services.sessions,
        assertions=composed.assertions,
        proxy=composed.proxy,
        pages=services.pages,
        credentials=composed.credentials,
        kept=services.kept,
        prefix=services.prefix,
        public_url=services.config.server.public_url,
        offered=services.config.access_requests,
    )
    doors = (
        *_proofs(composed, gate),
        Door(
            name="forward-auth",
            exact=forward.exact,
            below=forward.below,
            takes=forward.takes,
            answer=forward.handle,
        ),
        Door(name="engine pass", exact=frozenset({passes.path}), below=(), answer=passes.handle),
        Door(name="portal", exact=portal.exact, below=portal.below, takes=portal.takes, answer=portal.handle),
        *_resources(resources),
        # Apps come last: no route can be put before an address of ours.
        Door(name="apps", exact=frozenset(), below=("",), answer=gate.handle),
    )
    return _handler(composed, access, doors)


def _resources(resources: ProtectedResources | None) -> tuple[Door, ...]:
    if resources is None:
        return ()
    return (
        Door(
            name="protected resource",
            exact=frozenset(),
            below=(RESOURCE_METADATA,),
            takes=resources.takes,
            answer=resources.answer,
        ),
    )


def plain_server(composed: Composed, access: AccessLog) -> ConnectionServer:
    """Make the server of addresses that only redirect to https."""
    services = composed.services
    server = services.config.server
    redirects = PlainRedirects(
        services.public_url, prefix=services.prefix, serves_host=services.routes.serves_host
    )
    return ConnectionServer(
        _handler(composed, access, redirects.doors(_proofs(composed))).handle,
        server.limits,
        page=partial(services.pages.error, reader=Reader(services.config.branding.language)),
        trusted=server.trusted_proxies,
    )


def _proofs(composed: Composed, apps: GuardedProxy | None = None) -> tuple[Door, ...]:
    """Return who shows an ACME authority that names are ours. What it does not know is for `apps` there, which may get
    certificates of their own.
    """
    found = composed.certificates.challenges if composed.certificates is not None else None
    if found is None:
        return ()
    challenges = found

    async def answer(
        request: web.BaseRequest, target: Target, trace: Trace, *, trusted_peer: bool
    ) -> web.StreamResponse:
        if apps is not None and await challenges.find(target) is None:
            return await apps.handle(request, target, trace, trusted_peer=trusted_peer)
        return await challenges.answer(request, target, trace, trusted_peer=trusted_peer)

    return (Door(name="acme", exact=frozenset(), below=(WELL_KNOWN,), answer=answer),)


def _handler(composed: Composed, access: AccessLog, doors: Sequence[Door]) -> Handler:
    services = composed.services
    server = services.config.server
    return Handler(
        doors,
        pages=services.pages,
        access=access,
        prefix=server.prefix,
        trusted=server.trusted_proxies,
        host=urlsplit(server.public_url).netloc,
        tracing=composed.tracing,
        country_of=country_finder(services.config, services.authn.geo),
        front=services.routes.front,
        rfc7239=server.proxy_headers == "forwarded",
    )
