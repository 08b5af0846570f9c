"""Traefik: one dynamic configuration file (file provider) with ForwardAuth in front of every app.

The static part (entry points, `providers.file`) stands in its head as a comment, since Traefik keeps the two apart.
"""

from typing import Any

import yaml

from gateway.config.schema import Route
from gateway.engines.headers import TO_THE_GATEWAY, drops, forwarded, identity_names, removed_names, spellings
from gateway.engines.plan import (
    IDLE_TO_THE_GATEWAY,
    EnginePlan,
    HostPlan,
    addresses,
    path_change,
    path_pattern,
)
from gateway.forwardauth import route_key

_HEAD = """# Written by `auth-gateway export traefik`. Change config.yaml and export again.
# Static configuration:
#   entryPoints: {{public: {{address: "{listen}"}}}}
#   providers: {{file: {{filename: /etc/traefik/auth-gateway.yaml}}}}
"""


def export(plan: EnginePlan) -> dict[str, str]:
    """Return the configuration for Traefik, as file name -> text."""
    dynamic: dict[str, Any] = {"http": {"routers": {}, "middlewares": {}, "services": {}}}
    http = dynamic["http"]
    _shared(plan, http)
    for order, site in enumerate(plan.sites):
        _site(plan, site, order, http)
    if plan.secure and plan.certificate:
        dynamic["tls"] = {"certificates": [{"certFile": str(plan.certificate), "keyFile": str(plan.key)}]}
    text = yaml.safe_dump(dynamic, sort_keys=False, width=1000)
    return {"traefik.yaml": _HEAD.format(listen=plan.listen) + text}


_SET_BY_TRAEFIK = (
    "x-forwarded-for",
    "x-forwarded-proto",
    "x-forwarded-host",
    "x-forwarded-port",
    "x-forwarded-server",
)
"""Traefik believes a client's word about these only from `forwardedHeaders.trustedIPs`, which is empty by default."""
_UPGRADES = ("Upgrade", "HTTP2-Settings")
_HANDSHAKE = (
    "Method(`GET`)",
    "HeaderRegexp(`Upgrade`, `(?i)^websocket$`)",
    "HeaderRegexp(`Sec-Websocket-Key`, `^[A-Za-z0-9+/]+=*$`)",
)
"""Only WebSockets switch a connection: after any other switch (h2c) nobody would see what is asked on it."""


def _shared(plan: EnginePlan, http: dict[str, Any]) -> None:
    """Traefik removes a header that is set to nothing; ForwardAuth removes only the exact names that it copies."""
    gone = [
        spelling for name in TO_THE_GATEWAY if name not in _SET_BY_TRAEFIK for spelling in spellings(name)
    ]
    http["middlewares"]["strip"] = {"headers": {"customRequestHeaders": dict.fromkeys(gone, "")}}
    http["middlewares"]["no-upgrade"] = {"headers": {"customRequestHeaders": dict.fromkeys(_UPGRADES, "")}}
    websocket = {"Upgrade": "websocket", "HTTP2-Settings": ""}
    http["middlewares"]["websocket"] = {"headers": {"customRequestHeaders": websocket}}
    gateway = _service([f"http://{plan.gateway}"])
    gateway["loadBalancer"]["serversTransport"] = "gateway"
    http["services"]["gateway"] = gateway
    idle = {"idleConnTimeout": f"{round(IDLE_TO_THE_GATEWAY * 1000)}ms"}
    http["serversTransports"] = {"gateway": {"forwardingTimeouts": idle}}


def _site(plan: EnginePlan, site: HostPlan, order: int, http: dict[str, Any]) -> None:
    """Priorities follow our order: particular hosts first, then the order of their routes."""
    top = 100_000 - order * 1000
    host = _host_rule(site.host)
    inside = f"PathRegexp(`^{plan.prefix}(?:/|$)`)"
    if site.portal:
        inside = "PathPrefix(`/`)"
    elif ours := plan.own_paths(site):
        inside = f"({' || '.join((inside, *(f'Path(`{path}`)' for path in ours)))})"
    hidden = f"!PathRegexp(`^{plan.prefix}/forward(?:/|$)`)"
    http["routers"][f"portal-{order}"] = _router(
        plan, _all(host, inside, hidden), "gateway", ["strip", "no-upgrade"], top
    )
    for number, route in enumerate(site.routes, start=1):
        name = f"route-{plan.number(route)}"
        rule = _all(host, f"PathRegexp(`{path_pattern(route)}`)", f"!{inside}")
        steps = ["strip", f"{name}-strip", f"{name}-auth", *_steps(route, name, http)]
        http["middlewares"][f"{name}-strip"] = _strip(route)
        http["middlewares"][f"{name}-auth"] = _auth(plan, route)
        http["services"][name] = _service(_urls(route), pass_host=route.preserve_host, probe=_probe(route))
        below = top - 2 * number
        http["routers"][f"{name}-{order}"] = _router(plan, rule, name, [*steps, "no-upgrade"], below - 1)
        if route.switches_to("websocket"):
            handshake = _all(rule, *_HANDSHAKE)
            http["routers"][f"{name}-{order}-websocket"] = _router(
                plan, handshake, name, [*steps, "websocket"], below
            )


def _strip(route: Route) -> dict[str, Any]:
    """Before the verdict: what ForwardAuth does not set must not be the client's."""
    told = {*map(str.lower, forwarded(route)), *_SET_BY_TRAEFIK} - {"x-request-id"}  # Traefik makes none
    gone = [spelling for name in removed_names(route) if name not in told for spelling in spellings(name)]
    return {"headers": {"customRequestHeaders": dict.fromkeys(gone, "")}}


def _auth(plan: EnginePlan, route: Route) -> dict[str, Any]:
    return {
        "forwardAuth": {
            "address": f"http://{plan.gateway}{plan.prefix}/forward?route={route_key(route)}",
            "authResponseHeaders": list(identity_names(route).values()),
        }
    }


def _steps(route: Route, name: str, http: dict[str, Any]) -> list[str]:
    """What happens between the verdict and the app."""
    steps: dict[str, dict[str, Any]] = {}
    gone, base = path_change(route) or ("", "")
    if gone:
        steps[f"{name}-path"] = {"stripPrefix": {"prefixes": [gone]}}
    if base:
        steps[f"{name}-base"] = {"addPrefix": {"prefix": base}}
    dropped = {name: "" for name in (*_SET_BY_TRAEFIK, "cookie") if drops(route, name)}
    if headers := {**dropped, **route.headers.fixed}:
        steps[f"{name}-headers"] = {"headers": {"customRequestHeaders": headers}}
    if route.max_body:
        steps[f"{name}-body"] = {"buffering": {"maxRequestBodyBytes": route.max_body}}
    http["middlewares"].update(steps)
    return list(steps)


def _router(
    plan: EnginePlan, rule: str, service: str, middlewares: list[str], priority: int
) -> dict[str, Any]:
    router: dict[str, Any] = {
        "entryPoints": ["public"],
        "rule": rule,
        "priority": priority,
        "middlewares": middlewares,
        "service": service,
    }
    return {**router, "tls": {}} if plan.secure else router


def _service(
    urls: list[str], *, pass_host: bool = True, probe: dict[str, str] | None = None
) -> dict[str, Any]:
    found: dict[str, Any] = {"passHostHeader": pass_host, "servers": [{"url": url} for url in urls]}
    if probe is not None:
        found["healthCheck"] = probe
    return {"loadBalancer": found}


def _probe(route: Route) -> dict[str, str] | None:
    """Traefik takes 2xx and 3xx for healthy, whatever `healthy_status` says, and one answer for an end of it."""
    health = route.health
    if health is None:
        return None
    path = addresses(route)[0].base + health.path
    return {"path": path, "interval": f"{health.interval:g}s", "timeout": f"{health.timeout:g}s"}


def _host_rule(host: str) -> str:
    if host == "*":
        return ""
    if host.startswith("*."):
        return f"HostRegexp(`^.+{host[1:].replace('.', chr(92) + '.')}$`)"
    return f"Host(`{host}`)"


def _all(*rules: str) -> str:
    return " && ".join(filter(None, rules))


def _urls(route: Route) -> list[str]:
    """Without the base path, which a step of its own adds."""
    plain = "h2c" if route.upstreams[0].startswith("h2c:") else "http"  # by TLS Traefik offers HTTP/2 anyway
    return [
        address.authority.replace("unix:", "unix://")
        if address.authority.startswith("unix:")
        else f"{'https' if address.tls else plain}://{address.authority}"
        for address in addresses(route)
    ]
