"""Envoy as our own front door (`server.engine: envoy`): the files that `serve` writes for it and that it watches.

Pure. Unlike the exported configuration, it leaves what the client has sent as it is: our workers, behind a unix socket
that nobody else reaches, read it as if the client had come to them, with the hop (`request.hop`) told in one header.
"""

import hashlib
import json
from typing import Any
from urllib.parse import urlsplit

from gateway.config.schema import Config, HttpLimits
from gateway.engines.front_bridges import bridge_clusters, bridge_listeners
from gateway.engines.front_carried import carried_clusters, carried_routes, to_the_workers
from gateway.engines.front_listeners import listeners
from gateway.engines.front_place import (
    ADMIN,
    BOOTSTRAP,
    CLUSTERS,
    ENDPOINTS,
    EXT,
    GATEWAY,
    IDLE_TO_WORKERS,
    LISTENERS,
    NO_LIMIT,
    NOBODY,
    ROUTES,
    SECRETS,
    STATS,
    TYPE,
    EnginePlace,
    cluster,
    has_http3,
    watched,
)


def front_files(config: Config, place: EnginePlace) -> dict[str, str]:
    """Return file name -> content; Envoy is started with the first and watches the others."""
    resources = {
        SECRETS: _secrets(place),
        ENDPOINTS: [_endpoints(place)],
        CLUSTERS: [*_clusters(place), *carried_clusters(config), *bridge_clusters(config, place)],
        ROUTES: [_routes(config)],
        LISTENERS: [*listeners(config, place), *bridge_listeners(config, place)],
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


def _bootstrap(config: Config, place: EnginePlace) -> dict[str, Any]:
    most = config.server.limits.connections * place.workers
    return {
        "node": {"id": "auth-gateway", "cluster": "auth-gateway"},
        # No TCP port: whoever reaches it can stop Envoy and read its keys.
        "admin": {"address": {"pipe": {"path": str(place.folder / ADMIN), "mode": 0o600}}},
        "dynamic_resources": {
            "lds_config": watched(place, LISTENERS),
            "cds_config": watched(place, CLUSTERS),
        },
        "overload_manager": {
            "resource_monitors": [
                {
                    "name": "envoy.resource_monitors.global_downstream_max_connections",
                    "typed_config": {
                        "@type": f"{EXT}.resource_monitors.downstream_connections.v3.DownstreamConnectionsConfig",
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


def _secrets(place: EnginePlace) -> list[dict[str, Any]]:
    if not place.certificate:
        return []
    pair = {
        "certificate_chain": {"inline_string": place.certificate},
        "private_key": {"inline_string": place.key},
    }
    return [{"@type": f"{EXT}.transport_sockets.tls.v3.Secret", "name": "server", "tls_certificate": pair}]


# -- clusters ------------------------------------------------------------------------------------------------------


def _clusters(place: EnginePlace) -> list[dict[str, Any]]:
    spoken = {
        "common_http_protocol_options": {
            "idle_timeout": f"{IDLE_TO_WORKERS:.0f}s",
            "max_headers_count": 1000,
            "max_response_headers_kb": 256,
        },
        "explicit_http_config": {"http_protocol_options": {"enable_trailers": True}},
    }
    # Not part of the cluster: a cluster that changes has nobody in it for a moment.
    endpoints = {"eds_config": watched(place, ENDPOINTS)}
    nobody = {"pipe": {"path": str(place.folder / NOBODY)}}  # who never answers: see `front_lua`
    return [
        cluster("nobody", nobody, connect=5, type="STATIC"),
        cluster(GATEWAY, None, connect=5, http=spoken, type="EDS", eds_cluster_config=endpoints),
    ]


def _endpoints(place: EnginePlace) -> dict[str, Any]:
    """Return which workers are asked: those of one generation."""
    endpoint = {"endpoint": {"address": {"pipe": {"path": place.socket}}}}
    return {
        "@type": f"{TYPE}.config.endpoint.v3.ClusterLoadAssignment",
        "cluster_name": GATEWAY,
        "endpoints": [{"lb_endpoints": [endpoint]}],
    }


# -- routes --------------------------------------------------------------------------------------------------------


def _routes(config: Config) -> dict[str, Any]:
    to_us = to_the_workers()
    paths = ({"prefix": "/"}, {"path": "*"})
    routes = [*carried_routes(config), *({"match": path, "route": to_us} for path in paths)]
    found: dict[str, Any] = {
        "@type": f"{TYPE}.config.route.v3.RouteConfiguration",
        "name": STATS,
        "virtual_hosts": [{"name": "all", "domains": ["*"], "routes": routes}],
    }
    if has_http3(config):
        port = urlsplit(config.server.public_url).port or 443
        told = {"header": {"key": "alt-svc", "value": f'h3=":{port}"; ma=86400'}}
        found["response_headers_to_add"] = [told]
    return found


def limits_behind(limits: HttpLimits, *, certificates: bool = False) -> HttpLimits:
    """The limits of a worker behind Envoy, which keeps the configured ones itself and adds a header or two: a client's
    certificate among them, with `certificates`.
    """
    return limits.model_copy(
        update={
            "head_size": limits.head_size + (72 if certificates else 8) * 1024,
            "header_count": limits.header_count + 10,
            "keepalive_timeout": 3600.0,
            "connections": NO_LIMIT,
        }
    )
