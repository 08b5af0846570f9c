"""What Envoy, our front door, carries by itself: it asks a worker about each plain request, and the answer says how.

The worker names the route that it has chosen (CARRY), the headers to set and those to remove, so that an app gets what
it would get from our own proxy. Without that name, or with one that Envoy does not know, a worker carries the request:
it is the way that all others go. Pure.
"""

from pathlib import Path
from typing import Any

from gateway.config.schema import Config, Route
from gateway.config.sections.header_presets import told_by
from gateway.engines.carrying import carried, version_of
from gateway.engines.envoy import socket_of, upstream_tls
from gateway.engines.front_failed import about_carried, present
from gateway.engines.front_known import ASKED, KNOWN
from gateway.engines.front_lua import answer_code
from gateway.engines.front_place import EXT, GATEWAY, cluster
from gateway.engines.front_watch import WIRE, watch_code
from gateway.engines.plan import address_of
from gateway.request.hop import ASKS, CARRY, CERTIFICATE, FAILED, HOP, NAME, NOTE, TOLD_TO_ENVOY

_ALWAYS = (
    *("x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "x-forwarded-port", "x-forwarded-prefix"),
    *("forwarded", "via", "x-request-id", "cookie", CARRY),
)
IDLE_TO_APPS = 30.0
"""Seconds for which an unused connection to an app is kept, as our own proxy does."""


def settable(config: Config) -> frozenset[str]:
    """The headers, in lower case, that a worker may have Envoy set on a request."""
    names = set(_ALWAYS)
    for route in carried(config).values():
        renamed = {ours.lower(): theirs for ours, theirs in route.headers.rename.items()}
        names |= {renamed.get(name.lower(), name).lower() for name in told_by(route.headers.preset)}
        names |= {name.lower() for name in route.headers.add}
    return frozenset(names)


def carried_filters(config: Config, folder: Path) -> list[dict[str, Any]]:
    """Return the filters before the router: to carry what is known, to ask, and to mend the app's answer."""
    if not carried(config):
        return []
    return [
        _script("watch", watch_code(folder)),
        _script("answer", answer_code(config)),
        {"name": "ask", "typed_config": _ask(config)},
    ]


def _script(name: str, code: str) -> dict[str, Any]:
    return {
        "name": name,
        "typed_config": {
            "@type": f"{EXT}.filters.http.lua.v3.Lua",
            "default_source_code": {"inline_string": code},
            "clear_route_cache": False,  # the script says when
        },
    }


def _ask(config: Config) -> dict[str, Any]:
    return {
        "@type": f"{EXT}.filters.http.ext_authz.v3.ExtAuthz",
        # A question that gets no answer names no route, so that a worker has the request: nothing passes by it.
        "failure_mode_allow": True,
        # The route is chosen anew, by the name that the worker has given.
        "clear_route_cache": True,
        "filter_enabled_metadata": {**present(KNOWN, "told"), "invert": True},
        "allowed_headers": {"patterns": [{"safe_regex": {"regex": ".*"}}]},
        "http_service": {
            "server_uri": {"uri": "http://gateway", "cluster": GATEWAY, "timeout": "10s"},
            "authorization_request": {
                "headers_to_add": [{"key": ASKS, "value": version_of(carried(config))}]
            },
            "authorization_response": {
                "allowed_upstream_headers": {
                    "patterns": [{"exact": name} for name in sorted(settable(config))]
                },
                "dynamic_metadata_from_headers": {"patterns": [{"prefix": TOLD_TO_ENVOY}]},
            },
        },
    }


def carried_routes(config: Config) -> list[dict[str, Any]]:
    """Return the routes that stand before the one to the workers."""
    found = carried(config)
    if not found:
        return []
    prefix = config.server.prefix
    unasked = {
        "ask": {"@type": f"{EXT}.filters.http.ext_authz.v3.ExtAuthzPerRoute", "disabled": True},
    }
    to_workers = {"route": to_the_workers(), "typed_per_filter_config": unasked}
    upgrade = [{"name": "upgrade", "present_match": True}]
    routes: list[dict[str, Any]] = [
        {"match": {"prefix": "/", "headers": upgrade}, **to_workers},
        {"match": {"path": prefix}, **to_workers},
        {"match": {"prefix": f"{prefix}/"}, **to_workers},
    ]
    for name, route in found.items():
        idle = route.timeouts.idle  # 0: without an end
        action: dict[str, Any] = {
            "cluster": name,
            # Who is silent in the middle of an upload. An app that is silent is noticed first, and called so.
            "idle_timeout": f"{idle and idle + 0.5:g}s",
            "timeout": "0s",
            "retry_policy": {
                "retry_on": "connect-failure,reset-before-request",
                "num_retries": 1,
                **({"per_try_idle_timeout": f"{idle:g}s"} if idle else {}),
            },
        }
        if not route.preserve_host:
            action["host_rewrite_literal"] = authority_of(route.upstreams[0])
        told = []
        if not route.upstreams[0].startswith("unix:"):  # the connection is this request's alone
            header = {"key": WIRE, "value": "%UPSTREAM_LOCAL_ADDRESS% %UPSTREAM_REMOTE_ADDRESS%"}
            told = [{"header": header, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}]
        chosen = [{"name": CARRY, "string_match": {"exact": name}}]
        watched = {"carried": name, "finishes": route.finish_downloads}
        routes.append(
            {
                "name": name,
                "match": {"prefix": "/", "headers": chosen},
                "route": action,
                "request_headers_to_remove": [CARRY, HOP, CERTIFICATE],
                "response_headers_to_add": told,
                "response_headers_to_remove": [FAILED],  # before Envoy marks its own answers
                "metadata": {"filter_metadata": {"answer": {"carried": name}, "watch": watched}},
            }
        )
    routes.append(_UNKNOWN)
    return routes


_UNKNOWN = {
    # A worker has named a route that is not here any more, or not yet: its headers are changed by now, so that nobody
    # else can answer. Clients can't say such a name.
    "match": {"prefix": "/", "headers": [{"name": CARRY, "present_match": True}]},
    "direct_response": {"status": 503, "body": {"inline_string": "Please try again.\n"}},
    "response_headers_to_add": [
        {"header": {"key": "retry-after", "value": "1"}},
        {"header": {"key": "cache-control", "value": "no-store"}},
    ],
}


def to_the_workers() -> dict[str, Any]:
    """Return the way that a request goes which Envoy does not carry; the workers have deadlines of their own."""
    retries = {"retry_on": "connect-failure,reset-before-request", "num_retries": 2}
    return {"cluster": GATEWAY, "timeout": "0s", "retry_policy": retries}


def authority_of(url: str) -> str:
    """Return an upstream's own Host: without a port that its scheme implies."""
    address = address_of(url)
    return address.authority.removesuffix(":443" if address.tls else ":80")


def carried_clusters(config: Config) -> list[dict[str, Any]]:
    """Return the apps that Envoy asks by itself."""
    return [_cluster(name, route) for name, route in carried(config).items()]


def _cluster(name: str, route: Route) -> dict[str, Any]:
    url = route.upstreams[0]
    address = address_of(url)
    spoken = {
        "common_http_protocol_options": {
            "idle_timeout": f"{IDLE_TO_APPS:g}s",
            "max_headers_count": 1000,
            "max_response_headers_kb": 64,
        },
        "explicit_http_config": _HTTP1,
    }
    found = cluster(
        name,
        socket_of(address.authority),
        connect=route.timeouts.connect,
        http=spoken,
        type="STATIC" if url.startswith("unix:") else "STRICT_DNS",
        dns_lookup_family="ALL",
    )
    if address.tls:
        found["transport_socket"] = {"name": "tls", "typed_config": upstream_tls(route, url)}
    return found


_HTTP1: dict[str, Any] = {
    "http_protocol_options": {
        "enable_trailers": True,
        # Remote-User, not remote-user: names have no case (RFC 9110 section 5.1), but not every app knows that.
        "header_key_format": {"proper_case_words": {}},
    }
}


def access_log(config: Config, pipe: str) -> list[dict[str, Any]]:
    """Return what Envoy writes of each request that it carries, for `server.carried_log` to log and count."""
    if not carried(config):
        return []
    told = (
        *("%ROUTE_NAME%", "%RESPONSE_CODE%", "%BYTES_SENT%", "%DURATION%", "%RESPONSE_DURATION%"),
        *("%RESPONSE_FLAGS%", "%REQ(:METHOD)%", "%REQ(:PATH)%"),
        *(f"%DYNAMIC_METADATA({ASKED}:{what})%" for what in (NAME, NOTE)),
        *(f"%DYNAMIC_METADATA({KNOWN}:told:{what})%" for what in (NAME, NOTE)),
    )
    return [
        {
            "name": "pipe",
            "filter": about_carried(),
            "typed_config": {
                "@type": f"{EXT}.access_loggers.file.v3.FileAccessLog",
                "path": pipe,
                "log_format": {"text_format_source": {"inline_string": "\t".join(told) + "\n"}},
            },
        }
    ]
