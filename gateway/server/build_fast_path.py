"""Builds the fast path of one worker from what everything is made of."""

from gateway.authn.risk.geo import country_finder
from gateway.forwardauth import ForwardAuth
from gateway.observability.access_log import AccessLog
from gateway.portal.dispatch import Portal
from gateway.server.composition import Composed
from gateway.server.fastpath import FastPath


def build_fast_path(composed: Composed, access: AccessLog, forward: ForwardAuth, portal: Portal) -> FastPath:
    """Make it; `forward` and `portal` say which addresses are not an app's."""
    services, server = composed.services, composed.services.config.server
    return FastPath(
        routes=services.routes,
        sessions=services.sessions,
        assertions=composed.assertions,
        proxy=composed.proxy,
        pages=services.pages,
        access=access,
        forward=forward,
        credentials=composed.credentials,
        clock=services.clock,
        below=(server.prefix, *forward.below),
        exact=portal.outside | forward.exact,
        trusted=server.trusted_proxies,
        header_count=server.limits.header_count,
        traced=composed.tracing is not None,
        country_of=country_finder(services.config, services.authn.geo),
        rfc7239=server.proxy_headers == "forwarded",
    )
