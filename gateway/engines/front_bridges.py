"""Apps that speak HTTP/2 (`upstream: h2c://…`, `h2://…`), which our workers don't: Envoy stands between the two.

For each such app it listens on a unix socket in its private folder, where the workers ask in HTTP/1.1. Pure.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gateway.config.schema import Config, Route
from gateway.engines.carrying import carried
from gateway.engines.envoy import socket_of, upstream_tls
from gateway.engines.front_failed import bridge_replies
from gateway.engines.front_place import EXT, TYPE, EnginePlace, cluster
from gateway.engines.plan import HTTP2_SCHEMES, address_of
from gateway.request.hop import FAILED


@dataclass(frozen=True, slots=True)
class Bridge:
    """One app behind one socket; `name` is unique."""

    name: str
    socket: str
    route: Route
    url: str


def bridges(config: Config, folder: Path) -> Iterator[Bridge]:
    """Every app of every route that speaks HTTP/2."""
    found = ((route, url) for route in config.routes for url in route.upstreams)
    for number, (route, url) in enumerate(pair for pair in found if pair[1].startswith(HTTP2_SCHEMES)):
        name = f"app-{number}"  # short: a socket's path has no more than 107 bytes
        yield Bridge(name=name, socket=str(folder / f"{name}.sock"), route=route, url=url)


def bridged(config: Config, folder: Path) -> Config:
    """Return the configuration as workers serve it: with the sockets in the place of these apps."""
    sockets = {(id(bridge.route), bridge.url): f"unix:{bridge.socket}" for bridge in bridges(config, folder)}
    if not sockets:
        return config
    routes = []
    for route in config.routes:
        urls = tuple(sockets.get((id(route), url), url) for url in route.upstreams)
        routes.append(route if urls == route.upstreams else _with_upstreams(route, urls))
    return config.model_copy(update={"routes": tuple(routes)})


def carried_behind(config: Config, folder: Path) -> dict[str, Route]:
    """As `carried`, for a configuration that was `bridged`: Envoy does not carry what is asked at these sockets."""
    socket = f"unix:{folder}/app-"
    return {
        name: route for name, route in carried(config).items() if not route.upstreams[0].startswith(socket)
    }


def _with_upstreams(route: Route, urls: tuple[str, ...]) -> Route:
    copy = route.model_copy(update={"upstream": urls})
    for kept in ("upstreams", "label", "access", "asked", "query_names"):
        copy.__dict__.pop(kept, None)  # worked out of the route that it is a copy of
    copy._shared = route._shared
    return copy


def bridge_listeners(config: Config, place: EnginePlace) -> list[dict[str, Any]]:
    """Return the sockets that the workers ask at."""
    return [
        {
            "@type": f"{TYPE}.config.listener.v3.Listener",
            "name": bridge.name,
            "address": {"pipe": {"path": bridge.socket, "mode": 0o600}},
            "filter_chains": [{"filters": [{"name": "http", "typed_config": _http(bridge)}]}],
        }
        for bridge in bridges(config, place.folder)
    ]


def _http(bridge: Bridge) -> dict[str, Any]:
    dropped = {name.lower().replace("_", "-") for name in bridge.route.headers.drop}
    action: dict[str, Any] = {"cluster": bridge.name, "timeout": "0s"}  # deadlines are the workers'
    if not bridge.route.preserve_host:
        action["host_rewrite_literal"] = address_of(bridge.url).authority
    route: dict[str, Any] = {"match": {"prefix": "/"}, "route": action}
    route["response_headers_to_remove"] = [FAILED]  # the app's own, before Envoy marks what it says itself
    if "x-forwarded-proto" in dropped:  # else Envoy would add one
        route["request_headers_to_remove"] = ["x-forwarded-proto"]
    return {
        "@type": f"{EXT}.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "bridge",
        "codec_type": "HTTP1",
        "normalize_path": False,
        "path_with_escaped_slashes_action": "KEEP_UNCHANGED",
        "skip_xff_append": True,
        "generate_request_id": False,
        "preserve_external_request_id": True,
        "server_header_transformation": "PASS_THROUGH",
        "proxy_100_continue": True,
        "max_request_headers_kb": 512,
        "common_http_protocol_options": {"max_headers_count": 1000},
        "http_protocol_options": {"enable_trailers": True},
        "stream_idle_timeout": "0s",
        "upgrade_configs": [{"upgrade_type": "websocket"}],
        "local_reply_config": bridge_replies(bridge.url),
        "http_filters": [
            {
                "name": "router",
                "typed_config": {
                    "@type": f"{EXT}.filters.http.router.v3.Router",
                    "suppress_envoy_headers": True,
                },
            }
        ],
        "route_config": {
            "name": bridge.name,
            "virtual_hosts": [{"name": "app", "domains": ["*"], "routes": [route]}],
        },
    }


def bridge_clusters(config: Config, place: EnginePlace) -> list[dict[str, Any]]:
    """Return the apps themselves."""
    return [_cluster(bridge) for bridge in bridges(config, place.folder)]


def _cluster(bridge: Bridge) -> dict[str, Any]:
    address = address_of(bridge.url)
    spoken = {
        "common_http_protocol_options": {"max_headers_count": 1000, "max_response_headers_kb": 256},
        "explicit_http_config": {"http2_protocol_options": {}},
    }
    connect = bridge.route.timeouts.connect
    found = cluster(
        bridge.name, socket_of(address.authority), connect=connect, http=spoken, type="STRICT_DNS"
    )
    if address.tls:
        context = upstream_tls(bridge.route, bridge.url)
        context["common_tls_context"]["alpn_protocols"] = ["h2"]
        found["transport_socket"] = {"name": "tls", "typed_config": context}
    return found
