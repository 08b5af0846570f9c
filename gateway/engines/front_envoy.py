"""Envoy as our own front door (`server.engine: envoy`): the files that `serve` writes for it and that it watches.

Pure. Unlike the exported configuration, it leaves what the client has sent as it is: our workers, behind a unix socket
that nobody else reaches, read it as if the client had come to them, with the hop (`request.hop`) told in one header.
"""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from gateway.config.schema import Config, HttpLimits
from gateway.engines.envoy_lua import all_but
from gateway.request.hop import HOP

BOOTSTRAP, LISTENERS, CLUSTERS, ROUTES, SECRETS = (
    *("envoy.json", "listeners.json", "clusters.json", "routes.json", "secrets.json"),
)
ADMIN = "admin.sock"
GATEWAY = "gateway"
"""The cluster of our workers."""
STATS = "public"
IDLE_TO_WORKERS = 1.0
"""Seconds after which Envoy, and never a worker, closes an unused connection between the two."""
_TYPE = "type.googleapis.com/envoy"
_EXT = f"{_TYPE}.extensions"
_NO_LIMIT = 1_000_000_000
_CIPHERS = [
    *("ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-RSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES256-GCM-SHA384"),
    *("ECDHE-RSA-AES256-GCM-SHA384", "ECDHE-ECDSA-CHACHA20-POLY1305", "ECDHE-RSA-CHACHA20-POLY1305"),
]


@dataclass(frozen=True, slots=True)
class Place:
    """Where Envoy stands.

    Args:
        folder: its private directory, with the sockets and these files.
        socket: the unix socket of the workers that are to be asked.
        addresses: IP addresses and ports to listen on; empty for a unix socket.
        workers: how many processes of ours answer behind it.
        certificate: the PEM chain; empty for plain HTTP.
        key: its PEM key.
    """

    folder: Path
    socket: str
    addresses: tuple[tuple[str, int], ...]
    workers: int
    certificate: str = ""
    key: str = ""


def front_files(config: Config, place: Place) -> dict[str, str]:
    """Return file name -> content; Envoy is started with the first and watches the others."""
    resources = {
        SECRETS: _secrets(place),
        CLUSTERS: _clusters(place),
        ROUTES: [_routes(config)],
        LISTENERS: _listeners(config, place),
    }
    watched = {name: _response(found) for name, found in resources.items()}
    return {BOOTSTRAP: json.dumps(_bootstrap(config, place), indent=1), **watched}


def _response(resources: list[dict[str, Any]]) -> str:
    """A DiscoveryResponse; its version changes whenever its content does."""
    version = hashlib.sha256(json.dumps(resources).encode()).hexdigest()[:16]
    return json.dumps({"version_info": version, "resources": resources}, indent=1)


def version_of(content: str) -> str:
    """Return the version of a watched file."""
    return str(json.loads(content)["version_info"])


def _watched(place: Place, name: str) -> dict[str, Any]:
    path = {"path": str(place.folder / name), "watched_directory": {"path": str(place.folder)}}
    return {"path_config_source": path, "resource_api_version": "V3"}


def _bootstrap(config: Config, place: Place) -> dict[str, Any]:
    most = config.server.limits.connections * place.workers
    return {
        "node": {"id": "auth-gateway", "cluster": "auth-gateway"},
        # No TCP port: whoever reaches it can stop Envoy and read its keys.
        "admin": {"address": {"pipe": {"path": str(place.folder / ADMIN), "mode": 0o600}}},
        "dynamic_resources": {
            "lds_config": _watched(place, LISTENERS),
            "cds_config": _watched(place, CLUSTERS),
        },
        "overload_manager": {
            "resource_monitors": [
                {
                    "name": "envoy.resource_monitors.global_downstream_max_connections",
                    "typed_config": {
                        "@type": f"{_EXT}.resource_monitors.downstream_connections.v3.DownstreamConnectionsConfig",
                        "max_active_downstream_connections": most,
                    },
                }
            ]
        },
        "layered_runtime": {"layers": [{"name": "limits", "static_layer": _RUNTIME}]},
    }


_RUNTIME = {
    # CVE-2023-44487: a client that opens streams only to reset them loses its connection.
    "overload.premature_reset_total_stream_count": 200,
    "overload.premature_reset_min_stream_lifetime_seconds": 1,
    "http.max_requests_per_io_cycle": 8,
}


def _secrets(place: Place) -> list[dict[str, Any]]:
    if not place.certificate:
        return []
    pair = {
        "certificate_chain": {"inline_string": place.certificate},
        "private_key": {"inline_string": place.key},
    }
    return [{"@type": f"{_EXT}.transport_sockets.tls.v3.Secret", "name": "server", "tls_certificate": pair}]


# -- clusters ------------------------------------------------------------------------------------------------------


def _clusters(place: Place) -> list[dict[str, Any]]:
    endpoint = {"endpoint": {"address": {"pipe": {"path": place.socket}}}}
    return [
        {
            "@type": f"{_TYPE}.config.cluster.v3.Cluster",
            "name": GATEWAY,
            "type": "STATIC",
            "connect_timeout": "5s",
            "load_assignment": {"cluster_name": GATEWAY, "endpoints": [{"lb_endpoints": [endpoint]}]},
            "circuit_breakers": {"thresholds": [_no_breaker()]},
            "typed_extension_protocol_options": {
                f"{_HTTP_OPTIONS}": {
                    "@type": f"{_EXT}.upstreams.http.v3.HttpProtocolOptions",
                    "common_http_protocol_options": {
                        "idle_timeout": f"{IDLE_TO_WORKERS:.0f}s",
                        "max_headers_count": 1000,
                        "max_response_headers_kb": 256,
                    },
                    "explicit_http_config": {"http_protocol_options": {"enable_trailers": True}},
                }
            },
        }
    ]


_HTTP_OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"


def _no_breaker() -> dict[str, Any]:
    """Envoy's own limits, 1024 of each, would refuse what our workers serve."""
    names = ("max_connections", "max_pending_requests", "max_requests", "max_retries")
    return dict.fromkeys(names, _NO_LIMIT)


# -- routes --------------------------------------------------------------------------------------------------------


def _routes(config: Config) -> dict[str, Any]:
    to_us: dict[str, Any] = {
        "cluster": GATEWAY,
        "timeout": "0s",  # the workers have deadlines of their own
        "retry_policy": {"retry_on": "connect-failure,reset-before-request", "num_retries": 2},
    }
    paths = ({"prefix": "/"}, {"path": "*"})
    found: dict[str, Any] = {
        "@type": f"{_TYPE}.config.route.v3.RouteConfiguration",
        "name": STATS,
        "virtual_hosts": [
            {"name": "all", "domains": ["*"], "routes": [{"match": path, "route": to_us} for path in paths]}
        ],
    }
    if _has_http3(config):
        port = urlsplit(config.server.public_url).port or 443
        told = {"header": {"key": "alt-svc", "value": f'h3=":{port}"; ma=86400'}}
        found["response_headers_to_add"] = [told]
    return found


# -- listeners -----------------------------------------------------------------------------------------------------


def _has_http3(config: Config) -> bool:
    server = config.server
    return server.tls is not None and server.http3 and not server.listen.startswith("unix:")


def _listeners(config: Config, place: Place) -> list[dict[str, Any]]:
    listeners = [_tcp(config, place)]
    if _has_http3(config):
        listeners.append(_quic(config, place))
    return listeners


def _tcp(config: Config, place: Place) -> dict[str, Any]:
    server = config.server
    chain: dict[str, Any] = {"filters": [_http(config, place, "AUTO")]}
    if server.tls is not None:
        chain["transport_socket"] = {"name": "tls", "typed_config": _tls(config, place, ["h2", "http/1.1"])}
    listener: dict[str, Any] = {
        "@type": f"{_TYPE}.config.listener.v3.Listener",
        "name": "tcp",
        **_addresses(config, place, "TCP"),
        "filter_chains": [chain],
        "per_connection_buffer_limit_bytes": 262144,
        "tcp_backlog_size": 4096,
    }
    if server.proxy_protocol:
        options = {
            "@type": f"{_EXT}.filters.listener.proxy_protocol.v3.ProxyProtocol",
            # Whom the header may speak for decides the worker, which is told both addresses.
            "allow_requests_without_proxy_protocol": True,
        }
        listener["listener_filters"] = [{"name": "proxy_protocol", "typed_config": options}]
    if server.tls is not None and not server.listen.startswith("unix:"):
        listener["listener_filters_timeout"] = f"{server.limits.head_timeout:.0f}s"
    return listener


def _addresses(config: Config, place: Place, protocol: str) -> dict[str, Any]:
    listen = config.server.listen
    if listen.startswith("unix:"):
        return {"address": {"pipe": {"path": listen.removeprefix("unix:"), "mode": 0o660}}}
    first, *others = [
        {"socket_address": {"protocol": protocol, "address": host, "port_value": port}}
        for host, port in place.addresses
    ]
    return {"address": first, "additional_addresses": [{"address": other} for other in others]}


def _quic(config: Config, place: Place) -> dict[str, Any]:
    tls = {
        "@type": f"{_EXT}.transport_sockets.quic.v3.QuicDownstreamTransport",
        "downstream_tls_context": {
            key: value for key, value in _tls(config, place, ["h3"]).items() if key != "@type"
        },
    }
    return {
        "@type": f"{_TYPE}.config.listener.v3.Listener",
        "name": "quic",
        **_addresses(config, place, "UDP"),
        "udp_listener_config": {"quic_options": {}, "downstream_socket_config": {"prefer_gro": True}},
        "filter_chains": [
            {
                "filters": [_http(config, place, "HTTP3")],
                "transport_socket": {"name": "quic", "typed_config": tls},
            }
        ],
    }


def _tls(config: Config, place: Place, protocols: list[str]) -> dict[str, Any]:
    tls = config.server.tls
    least = "TLSv1_3" if "h3" in protocols or (tls and tls.minimum == "1.3") else "TLSv1_2"
    return {
        "@type": f"{_EXT}.transport_sockets.tls.v3.DownstreamTlsContext",
        "common_tls_context": {
            "tls_params": {
                "tls_minimum_protocol_version": least,
                "tls_maximum_protocol_version": "TLSv1_3",
                "cipher_suites": _CIPHERS,
            },
            "alpn_protocols": protocols,
            "tls_certificate_sds_secret_configs": [
                {"name": "server", "sds_config": _watched(place, SECRETS)}
            ],
        },
    }


def _http(config: Config, place: Place, codec: str) -> dict[str, Any]:
    server = config.server
    limits = server.limits
    options: dict[str, Any] = {
        "@type": f"{_EXT}.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": STATS,
        "codec_type": codec,
        "rds": {"route_config_name": STATS, "config_source": _watched(place, ROUTES)},
        # Nothing of the request is made nicer here: what the workers refuse they must see.
        "normalize_path": False,
        "merge_slashes": False,
        "path_with_escaped_slashes_action": "KEEP_UNCHANGED",
        "use_remote_address": True,
        "skip_xff_append": True,
        "generate_request_id": False,
        "preserve_external_request_id": True,
        "server_header_transformation": "PASS_THROUGH",
        "proxy_100_continue": True,
        "upgrade_configs": [{"upgrade_type": "websocket"}],
        "common_http_protocol_options": {
            "idle_timeout": _seconds(limits.keepalive_timeout),
            "max_headers_count": limits.header_count,
        },
        "max_request_headers_kb": -(-limits.head_size // 1024),
        "request_headers_timeout": _seconds(limits.head_timeout),
        **_idle(config),
        "http_protocol_options": _http1(config),
        "http2_protocol_options": _HTTP2,
        "early_header_mutation_extensions": [_hop(config, "https" if server.tls else "http")],
        "http_filters": [_ROUTER],
    }
    if codec == "HTTP3":
        options["http3_protocol_options"] = {"allow_extended_connect": True}
    return {"name": "http", "typed_config": options}


_HTTP2 = {
    "max_concurrent_streams": 100,
    "initial_stream_window_size": 262144,
    "initial_connection_window_size": 1048576,
    "allow_connect": True,  # WebSockets over HTTP/2 (RFC 8441)
}
_ROUTER = {
    "name": "router",
    "typed_config": {"@type": f"{_EXT}.filters.http.router.v3.Router", "suppress_envoy_headers": True},
}


def _http1(config: Config) -> dict[str, Any]:
    return {
        # Only WebSockets switch a connection. Any other upgrade is dropped, and the request served as it is.
        "ignore_http_11_upgrade": [{"safe_regex": {"regex": all_but("websocket")}}],
        "enable_trailers": True,
        "accept_http_10": True,
        "default_host_for_http_10": urlsplit(config.server.public_url).netloc,
    }


def _idle(config: Config) -> dict[str, Any]:
    """How long a stream may be silent. The workers end it sooner, with an answer; this is for what never got there."""
    times = [route.timeouts.idle for route in config.routes] or [300.0]
    longest = 0.0 if 0.0 in times else max(times) + 30.0
    return {
        "stream_idle_timeout": _seconds(longest),
        "stream_flush_timeout": _seconds(max(*times, 30.0)),
    }


def _hop(config: Config, scheme: str) -> dict[str, Any]:
    unix = config.server.listen.startswith("unix:")
    direct = "unix" if unix else "%DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT%"
    remote = "unix" if unix else "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%"
    # Envoy is about to write X-Forwarded-Proto anew; what the client sent is what a trusted proxy may have said.
    value = f"{scheme} %PROTOCOL% {direct} {remote} %REQ(x-forwarded-proto)%"
    told = {"header": {"key": HOP, "value": value}, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}
    return {
        "name": "hop",
        "typed_config": {
            "@type": f"{_EXT}.http.early_header_mutation.header_mutation.v3.HeaderMutation",
            "mutations": [{"append": told}],
        },
    }


def _seconds(duration: float) -> str:
    return f"{duration:g}s"


def limits_behind(limits: HttpLimits) -> HttpLimits:
    """The limits of a worker behind Envoy, which keeps the configured ones itself and adds a header or two."""
    return limits.model_copy(
        update={
            "head_size": limits.head_size + 8 * 1024,
            "header_count": limits.header_count + 10,
            "keepalive_timeout": 3600.0,
            "connections": _NO_LIMIT,
        }
    )
