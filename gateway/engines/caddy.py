"""Caddy: forward_auth in front of every app. `route` blocks keep the order of steps as it is written here."""

from collections.abc import Iterator

from gateway.config.schema import Route
from gateway.engines.plan import (
    FORWARDED,
    EnginePlan,
    HostPlan,
    addresses,
    cookie_pattern,
    identity_names,
    path_pattern,
    protected_names,
    spellings,
)
from gateway.forwardauth import route_key


def export(plan: EnginePlan) -> dict[str, str]:
    return {"Caddyfile": "\n".join(_lines(plan)) + "\n"}


def _lines(plan: EnginePlan) -> Iterator[str]:
    own_certificate = plan.secure and plan.certificate is None
    yield "# Written by `auth-gateway export caddy`. Change config.yaml and export again."
    yield "{\n\tadmin off" + ("" if own_certificate else "\n\tauto_https off") + "\n}"
    for site in plan.sites:
        yield from _site(plan, site)


def _site(plan: EnginePlan, site: HostPlan) -> Iterator[str]:
    host, _, port = plan.listen.rpartition(":")
    scheme = "https" if plan.secure else "http"
    name = "" if site.host == "*" else site.host
    yield f"\n{scheme}://{name}:{port} {{"
    if host not in ("0.0.0.0", "[::]"):  # noqa: S104 - compared, not bound
        yield f"\tbind {host}"
    if plan.secure and plan.certificate:
        yield f"\ttls {plan.certificate} {plan.key}"
    yield "\troute {"
    # Matching by expression: Caddy's own path matcher ignores case.
    yield f"\t\t@forward path_regexp ^{plan.prefix}/forward(/|$)\n\t\trespond @forward 404"
    for header in (*protected_names(plan.config), *FORWARDED):
        for spelling in spellings(header):
            yield f"\t\trequest_header -{spelling}"
    yield _ONLY_WEBSOCKETS
    yield f"\t\t@portal path_regexp ^{plan.prefix}(/|$)\n\t\troute @portal {{"
    yield f"\t\t\treverse_proxy {_dial(plan.gateway)}\n\t\t}}"
    for number, route in enumerate(site.routes):
        yield f"\t\t@route{number} path_regexp {path_pattern(route)}"
        yield f"\t\troute @route{number} {{"
        yield from _route(plan, route)
        yield "\t\t}"
    yield "\t\trespond 404\n\t}\n}"


_ONLY_WEBSOCKETS = """\
\t\t# Only WebSockets switch a connection: after any other switch (h2c) nobody would see what is asked on it.
\t\t@not_websocket not {
\t\t\tmethod GET
\t\t\theader_regexp upgrade Upgrade (?i)^websocket$
\t\t\theader_regexp key Sec-WebSocket-Key ^[A-Za-z0-9+/]+=*$
\t\t}
\t\trequest_header @not_websocket -Upgrade
\t\t@websocket header_regexp Upgrade .
\t\trequest_header @websocket Upgrade websocket
\t\trequest_header -HTTP2-Settings"""
"""A second Upgrade line would be another one's: Caddy looks at the first, the matcher at all. Hence the set."""


def _route(plan: EnginePlan, route: Route) -> Iterator[str]:
    yield f"\t\t\tforward_auth {_dial(plan.gateway)} {{"
    yield f"\t\t\t\turi {plan.prefix}/forward?route={route_key(route)}"
    yield f"\t\t\t\tcopy_headers {' '.join(identity_names(route).values())}"
    yield "\t\t\t}"
    if route.strip_path and route.path != "/":
        yield f"\t\t\turi strip_prefix {route.path.rstrip('/')}"
    if route.max_body:
        yield f"\t\t\trequest_body {{\n\t\t\t\tmax_size {route.max_body}\n\t\t\t}}"
    if not route.websocket:
        yield "\t\t\trequest_header -Upgrade"
    yield f"\t\t\treverse_proxy {' '.join(map(_dial, _upstreams(route)))} {{"
    if not route.preserve_host:
        yield "\t\t\t\theader_up Host {upstream_hostport}"
    name = cookie_pattern(plan.config)
    yield f'\t\t\t\theader_up Cookie "(^|;\\s*){name}=[^;]*" "$1"'
    yield f'\t\t\t\theader_down Set-Cookie "(?i)^\\s*{name}\\s*=.*$" "auth_gateway_dropped=; Max-Age=0"'
    for header, value in route.headers.add.items():
        yield f'\t\t\t\theader_up {header} "{_quoted(value)}"'
    if addresses(route)[0].tls:
        yield (
            "\t\t\t\ttransport http {\n\t\t\t\t\ttls"
            + ("" if route.tls.verify else "_insecure_skip_verify")
            + "\n\t\t\t\t}"
        )
    yield "\t\t\t}"


def _upstreams(route: Route) -> list[str]:
    return [address.authority for address in addresses(route)]


def _dial(authority: str) -> str:
    return f"unix/{authority.removeprefix('unix:')}" if authority.startswith("unix:") else authority


def _quoted(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("{", "\\{")
