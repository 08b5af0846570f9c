"""Who carries a route's traffic with `server.engine: envoy`: Envoy itself, or our workers behind it, and why. Pure.

Envoy carries only what it carries as our own proxy would; a worker has allowed each such request (`front_carried`).
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

from gateway.config.schema import Config, Route
from gateway.engines.plan import HTTP2_SCHEMES, address_of


@dataclass(frozen=True, slots=True)
class Carrier:
    """Who carries a route's traffic, and why. `name` is "envoy" or "workers"."""

    name: str
    why: str


BY_ENVOY = Carrier("envoy", "plain requests that a worker has allowed; all others go through the workers")


def carrier_of(config: Config, route: Route) -> Carrier:
    """Decide about one route of this configuration."""
    reason = _of_all(config) or _of_route(route)
    return Carrier("workers", reason) if reason else BY_ENVOY


def _of_all(config: Config) -> str:
    if not config.server.fast_path:
        return "server.fast_path is off, which finds the plain requests"
    if config.tracing.endpoint:
        return "tracing follows requests through the workers"
    if config.server.proxy_headers == "forwarded":
        return "server.proxy_headers is forwarded"
    return ""


def _of_route(route: Route) -> str:
    """Why Envoy would not do as we do; "" if it would."""
    if not route.upstreams:
        return "the gateway itself answers"
    if len(route.upstreams) > 1:
        return "several upstreams share the load as the workers see it"
    url = route.upstreams[0]
    reasons = (
        (route.strip_path and route.path != "/", "strip_path changes paths, redirects and cookies"),
        (url.startswith(HTTP2_SCHEMES), "the upstream speaks HTTP/2, which the workers ask through Envoy"),
        (address_of(url).base, "the upstream has a base path"),
        (url.startswith("unix:") and not route.preserve_host, "a unix socket has no host of its own"),
        (route.rewrite.cookie_path, "rewrite.cookie_path changes cookies"),
        (route.max_body, "max_body counts bodies whose length nobody has told"),
        (route.health, "the workers probe its health"),
        (route.headers.of_user or route.headers.basic, "the workers make headers of the user"),
        (route.client_cert, "client certificates"),
        (route.upstream_http == "lenient", "upstream_http is lenient"),
        ("response" in route.timeouts.model_fields_set, "timeouts.response: Envoy limits whole answers only"),
    )
    return next((reason for found, reason in reasons if found), "")


def carried(config: Config) -> dict[str, Route]:
    """Return the routes that Envoy carries, each under a name that changes with whatever it is carried by."""
    found = (route for route in config.routes if carrier_of(config, route).name == "envoy")
    return {carried_name(config, route): route for route in found}


def version_of(names: Iterable[str]) -> str:
    """Name a set of routes that are carried: Envoy says of which it knows when it asks."""
    return hashlib.sha256(" ".join(sorted(names)).encode()).hexdigest()[:16]


def carried_name(config: Config, route: Route) -> str:
    """Name a route so that two configurations never mean two things by one name.

    During a reload a worker and Envoy may have two of them.
    """
    told = f"{route.model_dump_json()} {config.session.cookie_name} {config.server.public_url}"
    return f"app-{hashlib.sha256(told.encode()).hexdigest()[:16]}"
