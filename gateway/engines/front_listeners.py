"""What Envoy, our front door, listens on: TCP and QUIC, with TLS, our limits, and the hop told to the workers. Pure."""

from typing import Any
from urllib.parse import urlsplit

from gateway.config.schema import Config
from gateway.engines.carrying import carried
from gateway.engines.envoy_lua import all_but
from gateway.engines.front_carried import access_log, carried_filters
from gateway.engines.front_failed import local_replies
from gateway.engines.front_place import (
    EXT,
    PIPE,
    ROUTES,
    SECRETS,
    STATS,
    TYPE,
    EnginePlace,
    has_http3,
    watched,
)
from gateway.request.hop import CERTIFICATE, FORBIDDEN, HOP

_CIPHERS = [
    *("ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-RSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES256-GCM-SHA384"),
    *("ECDHE-RSA-AES256-GCM-SHA384", "ECDHE-ECDSA-CHACHA20-POLY1305", "ECDHE-RSA-CHACHA20-POLY1305"),
]

_SIGNATURES = [
    *("ecdsa_secp256r1_sha256", "rsa_pss_rsae_sha256", "rsa_pkcs1_sha256"),
    *("ecdsa_secp384r1_sha384", "rsa_pss_rsae_sha384", "rsa_pkcs1_sha384"),
    *("ecdsa_secp521r1_sha512", "rsa_pss_rsae_sha512", "rsa_pkcs1_sha512", "ed25519"),
]
"""What clients may prove their certificates with: Ed25519, too, which Envoy does not ask for by itself."""


def listeners(config: Config, place: EnginePlace) -> list[dict[str, Any]]:
    """Return the listeners: TCP, and UDP for HTTP/3."""
    listeners = [_tcp(config, place)]
    if has_http3(config):
        listeners.append(_quic(config, place))
    return listeners


def _tcp(config: Config, place: EnginePlace) -> dict[str, Any]:
    server = config.server
    chain: dict[str, Any] = {"filters": [_http(config, place, "AUTO")]}
    if server.tls is not None:
        chain["transport_socket"] = {"name": "tls", "typed_config": _tls(config, place, ["h2", "http/1.1"])}
    listener: dict[str, Any] = {
        "@type": f"{TYPE}.config.listener.v3.Listener",
        "name": "tcp",
        **_addresses(config, place, "TCP"),
        "filter_chains": [chain],
        "per_connection_buffer_limit_bytes": 262144,
        "tcp_backlog_size": 4096,
    }
    if server.proxy_protocol:
        options = {
            "@type": f"{EXT}.filters.listener.proxy_protocol.v3.ProxyProtocol",
            # Whom the header may speak for decides the worker, which is told both addresses.
            "allow_requests_without_proxy_protocol": True,
        }
        listener["listener_filters"] = [{"name": "proxy_protocol", "typed_config": options}]
    if server.tls is not None and not server.main[0].startswith("unix:"):
        listener["listener_filters_timeout"] = f"{server.limits.head_timeout:.0f}s"
    return listener


def _addresses(config: Config, place: EnginePlace, protocol: str) -> dict[str, Any]:
    listen = config.server.main[0]
    if listen.startswith("unix:"):
        return {"address": {"pipe": {"path": listen.removeprefix("unix:"), "mode": 0o660}}}
    first, *others = [
        {"socket_address": {"protocol": protocol, "address": host, "port_value": port}}
        for host, port in place.addresses
    ]
    return {"address": first, "additional_addresses": [{"address": other} for other in others]}


def _quic(config: Config, place: EnginePlace) -> dict[str, Any]:
    tls = {
        "@type": f"{EXT}.transport_sockets.quic.v3.QuicDownstreamTransport",
        "downstream_tls_context": {
            key: value for key, value in _tls(config, place, ["h3"]).items() if key != "@type"
        },
    }
    return {
        "@type": f"{TYPE}.config.listener.v3.Listener",
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


def _tls(config: Config, place: EnginePlace, protocols: list[str]) -> dict[str, Any]:
    tls = config.server.tls
    least = "TLSv1_3" if "h3" in protocols or (tls and tls.minimum == "1.3") else "TLSv1_2"
    # As with our own server: a certificate that does not hold ends the handshake, having none does not. The authorities
    # stand here and not in a file of their own: others make another listener, whose connections begin anew.
    checked = {"validation_context": {"trusted_ca": {"inline_string": place.authorities.pem}}}
    return {
        "@type": f"{EXT}.transport_sockets.tls.v3.DownstreamTlsContext",
        "common_tls_context": {
            **(checked if place.authorities.pem else {}),
            "tls_params": {
                "tls_minimum_protocol_version": least,
                "tls_maximum_protocol_version": "TLSv1_3",
                "cipher_suites": _CIPHERS,
                **({"signature_algorithms": _SIGNATURES} if place.authorities.pem else {}),
            },
            "alpn_protocols": protocols,
            "tls_certificate_sds_secret_configs": [{"name": "server", "sds_config": watched(place, SECRETS)}],
        },
    }


def _http(config: Config, place: EnginePlace, codec: str) -> dict[str, Any]:
    server = config.server
    limits = server.limits
    options: dict[str, Any] = {
        "@type": f"{EXT}.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": STATS,
        "codec_type": codec,
        "rds": {"route_config_name": STATS, "config_source": watched(place, ROUTES)},
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
        "local_reply_config": local_replies(carries=bool(carried(config)), too_large=place.too_large),
        "http_protocol_options": _http1(config),
        "http2_protocol_options": _HTTP2,
        "early_header_mutation_extensions": [_hop(config, place, "https" if server.tls else "http")],
        "http_filters": [*carried_filters(config, place.folder), _ROUTER],
        "access_log": access_log(config, str(place.folder / PIPE)),
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
    "typed_config": {"@type": f"{EXT}.filters.http.router.v3.Router", "suppress_envoy_headers": True},
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


def _hop(config: Config, place: EnginePlace, scheme: str) -> dict[str, Any]:
    unix = config.server.main[0].startswith("unix:")
    direct = "unix" if unix else "%DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT%"
    remote = "unix" if unix else "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%"
    # Envoy is about to write X-Forwarded-Proto anew; what the client sent is what a trusted proxy may have said.
    framing = "len=%REQ(content-length)%,%REQ(transfer-encoding)%"
    value = f"{scheme} %PROTOCOL% {direct} {remote} {framing} %REQ(x-forwarded-proto)%"
    told = [{"header": {"key": HOP, "value": value}, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}]
    if config.server.tls is not None and config.server.tls.client_ca_file is not None:
        shown = {"key": CERTIFICATE, "value": f"{place.authorities.number} %DOWNSTREAM_PEER_CERT%"}
        told.append({"header": shown, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"})
    return {
        "name": "hop",
        "typed_config": {
            "@type": f"{EXT}.http.early_header_mutation.header_mutation.v3.HeaderMutation",
            "mutations": [*({"remove": name} for name in FORBIDDEN), *({"append": one} for one in told)],
        },
    }


def _seconds(duration: float) -> str:
    return f"{duration:g}s"
