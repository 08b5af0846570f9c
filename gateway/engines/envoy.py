"""Envoy: ext_authz over HTTP; the original path follows ours, so there is one dialect header less to forge.

Paths that Envoy and the gateway could read in two ways are rejected by Envoy itself.
"""

from typing import Any

import yaml

from gateway.config.addresses import is_ip
from gateway.config.schema import Route
from gateway.config.sections.route import HealthCheck
from gateway.engines.envoy_lua import all_but, cookie_code, strip_code
from gateway.engines.headers import (
    drops,
    forwarded,
    identity_names,
    removed_families,
    removed_names,
)
from gateway.engines.plan import (
    HTTP2_SCHEMES,
    IDLE_TO_THE_GATEWAY,
    EnginePlan,
    HostPlan,
    address_of,
    addresses,
    path_change,
    path_pattern,
    tls_of,
)
from gateway.forwardauth import CONSUMED, CONSUMES

_TYPE = "type.googleapis.com/envoy.extensions"
_HTTP = f"{_TYPE}.filters.http"
_HTTP_OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
_HEAD = "# Written by `auth-gateway export envoy`. Change config.yaml and export again.\n"
_ASK_WITH = (
    "cookie",
    "authorization",
    "accept",
    "user-agent",
    "origin",
    "sec-websocket-key",
    "sec-fetch-mode",
)
_TELL_CLIENT = ("location", "www-authenticate", "cache-control", "content-type")
_ASK_FROM = (
    *("x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "x-forwarded-port", "x-request-id"),
    *("destination", "x-requested-with", "sec-fetch-dest", "sec-fetch-site", "access-control-request-method"),
)


def export(plan: EnginePlan) -> dict[str, str]:
    """Return the configuration for Envoy, as file name -> text."""
    names = [f"app_{plan.number(route)}" for route in plan.routes]
    apps = [_app(name, route) for name, route in zip(names, plan.routes, strict=True)]
    clusters = [_gateway(plan), *apps]
    document = {"static_resources": {"listeners": [_listener(plan)], "clusters": clusters}}
    return {"envoy.yaml": _HEAD + yaml.safe_dump(document, sort_keys=False, width=1000)}


def _listener(plan: EnginePlan) -> dict[str, Any]:
    chain: dict[str, Any] = {
        "filters": [
            {"name": "envoy.filters.network.http_connection_manager", "typed_config": _http_connections(plan)}
        ]
    }
    if plan.secure:
        chain["transport_socket"] = _tls(plan)
    return {"name": "public", "address": socket_of(plan.listen), "filter_chains": [chain]}


def _http_connections(plan: EnginePlan) -> dict[str, Any]:
    return {
        "@type": f"{_TYPE}.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "public",
        "use_remote_address": True,
        # What the gateway was asked about is what the app gets; it refuses paths that can be read in two ways.
        "normalize_path": False,
        "path_with_escaped_slashes_action": "KEEP_UNCHANGED",
        "upgrade_configs": [{"upgrade_type": "websocket"}],
        # Any other is dropped, and the request served as an ordinary one.
        "http_protocol_options": {"ignore_http_11_upgrade": [_regex(all_but("websocket"))]},
        "http_filters": [
            _lua("strip", strip_code(plan)),
            _ext_authz(plan),
            _lua("cookies", cookie_code(plan)),
            {
                "name": "router",
                "typed_config": {**_typed("router.v3.Router"), "suppress_envoy_headers": True},
            },
        ],
        "route_config": {
            "name": "public",
            "virtual_hosts": [_virtual_host(plan, site) for site in plan.sites],
        },
    }


def _typed(kind: str) -> dict[str, Any]:
    return {"@type": f"{_HTTP}.{kind}"}


def _ext_authz(plan: EnginePlan) -> dict[str, Any]:
    told = dict.fromkeys(name for route in plan.routes for name in identity_names(route).values())
    service = {
        "server_uri": {"uri": f"http://{plan.gateway}", "cluster": "gateway", "timeout": "5s"},
        "path_prefix": f"{plan.prefix}/forward",
        "authorization_request": {"headers_to_add": [{"key": CONSUMES, "value": "authorization"}]},
        "authorization_response": {
            "allowed_upstream_headers": {"patterns": _exact(tuple(map(str.lower, (*told, CONSUMED))))},
            "allowed_client_headers": {
                "patterns": _exact(("location", "www-authenticate", "cache-control", "content-type"))
            },
        },
    }
    # A gateway that does not answer must not open the door.
    config = {
        **_typed("ext_authz.v3.ExtAuthz"),
        "failure_mode_allow": False,
        "allowed_headers": {"patterns": _exact((*_ASK_WITH, *_ASK_FROM))},
        "http_service": service,
    }
    return {"name": "ext_authz", "typed_config": config}


def _exact(names: tuple[str, ...]) -> list[dict[str, Any]]:
    return [{"exact": name, "ignore_case": True} for name in names]


def _lua(name: str, code: str) -> dict[str, Any]:
    return {
        "name": name,
        "typed_config": {**_typed("lua.v3.Lua"), "default_source_code": {"inline_string": code}},
    }


def _virtual_host(plan: EnginePlan, site: HostPlan) -> dict[str, Any]:
    off = {"ext_authz": {**_typed("ext_authz.v3.ExtAuthzPerRoute"), "disabled": True}}
    hidden = {"match": _regex(f"^{plan.prefix}/forward(?:/.*)?$"), "direct_response": {"status": 404}}
    portal = {"match": {"prefix": f"{plan.prefix}/"}, "route": {"cluster": "gateway"}}
    routes = [{**hidden, "typed_per_filter_config": off}, {**portal, "typed_per_filter_config": off}]
    for path in plan.own_paths(site):
        routes.append(
            {"match": {"path": path}, "route": {"cluster": "gateway"}, "typed_per_filter_config": off}
        )
    if site.portal:
        routes.append({**portal, "match": {"prefix": "/"}, "typed_per_filter_config": off})
    routes += [_route(plan, route) for route in site.routes]
    domains = [site.host] if site.host == "*" else [site.host, f"{site.host}:*"]
    return {"name": site.host, "domains": domains, "routes": routes}


def _route(plan: EnginePlan, route: Route) -> dict[str, Any]:
    action: dict[str, Any] = {
        "cluster": f"app_{plan.number(route)}",
        "timeout": f"{route.timeouts.response:.0f}s",
    }
    if change := path_change(route):
        pattern = {"regex": f"^{change[0]}/?"}
        action["regex_rewrite"] = {"pattern": pattern, "substitution": f"{change[1]}/"}
    if not route.preserve_host:
        action["host_rewrite_literal"] = addresses(route)[0].authority
    match = _regex(
        path_pattern(route).removesuffix("(?:/|;|$)") + ("(?:[/;].*)?" if route.path != "/" else ".*")
    )
    added = [_added(name, value) for name, value in route.headers.fixed.items()]
    told = list(forwarded(route))
    if "X-Forwarded-Prefix" in told:
        added.append(_added("X-Forwarded-Prefix", route.path.rstrip("/")))
    gone = [name for name in (*_TOLD, "Cookie") if drops(route, name)]
    if not route.switches_to("websocket"):
        action["upgrade_configs"] = [{"upgrade_type": "websocket", "enabled": False}]
    found = {"match": match, "route": action, "metadata": {"filter_metadata": {_LUA: _removed(route)}}}
    return {
        **found,
        **({"request_headers_to_add": added} if added else {}),
        **({"request_headers_to_remove": gone} if gone else {}),
    }


_LUA = "envoy.filters.http.lua"
_TOLD = ("X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host", "X-Forwarded-Port", "X-Request-Id")


def _removed(route: Route) -> dict[str, list[str]]:
    # Over HTTP/2 `te` says "trailers" or nothing (RFC 9113 §8.2.2), and apps that speak gRPC demand it.
    spoken = {"te"} if any(url.startswith(HTTP2_SCHEMES) for url in route.upstreams) else set()
    names = [name for name in removed_names(route) if name not in spoken]
    return {"removed": names, "families": removed_families(route)}


def _added(name: str, value: str) -> dict[str, Any]:
    header = {"key": name, "value": value.replace("%", "%%")}
    return {"header": header, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}


def _regex(pattern: str) -> dict[str, Any]:
    return {"safe_regex": {"regex": pattern}}


def _app(name: str, route: Route) -> dict[str, Any]:
    found = _cluster(name, [address.authority for address in addresses(route)])
    if route.health:
        found["health_checks"] = [_probe(route, route.health)]
        # Rather no answer than one of an app that is out: Envoy would ask all of them where most are out.
        found["common_lb_config"] = {"healthy_panic_threshold": {"value": 0.0}}
    if route.upstreams[0].startswith(HTTP2_SCHEMES):
        found["typed_extension_protocol_options"] = {
            _HTTP_OPTIONS: {
                "@type": f"{_TYPE}.upstreams.http.v3.HttpProtocolOptions",
                "explicit_http_config": {"http2_protocol_options": {}},
            }
        }
    if addresses(route)[0].tls:
        found["transport_socket"] = {"name": "tls", "typed_config": upstream_tls(route, route.upstreams[0])}
    return found


def _gateway(plan: EnginePlan) -> dict[str, Any]:
    options = {
        "@type": f"{_TYPE}.upstreams.http.v3.HttpProtocolOptions",
        "common_http_protocol_options": {"idle_timeout": f"{IDLE_TO_THE_GATEWAY:g}s"},
        "explicit_http_config": {"http_protocol_options": {}},
    }
    found = _cluster("gateway", [plan.gateway])
    return {**found, "typed_extension_protocol_options": {_HTTP_OPTIONS: options}}


def _probe(route: Route, health: HealthCheck) -> dict[str, Any]:
    lowest, highest = health.healthy_status
    app = addresses(route)[0]
    http: dict[str, Any] = {
        "host": app.authority,
        "path": app.base + health.path,
        "expected_statuses": [{"start": lowest, "end": highest + 1}],
    }
    if route.upstreams[0].startswith(HTTP2_SCHEMES):
        http["codec_client_type"] = "HTTP2"
    return {
        "timeout": f"{health.timeout:g}s",
        "interval": f"{health.interval:g}s",
        "no_traffic_interval": f"{health.interval:g}s",
        "unhealthy_threshold": health.fall,
        "healthy_threshold": health.rise,
        "http_health_check": http,
    }


def upstream_tls(route: Route, url: str) -> dict[str, Any]:
    """Return how TLS to this upstream is spoken. Envoy checks no certificate unless it is told to."""
    tls = tls_of(route)
    name = tls.server_name or address_of(url).authority.rpartition(":")[0].strip("[]")
    common: dict[str, Any] = {}
    if tls.verify:
        kind = "IP_ADDRESS" if is_ip(name) else "DNS"
        common["validation_context"] = {
            "trusted_ca": {"filename": str(tls.ca_file or "/etc/ssl/certs/ca-certificates.crt")},
            "match_typed_subject_alt_names": [{"san_type": kind, "matcher": {"exact": name}}],
        }
    if tls.cert_file and tls.key_file:
        files = {
            "certificate_chain": {"filename": str(tls.cert_file)},
            "private_key": {"filename": str(tls.key_file)},
        }
        common["tls_certificates"] = [files]
    if url.startswith(HTTP2_SCHEMES):
        common["alpn_protocols"] = ["h2"]
    context = {"@type": f"{_TYPE}.transport_sockets.tls.v3.UpstreamTlsContext", "common_tls_context": common}
    return context if is_ip(name) else {**context, "sni": name}


def _cluster(name: str, authorities: list[str]) -> dict[str, Any]:
    endpoints = [{"endpoint": {"address": socket_of(authority)}} for authority in authorities]
    assignment = {"cluster_name": name, "endpoints": [{"lb_endpoints": endpoints}]}
    return {"name": name, "type": "STRICT_DNS", "connect_timeout": "5s", "load_assignment": assignment}


def socket_of(authority: str) -> dict[str, Any]:
    """Return an address as Envoy writes it, of "host:port" or "unix:/path"."""
    if authority.startswith("unix:"):
        return {"pipe": {"path": authority.removeprefix("unix:")}}
    host, _, port = authority.rpartition(":")
    return {"socket_address": {"address": host.strip("[]"), "port_value": int(port)}}


def _tls(plan: EnginePlan) -> dict[str, Any]:
    files = {
        "certificate_chain": {"filename": str(plan.certificate)},
        "private_key": {"filename": str(plan.key)},
    }
    context = {
        "@type": f"{_TYPE}.transport_sockets.tls.v3.DownstreamTlsContext",
        "common_tls_context": {"tls_certificates": [files], "alpn_protocols": ["h2", "http/1.1"]},
    }
    return {"name": "tls", "typed_config": context}
