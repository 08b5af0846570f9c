"""Reads `redis+sentinel://user:password@host:26379,host:26379/mymaster/0`, and `rediss+sentinel://` for TLS."""

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import parse_qsl, unquote

_TLS_OPTIONS = ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile", "ssl_cert_reqs")
_PORT = 26379


@dataclass(frozen=True, slots=True)
class SentinelUrl:
    """Which sentinels to ask for the master of `service`, and how to sign in to it. `tls` is None without TLS."""

    hosts: Sequence[tuple[str, int]]
    service: str
    database: int
    username: str
    password: str
    tls: dict[str, str] | None


def read_sentinels(url: str) -> SentinelUrl:
    """Read a URL that names sentinels. Raises ValueError for what is not such a URL."""
    scheme, _, rest = url.partition("://")
    rest, _, query = rest.partition("?")
    login, _, place = rest.rpartition("@")
    hosts, _, path = place.partition("/")
    service, _, database = path.strip("/").partition("/")
    if not service or not hosts:
        raise ValueError("no sentinel, or no name of a master")
    options = dict(parse_qsl(query, keep_blank_values=True, strict_parsing=bool(query)))
    if unknown := set(options) - set(_TLS_OPTIONS):
        raise ValueError(f"unknown options {sorted(unknown)}")
    username, _, password = login.partition(":")
    return SentinelUrl(
        hosts=[_host(host) for host in hosts.split(",")],
        service=unquote(service),
        database=int(database or 0),
        username=unquote(username),
        password=unquote(password),
        tls=options if scheme.startswith("rediss") else None,
    )


def _host(text: str) -> tuple[str, int]:
    """ "host", "host:port" or "[::1]:port"."""
    if text.startswith("["):
        host, _, port = text[1:].partition("]")
        port = port.removeprefix(":")
    else:
        host, _, port = text.partition(":")
    if not host:
        raise ValueError("a sentinel without a name")
    return host, int(port or _PORT)
