"""Envoy: ext_authz over HTTP; the original path follows ours, so there is one dialect header less to forge.

Paths that Envoy and the gateway could read in two ways are rejected by Envoy itself.
"""

from typing import Any

import yaml

from gateway.config.schema import Route
from gateway.engines.plan import (
    FORWARDED,
    EnginePlan,
    HostPlan,
    addresses,
    identity_names,
    path_pattern,
    protected_names,
)
from gateway.proxy.client_headers import canonical

_TYPE = "type.googleapis.com/envoy.extensions"
_HTTP = f"{_TYPE}.filters.http"
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
_ASK_FROM = ("x-forwarded-for", "x-forwarded-proto", "x-requested-with")


def export(plan: EnginePlan) -> dict[str, str]:
    names = [f"app_{plan.number(route)}" for route in plan.routes]
    apps = [_app(name, route) for name, route in zip(names, plan.routes, strict=True)]
    clusters = [_cluster("gateway", [plan.gateway]), *apps]
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
    return {"name": "public", "address": _socket(plan.listen), "filter_chains": [chain]}


def _http_connections(plan: EnginePlan) -> dict[str, Any]:
    return {
        "@type": f"{_TYPE}.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "public",
        "use_remote_address": True,
        "normalize_path": True,
        "path_with_escaped_slashes_action": "REJECT_REQUEST",
        "upgrade_configs": [{"upgrade_type": "websocket"}],
        # Any other is dropped, and the request served as an ordinary one.
        "http_protocol_options": {"ignore_http_11_upgrade": [_regex(_all_but("websocket"))]},
        "http_filters": [
            _lua("strip", _strip_code(plan)),
            _ext_authz(plan),
            _lua("cookies", _cookie_code(plan)),
            {"name": "router", "typed_config": _typed("router.v3.Router")},
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
        "authorization_request": {"allowed_headers": {"patterns": _exact((*_ASK_WITH, *_ASK_FROM))}},
        "authorization_response": {
            "allowed_upstream_headers": {"patterns": _exact(tuple(map(str.lower, told)))},
            "allowed_client_headers": {
                "patterns": _exact(("location", "www-authenticate", "cache-control", "content-type"))
            },
        },
    }
    # A gateway that does not answer must not open the door.
    config = {**_typed("ext_authz.v3.ExtAuthz"), "failure_mode_allow": False, "http_service": service}
    return {"name": "ext_authz", "typed_config": config}


def _exact(names: tuple[str, ...]) -> list[dict[str, Any]]:
    return [{"exact": name, "ignore_case": True} for name in names]


def _lua(name: str, code: str) -> dict[str, Any]:
    return {
        "name": name,
        "typed_config": {**_typed("lua.v3.Lua"), "default_source_code": {"inline_string": code}},
    }


def _strip_code(plan: EnginePlan) -> str:
    """Before the verdict: ext_authz replaces only what it sets, so nothing of the client's may be left."""
    gone = dict.fromkeys(map(canonical, (*protected_names(plan.config), *FORWARDED, "HTTP2-Settings")))
    table = ", ".join(f'["{name}"] = true' for name in gone)
    return f"local gone = {{{table}}}\n{_STRIP}{_NO_KEY}end\n"


_STRIP = """\
function envoy_on_request(handle)
  local headers, found = handle:headers(), {}
  for name, _ in pairs(headers) do
    -- As the laxest app would read it: CGI turns every sign into one.
    if gone[(name:gsub("[^a-z0-9]", "-"))] then table.insert(found, name) end
  end
  for _, name in ipairs(found) do headers:remove(name) end
"""


_NO_KEY = """\
  if handle:headers():get("connection") then handle:headers():replace("connection", "upgrade") end
  local upgrade = handle:headers():get("upgrade")
  local key = handle:headers():get("sec-websocket-key")
  if upgrade and not (handle:headers():get(":method") == "GET" and key and key:match("^[A-Za-z0-9+/]+=*$")) then
    handle:respond({[":status"] = "400"}, "An upgrade that is no WebSocket handshake (RFC 6455, section 4.1).")
  end
"""
"""A handshake without a key would not be asked for its Origin. Envoy has taken the upgrade in by now, so it is refused.
"""


def _all_but(word: str) -> str:
    """A regular expression for every text but this one, in any case: RE2 can't look ahead."""
    differs = (f"{word[:at]}(?:[^{sign}].*)?" for at, sign in enumerate(word))
    return f"(?i)(?:{'|'.join(differs)}|{word}.+)"


def _cookie_code(plan: EnginePlan) -> str:
    """Apps never see our cookies. It runs after the verdict, and not on the way to the portal."""
    own = plan.config.session.cookie_name.lower()
    return f"""function envoy_on_request(handle)
  local path = handle:headers():get(":path")
  if path:sub(1, {len(plan.prefix) + 1}) == "{plan.prefix}/" then return end
  local kept = {{}}
  for crumb in (handle:headers():get("cookie") or ""):gmatch("[^;]+") do
    local name = crumb:match("^%s*([^=]*)"):lower():gsub("^__host%-", ""):gsub("^__secure%-", ""):gsub("%s+$", "")
    if name ~= "{own}" and name:sub(1, {len(own) + 1}) ~= "{own}_" then table.insert(kept, crumb) end
  end
  handle:headers():remove("cookie")
  if #kept > 0 then handle:headers():add("cookie", table.concat(kept, ";")) end
end
"""


def _virtual_host(plan: EnginePlan, site: HostPlan) -> dict[str, Any]:
    off = {"ext_authz": {**_typed("ext_authz.v3.ExtAuthzPerRoute"), "disabled": True}}
    hidden = {"match": _regex(f"^{plan.prefix}/forward(?:/.*)?$"), "direct_response": {"status": 404}}
    portal = {"match": {"prefix": f"{plan.prefix}/"}, "route": {"cluster": "gateway"}}
    routes = [{**hidden, "typed_per_filter_config": off}, {**portal, "typed_per_filter_config": off}]
    routes += [_route(plan, route) for route in site.routes]
    domains = [site.host] if site.host == "*" else [site.host, f"{site.host}:*"]
    return {"name": site.host, "domains": domains, "routes": routes}


def _route(plan: EnginePlan, route: Route) -> dict[str, Any]:
    action: dict[str, Any] = {
        "cluster": f"app_{plan.number(route)}",
        "timeout": f"{route.timeouts.response:.0f}s",
    }
    if route.strip_path and route.path != "/":
        pattern = f"^{route.path.rstrip('/')}/?"
        action["regex_rewrite"] = {"pattern": {"regex": pattern}, "substitution": "/"}
    if not route.preserve_host:
        action["host_rewrite_literal"] = addresses(route)[0].authority
    match = _regex(
        path_pattern(route).removesuffix("(?:/|;|$)") + ("(?:[/;].*)?" if route.path != "/" else ".*")
    )
    added = [_added(name, value) for name, value in route.headers.add.items()]
    if not route.websocket:
        action["upgrade_configs"] = [{"upgrade_type": "websocket", "enabled": False}]
    return {"match": match, "route": action, **({"request_headers_to_add": added} if added else {})}


def _added(name: str, value: str) -> dict[str, Any]:
    header = {"key": name, "value": value.replace("%", "%%")}
    return {"header": header, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}


def _regex(pattern: str) -> dict[str, Any]:
    return {"safe_regex": {"regex": pattern}}


def _app(name: str, route: Route) -> dict[str, Any]:
    found = _cluster(name, [address.authority for address in addresses(route)])
    if addresses(route)[0].tls:
        context = {"@type": f"{_TYPE}.transport_sockets.tls.v3.UpstreamTlsContext"}
        found["transport_socket"] = {"name": "tls", "typed_config": context}
    return found


def _cluster(name: str, authorities: list[str]) -> dict[str, Any]:
    endpoints = [{"endpoint": {"address": _socket(authority)}} for authority in authorities]
    assignment = {"cluster_name": name, "endpoints": [{"lb_endpoints": endpoints}]}
    return {"name": name, "type": "STRICT_DNS", "connect_timeout": "5s", "load_assignment": assignment}


def _socket(authority: str) -> dict[str, Any]:
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
        "common_tls_context": {"tls_certificates": [files]},
    }
    return {"name": "tls", "typed_config": context}
