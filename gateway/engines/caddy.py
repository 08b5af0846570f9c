"""Caddy: forward_auth in front of every app. `route` blocks keep the order of steps as it is written here."""

from collections.abc import Iterator

from gateway.config.schema import Route
from gateway.config.sections.route import UpstreamTls
from gateway.engines.headers import (
    OTHER_SIGNS,
    TO_THE_GATEWAY,
    drops,
    forwarded,
    identity_names,
    removed_families,
    removed_names,
)
from gateway.engines.plan import (
    IDLE_TO_THE_GATEWAY,
    EnginePlan,
    HostPlan,
    addresses,
    cookie_pattern,
    path_change,
    path_pattern,
    tls_of,
)
from gateway.forwardauth import CONSUMED, CONSUMES, route_key
from gateway.proxy.client_headers import FORWARDED_FAMILY


def export(plan: EnginePlan) -> dict[str, str]:
    return {"Caddyfile": "\n".join(_lines(plan)) + "\n"}


def _lines(plan: EnginePlan) -> Iterator[str]:
    own_certificate = plan.secure and plan.certificate is None
    yield "# Written by `auth-gateway export caddy`. Change config.yaml and export again."
    if not plan.included:
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
    yield from _what_was_asked(plan)
    yield _ONLY_WEBSOCKETS
    yield f"\t\t@portal path_regexp ^{plan.prefix}(/|$)\n\t\troute @portal {{"
    yield f"\t\t\treverse_proxy {_portal(plan)}\n\t\t}}"
    if ours := plan.own_paths(site):
        yield f"\t\t@own path {' '.join(ours)}\n\t\treverse_proxy @own {_portal(plan)}"
    if site.portal:
        yield f"\t\treverse_proxy {_portal(plan)}"
    for number, route in enumerate(site.routes):
        yield f"\t\t@route{number} path_regexp {path_pattern(route)}"
        yield f"\t\troute @route{number} {{"
        yield from _route(plan, route)
        yield "\t\t}"
    yield "\t\trespond 404\n\t}\n}"


_IDLE = f"keepalive {round(IDLE_TO_THE_GATEWAY * 1000)}ms"


def _portal(plan: EnginePlan) -> str:
    return f"{_dial(plan.gateway)} {{\n\t\t\ttransport http {{\n\t\t\t\t{_IDLE}\n\t\t\t}}\n\t\t}}"


_FORWARDED = ("X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host", "X-Forwarded-Port", "X-Request-Id")
_OURS = {name.lower() for name in _FORWARDED}


def _what_was_asked(plan: EnginePlan) -> Iterator[str]:
    """What the gateway and the apps could take for Caddy's word is Caddy's. Caddy sets three of them itself."""
    yield "\t\t# Names with another sign than a dash: CGI, WSGI and PHP apps would read them as ours."
    for sign in OTHER_SIGNS:
        yield f"\t\trequest_header -*{sign}*"
    for name in TO_THE_GATEWAY:
        if name.startswith(FORWARDED_FAMILY):
            continue
        yield f"\t\trequest_header -{name}"
    yield "\t\trequest_header -X-Forwarded-*"
    yield f"""\
\t\trequest_header X-Forwarded-Port {443 if plan.secure else 80}
\t\t@port header_regexp port Host :([0-9]+)$
\t\trequest_header @port X-Forwarded-Port {{http.regexp.port.1}}
\t\trequest_header X-Request-Id {{http.request.uuid}}"""


def _ask(plan: EnginePlan, route: Route) -> Iterator[str]:
    """`forward_auth`, spelled out: its `copy_headers` makes up a value where there is none (Caddy 2.6)."""
    yield f"""\
\t\t\treverse_proxy {_dial(plan.gateway)} {{
\t\t\t\ttransport http {{
\t\t\t\t\t{_IDLE}
\t\t\t\t}}
\t\t\t\tmethod GET
\t\t\t\trewrite {plan.prefix}/forward?route={route_key(route)}
\t\t\t\theader_up X-Forwarded-Method {{method}}
\t\t\t\theader_up X-Forwarded-Uri {{uri}}
\t\t\t\theader_up {CONSUMES} authorization
\t\t\t\theader_up -Upgrade
\t\t\t\t@yes status 2xx
\t\t\t\thandle_response @yes {{"""
    yield f"\t\t\t\t\t@consumed vars {{http.reverse_proxy.header.{CONSUMED}}} authorization"
    yield "\t\t\t\t\trequest_header @consumed -Authorization"
    for number, name in enumerate(identity_names(route).values()):
        said = f"{{http.reverse_proxy.header.{_canonical(name)}}}"
        yield f'\t\t\t\t\t@told{number} not vars {said} ""'
        yield f"\t\t\t\t\trequest_header @told{number} {name} {said}"
    yield "\t\t\t\t}\n\t\t\t}"


def _canonical(name: str) -> str:
    """As Go writes it, which is how its placeholders are named."""
    return "-".join(part.capitalize() for part in name.split("-"))


_ONLY_WEBSOCKETS = """\
\t\t# Only WebSockets switch a connection: after any other switch (h2c) nobody would see what is asked on it.
\t\t@not_websocket not {
\t\t\tmethod GET
\t\t\theader_regexp upgrade Upgrade (?i)^websocket$
\t\t\theader_regexp key Sec-WebSocket-Key ^[A-Za-z0-9+/]+=*$
\t\t}
\t\trequest_header @not_websocket -Upgrade
\t\trequest_header @not_websocket -Sec-WebSocket-Key
\t\t@websocket header_regexp Upgrade .
\t\trequest_header @websocket Upgrade websocket"""
"""A second Upgrade line would be another one's: Caddy looks at the first, the matcher at all. Hence the set."""


def _route(plan: EnginePlan, route: Route) -> Iterator[str]:
    for name in removed_names(route):
        if name not in _OURS:
            yield f"\t\t\trequest_header -{name}"
    for family in removed_families(route):
        if not any(name.startswith(family) for name in _OURS):
            yield f"\t\t\trequest_header -{family}*"
    yield from _through_the_gateway(plan)
    yield from _ask(plan, route)
    gone, base = path_change(route) or ("", "")
    if gone:
        yield f"\t\t\turi strip_prefix {gone}"
    if base:
        yield f"\t\t\trewrite * {base}{{uri}}"
    if route.max_body:
        yield f"\t\t\trequest_body {{\n\t\t\t\tmax_size {route.max_body}\n\t\t\t}}"
    if not route.switches_to("websocket"):
        yield "\t\t\trequest_header -Upgrade"
    told = list(forwarded(route))
    if "X-Forwarded-Prefix" in told:
        yield f"\t\t\trequest_header X-Forwarded-Prefix {route.path.rstrip('/')}"
    name = cookie_pattern(plan.config)
    yield f'\t\t\trequest_header Cookie "(?i)(^|;)\\s*{name}\\s*=[^;]*" ""'
    yield '\t\t\trequest_header Cookie "^[;\\s]+" ""'
    yield "\t\t\t@no_cookie header_regexp Cookie ^$\n\t\t\trequest_header @no_cookie -Cookie"
    for method in ("GET", "HEAD"):
        yield f"\t\t\t@{method.lower()} {{\n\t\t\t\tmethod {method}\n\t\t\t\tnot header Content-Length *\n\t\t\t}}"
        yield f"\t\t\troute @{method.lower()} {{\n\t\t\t\tmethod BODILESS-{method}"
        yield from _to_the_app(route, told, name, f"\t\t\t\tmethod {method}")
        yield "\t\t\t}"
    yield from _to_the_app(route, told, name)


def _through_the_gateway(plan: EnginePlan) -> Iterator[str]:
    """A body in chunks may end with fields (RFC 9110 §6.5) that Caddy passes on unseen, and that some apps read as
    headers. The gateway's own proxy drops them. Caddy tells of chunks by nothing but the length that isn't there.
    """
    yield f"""\
\t\t\t@no_length {{
\t\t\t\tnot header Content-Length *
\t\t\t\tnot method GET HEAD
\t\t\t}}
\t\t\treverse_proxy @no_length {_dial(plan.gateway)} {{
\t\t\t\theader_up -Via
\t\t\t\ttransport http {{
\t\t\t\t\tcompression off
\t\t\t\t\t{_IDLE}
\t\t\t\t}}
\t\t\t}}"""


def _to_the_app(route: Route, told: list[str], name: str, first: str = "") -> Iterator[str]:
    """`told` are the forwarded headers that the app gets, `name` is a pattern for our cookies, `first` one more line.

    A `method` there that changes the request's makes Caddy leave the body out, and with it what comes behind it.
    """
    yield f"\t\t\treverse_proxy {' '.join(map(_dial, _upstreams(route)))} {{"
    if first:
        yield first
    yield from _probes(route)
    if not route.preserve_host:
        yield "\t\t\t\theader_up Host {upstream_hostport}"
    yield f'\t\t\t\theader_down Set-Cookie "(?i)^\\s*{name}\\s*=.*$" "auth_gateway_dropped=; Max-Age=0"'
    yield "\t\t\t\theader_up -Via"  # with it, many apps send nothing compressed
    for name in sorted({*_FORWARDED} - set(told)):
        yield f"\t\t\t\theader_up -{name}"
    if drops(route, "Cookie"):
        yield "\t\t\t\theader_up -Cookie"
    for header, value in route.headers.fixed.items():
        yield f'\t\t\t\theader_up {header} "{_quoted(value)}"'
    yield from _transport(route)
    yield "\t\t\t}"


def _probes(route: Route) -> Iterator[str]:
    """Caddy knows one status or one class of them; of other ranges it is told to look at failing requests alone."""
    health = route.health
    if health is None:
        return
    lowest, highest = health.healthy_status
    one = f"{lowest}" if lowest == highest else ""
    whole = f"{lowest // 100}xx" if (lowest % 100, highest - lowest) == (0, 99) else ""
    if status := one or whole:
        yield f"\t\t\t\thealth_uri {addresses(route)[0].base}{health.path}"
        yield f"\t\t\t\thealth_interval {round(health.interval * 1000)}ms"
        yield f"\t\t\t\thealth_timeout {round(health.timeout * 1000)}ms"
        yield f"\t\t\t\thealth_status {status}"
    yield f"\t\t\t\tmax_fails {health.fall}\n\t\t\t\tfail_duration {round(health.interval * 1000)}ms"
    yield "\t\t\t\tlb_try_duration 5s"


def _transport(route: Route) -> Iterator[str]:
    tls = tls_of(route)
    yield "\t\t\t\ttransport http {\n\t\t\t\t\tcompression off"
    if addresses(route)[0].tls:
        yield "\t\t\t\t\ttls"
        yield from _verified(tls)
    yield "\t\t\t\t}"


def _verified(tls: UpstreamTls) -> Iterator[str]:
    if not tls.verify:
        yield "\t\t\t\t\ttls_insecure_skip_verify"
    if tls.ca_file:
        yield f"\t\t\t\t\ttls_trusted_ca_certs {tls.ca_file}"
    if tls.server_name:
        yield f"\t\t\t\t\ttls_server_name {tls.server_name}"
    if tls.cert_file and tls.key_file:
        yield f"\t\t\t\t\ttls_client_auth {tls.cert_file} {tls.key_file}"


def _upstreams(route: Route) -> list[str]:
    return [address.authority for address in addresses(route)]


def _dial(authority: str) -> str:
    return f"unix/{authority.removeprefix('unix:')}" if authority.startswith("unix:") else authority


def _quoted(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("{", "\\{")
