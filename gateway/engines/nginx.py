"""nginx: auth_request, with the gateway's answer cached for a few seconds.

The cache key is all that the answer depends on: cookies, credentials, client, method and URL. Its parts stand on lines
of their own: any other sign between them could be a client's, and make one request look like another. WebSocket
handshakes are never cached, since their Origin counts. Upstreams get exactly the URL that was asked about.
"""

import re
from collections.abc import Iterator
from itertools import pairwise

from gateway.config.schema import Route
from gateway.config.units import show_duration
from gateway.engines.headers import TO_THE_GATEWAY, drops, forwarded, identity_names, removed_names
from gateway.engines.plan import (
    IDLE_TO_THE_GATEWAY,
    MOST_COOKIES,
    EnginePlan,
    HostPlan,
    addresses,
    cookie_pattern,
    path_change,
    path_pattern,
    tls_of,
)
from gateway.forwardauth import route_key

IDLE = round(IDLE_TO_THE_GATEWAY * 1000)
_KEY = r"\n".join(
    (
        "$http_cookie",
        "$http_authorization",
        "$remote_addr",
        "$scheme",
        "$host$auth_port",
        "$request_method",
        "$http_destination",
        "$request_uri",
    )
)
"""nginx reads `\\n` as a line feed, which no header and no address can hold."""


def export(plan: EnginePlan) -> dict[str, str]:
    return {"nginx.conf": "\n".join(_lines(plan)) + "\n"}


def _lines(plan: EnginePlan) -> Iterator[str]:
    yield "# Written by `auth-gateway export nginx`. Change config.yaml and export again."
    if not plan.included:
        yield from _main(plan)
    yield from _http(plan)
    for route in plan.routes:
        yield from _upstream(plan, route)
    for site in plan.sites:
        yield from _server(plan, site)
    if plan.included:
        return
    if not any(site.host == "*" for site in plan.sites):
        yield f"    server {{\n        listen {plan.listen} default_server{_tls_word(plan)};"
        yield from _tls(plan)
        yield "        return 404;\n    }"
    yield "}"


def _main(plan: EnginePlan) -> Iterator[str]:
    yield f"""\
worker_processes auto;
pid {plan.state}/nginx.pid;
error_log stderr warn;
events {{ worker_connections 4096; }}
http {{
    access_log off;
    server_tokens off;
    client_body_temp_path {plan.state}/body;
    proxy_temp_path {plan.state}/proxy;
    fastcgi_temp_path {plan.state}/fastcgi;
    uwsgi_temp_path {plan.state}/uwsgi;
    scgi_temp_path {plan.state}/scgi;"""


def _http(plan: EnginePlan) -> Iterator[str]:
    yield f"""\
    underscores_in_headers off;
    ignore_invalid_headers on;
    absolute_redirect off;
    client_max_body_size 0;
    proxy_cache_path {plan.state}/auth levels=1 keys_zone=auth:10m max_size=100m inactive=1m use_temp_path=off;
    # Only WebSockets switch a connection: after any other switch (h2c) nobody would see what is asked on it.
    map "$request_method $server_protocol $http_upgrade $http_sec_websocket_key $http_connection" $app_upgrade {{
        default ""; "~*^GET HTTP/1\\.1 websocket [a-z0-9+/]+=* (.*,)? *upgrade *(,.*)?$" websocket;
    }}
    map $consumed $app_authorization {{ default $http_authorization; authorization ""; }}
    map $app_upgrade $app_connection {{ default ""; websocket upgrade; }}
    map $app_upgrade $ask_key {{ default ""; websocket $http_sec_websocket_key; }}
    # The port that the browser used: the host itself comes from $host, which also chose the server block.
    map $http_host $auth_port {{ "~(?<port>:[0-9]+)$" $port; default ""; }}
    map $http_host $app_port {{ "~:(?<digits>[0-9]+)$" $digits; default {443 if plan.secure else 80}; }}
    # nginx reads a port that is no number as none.
    map $http_host $bad_host {{ "~^(\\[[^]]*\\]|[^:]*)(:[0-9]*)?$" ""; default 1; }}
    proxy_headers_hash_max_size 4096;
    proxy_headers_hash_bucket_size 128;
    geo $dollar {{ default "$"; }}
    # Apps never see our cookies.
{_cookie_map(cookie_pattern(plan.config))}
    upstream auth_gateway {{ server {plan.gateway}; keepalive 32; keepalive_timeout {IDLE}ms; }}"""


def _cookie_map(name: str) -> str:
    """Cut ours out one by one; should one be left (sent too often), the app gets no cookies at all."""
    cut = f'"~*^(?<b%d>(?:.*;)?\\s*){name}=[^;]*;?\\s*(?<a%d>.*)$" $b%d$a%d'
    steps = ["$http_cookie", *(f"$cookies_{number}" for number in range(1, MOST_COOKIES + 1))]
    lines = [
        f"    map {before} {after} {{ {cut % (number, number, number, number)}; default {before}; }}"
        for number, (before, after) in enumerate(pairwise(steps), 1)
    ]
    lines.append(f'    map {steps[-1]} $app_cookies {{ "~*(?:^|;)\\s*{name}=" ""; default {steps[-1]}; }}')
    return "\n".join(lines)


def _upstream(plan: EnginePlan, route: Route) -> Iterator[str]:
    # This nginx probes nothing by itself: an app that failed is left alone for the pause between two probes.
    health = route.health
    failing = f" max_fails={health.fall} fail_timeout={max(1, round(health.interval))}s" if health else ""
    servers = " ".join(f"server {address.authority}{failing};" for address in addresses(route))
    yield f"    upstream app_{plan.number(route)} {{ {servers} keepalive 32; }}"
    if change := path_change(route):
        # By the URL as it came: nginx' own `rewrite` reads and writes escapes anew.
        gone, base = change
        rest = f"~^{re.escape(gone)}/?(?<rest_{plan.number(route)}>.*)$"
        yield f'    map $request_uri $target_{plan.number(route)} {{ "{rest}" {base}/$rest_{plan.number(route)}; }}'


def _server(plan: EnginePlan, site: HostPlan) -> Iterator[str]:
    default = " default_server" if site.host == "*" and not plan.included else ""
    name = "_" if site.host == "*" else site.host
    yield f"    server {{\n        listen {plan.listen}{default}{_tls_word(plan)};\n        server_name {name};"
    yield from _tls(plan)
    yield "        if ($bad_host) { return 400; }"
    yield from _portal(plan, site)
    if site.portal:
        yield "    }"
        return
    for number, route in enumerate(site.routes):
        yield from _ask(plan, route, number)
        yield from _location(plan, route, number)
    if not any(route.path == "/" for route in site.routes):
        yield "        location / { return 404; }"
    yield "    }"


def _tls_word(plan: EnginePlan) -> str:
    return " ssl http2" if plan.secure else ""


def _tls(plan: EnginePlan) -> Iterator[str]:
    if plan.secure:
        yield f"        ssl_certificate {plan.certificate};\n        ssl_certificate_key {plan.key};"
        yield "        ssl_protocols TLSv1.2 TLSv1.3;"


_FORWARDED = {
    "X-Forwarded-For": "$remote_addr",
    "X-Forwarded-Proto": "$scheme",
    "X-Forwarded-Host": "$host$auth_port",
    "X-Forwarded-Port": "$app_port",
    "X-Request-Id": "$request_id",
}


def _to_the_gateway(**more: str) -> str:
    """All that the gateway could take for our word is ours, or empty."""
    values = {**dict.fromkeys(TO_THE_GATEWAY, ""), **{name.lower(): it for name, it in _FORWARDED.items()}}
    values |= {name.lower().replace("_", "-"): value for name, value in more.items()}
    lines = (f"            proxy_set_header {name} {value or _NOTHING};" for name, value in values.items())
    return "\n".join(("            proxy_http_version 1.1;", *lines))


_NOTHING = '""'


def _portal(plan: EnginePlan, site: HostPlan) -> Iterator[str]:
    yield f"        location ^~ {plan.prefix}/forward {{ return 404; }}"
    ours = ["/"] if site.portal else [f"^~ {plan.prefix}/", *(f"= {path}" for path in plan.own_paths(site))]
    for place in ours:
        yield f"""        location {place} {{
            proxy_pass http://auth_gateway;
            proxy_set_header Host $host$auth_port;
            proxy_set_header Connection "";
            proxy_request_buffering off;
{_to_the_gateway()}
        }}"""


_ASKED = {
    "x_original_url": "$scheme://$host$auth_port$request_uri",
    "x_original_method": "$request_method",
    "x_gateway_consumes": "authorization",
}


def _ask(plan: EnginePlan, route: Route, number: int) -> Iterator[str]:
    """The sub-request. It has no body, and says which route we chose."""
    keep = plan.config.forward.cache
    cache = (
        f"""
            proxy_cache auth;
            proxy_cache_key "{_KEY}\\n{route_key(route)}";
            proxy_cache_methods GET HEAD;
            proxy_cache_valid 200 {show_duration(keep)};
            proxy_ignore_headers Cache-Control Expires Set-Cookie Vary X-Accel-Expires;
            proxy_cache_bypass $ask_key;
            proxy_no_cache $ask_key;"""
        if keep >= 1
        else ""
    )
    yield f"""        location = {plan.prefix}/ask-{number} {{
            internal;
            proxy_pass http://auth_gateway{plan.prefix}/forward?route={route_key(route)};
            proxy_method GET;
            proxy_pass_request_body off;
            proxy_set_header Content-Length "";
            proxy_set_header Connection "";
            proxy_set_header Upgrade "";
            proxy_set_header Host $host$auth_port;
            proxy_set_header Sec-WebSocket-Key $ask_key;
{_to_the_gateway(**_ASKED)}{cache}
        }}
        location @sign_in_{number} {{
            if ($auth_location) {{ return 302 $auth_location; }}
            return 401;
        }}"""


def _location(plan: EnginePlan, route: Route, number: int) -> Iterator[str]:
    names = identity_names(route)
    path = "/" if route.path == "/" else f'~ "{path_pattern(route)}"'
    yield f"        location {path} {{"
    yield f"            auth_request {plan.prefix}/ask-{number};"
    yield "            auth_request_set $auth_location $upstream_http_location;"
    yield "            auth_request_set $consumed $upstream_http_x_gateway_consumed;"
    yield f"            error_page 401 = @sign_in_{number};"
    for ours in names:
        answer = f"$upstream_http_{_variable(names[ours])}"
        yield f"            auth_request_set $told_{_variable(ours)} {answer};"
    target = f"$target_{plan.number(route)}" if path_change(route) else ""
    scheme = "https" if addresses(route)[0].tls else "http"
    yield f"            proxy_pass {scheme}://app_{plan.number(route)}{target};"
    host = "$host$auth_port" if route.preserve_host else addresses(route)[0].authority
    upgrade = ("$app_upgrade", "$app_connection") if route.switches_to("websocket") else ('""', '""')
    yield f"            proxy_set_header Host {host};"
    yield f"            proxy_set_header Upgrade {upgrade[0]};"
    yield f"            proxy_set_header Connection {upgrade[1]};"
    for word in ("proxy_http_version 1.1", "proxy_request_buffering off", "proxy_buffering off"):
        yield f"            {word};"
    for name, value in _to_the_app(route).items():
        yield f"            proxy_set_header {name} {value};"
    if addresses(route)[0].tls:
        yield from _verified(route)
    yield f"            proxy_connect_timeout {route.timeouts.connect:.0f}s;"
    yield f"            proxy_read_timeout {max(route.timeouts.response, route.timeouts.idle):.0f}s;"
    if route.max_body:
        yield f"            client_max_body_size {route.max_body};"
    yield "        }"


def _verified(route: Route) -> Iterator[str]:
    """nginx checks no certificate unless it is told to."""
    tls = tls_of(route)
    yield "            proxy_ssl_server_name on;"
    yield f"            proxy_ssl_name {tls.server_name or addresses(route)[0].authority.rpartition(':')[0]};"
    if tls.verify:
        yield "            proxy_ssl_verify on;\n            proxy_ssl_verify_depth 4;"
        yield f"            proxy_ssl_trusted_certificate {tls.ca_file or '/etc/ssl/certs/ca-certificates.crt'};"
    if tls.cert_file and tls.key_file:
        yield f"            proxy_ssl_certificate {tls.cert_file};"
        yield f"            proxy_ssl_certificate_key {tls.key_file};"


def _to_the_app(route: Route) -> dict[str, str]:
    """Every header that is removed ("") or set, by its name in lower case: nginx takes the first of a name."""
    values = dict.fromkeys(removed_names(route), _NOTHING)
    known = {**_FORWARDED, "X-Forwarded-Prefix": f'"{route.path.rstrip("/")}"'}
    values |= {name.lower(): known[name] for name in forwarded(route)}
    values |= {theirs.lower(): f"$told_{_variable(ours)}" for ours, theirs in identity_names(route).items()}
    values["authorization"] = _NOTHING if drops(route, "Authorization") else "$app_authorization"
    values["cookie"] = _NOTHING if drops(route, "Cookie") else "$app_cookies"
    return values | {name.lower(): f'"{_quoted(value)}"' for name, value in route.headers.fixed.items()}


def _variable(name: str) -> str:
    return name.lower().replace("-", "_")


def _quoted(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("$", "${dollar}")
