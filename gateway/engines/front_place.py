"""Where Envoy stands as our front door, and what the files for it have in common."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from gateway.config.schema import Config

BOOTSTRAP, LISTENERS, CLUSTERS, ENDPOINTS, ROUTES, SECRETS = (
    *("envoy.json", "listeners.json", "clusters.json", "endpoints.json", "routes.json", "secrets.json"),
)
ADMIN, NOBODY, PIPE, ENDED = "admin.sock", "nobody.sock", "carried.pipe", "ended"
AUTHORITIES = "authorities"
GATEWAY = "gateway"
"""The cluster of our workers."""
STATS = "public"
IDLE_TO_WORKERS = 1.0
"""Seconds after which Envoy, and never a worker, closes an unused connection between the two."""
TYPE = "type.googleapis.com/envoy"
EXT = f"{TYPE}.extensions"
NO_LIMIT = 1_000_000_000

HTTP_OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"


class StaticPage(NamedTuple):
    """What Envoy answers by itself in our name: headers but for the length, and the body."""

    headers: tuple[tuple[str, str], ...]
    body: str


class CheckedBy(NamedTuple):
    """PEM certificates of authorities, none where no client is asked for a certificate; and the number that workers are
    told with each (`server.process.engine_authorities`).
    """

    pem: str = ""
    number: int = 0


NOBODY_ASKED = CheckedBy()


@dataclass(frozen=True, slots=True)
class EnginePlace:
    """Where Envoy stands.

    Args:
        folder: its private directory, with the sockets and these files.
        socket: the unix socket of the workers that are to be asked.
        addresses: IP addresses and ports to listen on; empty for a unix socket.
        workers: how many processes of ours answer behind it.
        certificate: the PEM chain; empty for plain HTTP.
        key: its PEM key.
        authorities: by whom the certificates of clients are checked.
        too_large: for a head beyond `limits.head_size` (431); None for one line.
    """

    folder: Path
    socket: str
    addresses: tuple[tuple[str, int], ...]
    workers: int
    certificate: str = ""
    key: str = ""
    authorities: CheckedBy = NOBODY_ASKED
    too_large: StaticPage | None = None


def watched(place: EnginePlace, name: str) -> dict[str, Any]:
    """Return a source of configuration: one of these files, read again when another takes its name."""
    path = {"path": str(place.folder / name)}
    return {"path_config_source": path, "resource_api_version": "V3"}


def has_http3(config: Config) -> bool:
    """Tell whether clients are offered HTTP/3, over which Envoy asks nobody for a certificate."""
    server = config.server
    asks = server.tls is not None and server.tls.client_ca_file is not None
    return server.tls is not None and server.http3 and not asks and not server.main[0].startswith("unix:")


def cluster(
    name: str,
    address: dict[str, Any] | None,
    *,
    connect: float,
    http: dict[str, Any] | None = None,
    **more: Any,
) -> dict[str, Any]:
    """Return a cluster without Envoy's own limits, 1024 of each, which would refuse what our workers serve.

    Args:
        name: unique.
        address: of its only server; None if `more` says where the servers are.
        connect: seconds that a connection may take.
        http: what is spoken, of HttpProtocolOptions.
        more: other fields.
    """
    found: dict[str, Any] = {
        "@type": f"{TYPE}.config.cluster.v3.Cluster",
        "name": name,
        "connect_timeout": f"{connect:g}s",
        "circuit_breakers": {"thresholds": [dict.fromkeys(_BREAKERS, NO_LIMIT)]},
        **more,
    }
    if address is not None:
        endpoints = [{"lb_endpoints": [{"endpoint": {"address": address}}]}]
        found["load_assignment"] = {"cluster_name": name, "endpoints": endpoints}
    if http is not None:
        options = {"@type": f"{EXT}.upstreams.http.v3.HttpProtocolOptions", **http}
        found["typed_extension_protocol_options"] = {HTTP_OPTIONS: options}
    return found


_BREAKERS = ("max_connections", "max_pending_requests", "max_requests", "max_retries")
