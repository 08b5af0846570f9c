"""The listening side: where, with which certificate, for whom, and what one client may cost."""

from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import Field, StringConstraints

from gateway.config.sections.acme import Acme
from gateway.config.sections.base import Network, Section, Words
from gateway.config.units import Duration, Size

Prefix = Annotated[
    str,
    StringConstraints(pattern=r"^(/[A-Za-z0-9_-]+)+$"),
    Words("a path of letters, digits, `_` and `-`, such as `/_auth` or `/sso/auth`"),
]
Workers = Annotated[
    Annotated[int, Field(ge=1)] | Literal["auto"], Words("a number of processes from 1, or `auto`")
]


PLAIN = "http://"
"""What marks an address that only redirects to https."""


class Tls(Section):
    """The certificate with which the gateway serves https itself: `cert_file` and `key_file`, or `acme`."""

    cert_file: Path | None = Field(None, description="PEM certificate chain")
    key_file: Path | None = Field(None, description="PEM private key")
    acme: Acme | None = Field(
        None, description="get and renew the certificate by ACME, instead of files (docs/certificates.md)"
    )
    client_ca_file: Path | None = Field(
        None, description="CA of client certificates, for routes with `client_cert`; clients may have none"
    )
    minimum: Literal["1.2", "1.3"] = Field("1.2", description="lowest TLS version accepted (in quotes)")


class HttpLimits(Section):
    """What one client may cost, so that none takes what is there for all."""

    head_size: Size = Field(32 * 1024, description="request line and headers together; more is 431")
    header_count: int = Field(100, ge=10, description="headers in one request; more is 431")
    head_timeout: Duration = Field(15.0, description="time to send a complete head; slower is 408")
    keepalive_timeout: Duration = Field(75.0, description="how long an idle client connection stays open")
    connections: int = Field(10_000, ge=1, description="open client connections of one worker")
    connections_per_address: int | None = Field(
        None, ge=1, description="of these for one client address (or IPv6 /64); default: a quarter"
    )


class Server(Section):
    """Where the gateway listens, and whom it believes."""

    listen: str | tuple[str, ...] = Field(
        "127.0.0.1:8080",
        description='"host:port", "[::1]:port", ":port" (all addresses) or "unix:/path", or a list of them. With `tls`,'
        ' port 80 and what is written "http://host:port" only redirect to https (docs/certificates.md)',
    )
    public_url: str = Field(
        "http://localhost:8080",
        description="where browsers reach the portal: `https://login.example.com`, or `https://example.com/sso` where"
        " another proxy passes only that path of its host on to us (docs/proxies.md)",
    )
    frame_ancestors: tuple[str, ...] = Field(
        (),
        description="origins whose pages may show ours in a frame, such as `https://intranet.example.com`; browsers "
        "send our cookie there only within one site (docs/re-login.md)",
    )
    home_url: str = Field(
        "",
        description="your own page of apps, shown instead of ours at `/` and the prefix of the portal's host"
        " (docs/apps.md)",
    )
    allow_plain_http: bool = Field(
        False,
        description="accept an http public_url beyond localhost; passwords and cookies travel in the clear",
    )
    workers: Workers = Field("auto", description="processes; auto = one per core")
    trusted_proxies: tuple[Network, ...] = Field(
        (), description="networks whose X-Forwarded-* are believed; empty trusts nobody (docs/proxies.md)"
    )
    proxy_headers: Literal["x-forwarded", "forwarded"] = Field(
        "x-forwarded",
        description="what they write: X-Forwarded-*, or Forwarded (RFC 7239); the other is not read",
    )
    tls: Tls | None = Field(None, description="serve https ourselves")
    prefix: Prefix = Field(
        "/_auth",
        description="the path that belongs to the gateway; below that of `public_url`, if it has one",
    )
    engine: Literal["embedded", "envoy"] = Field(
        "embedded",
        description="what carries the traffic: our own proxy, or Envoy, which `serve` then starts and looks after"
        " (docs/engine.md; needs `auth-gateway[envoy]`)",
    )
    http3: bool = Field(
        True, description="with `engine: envoy` and `tls`: HTTP/3 on the UDP port of `listen`, too"
    )
    proxy_protocol: tuple[Network, ...] = Field(
        (),
        description="with `engine: envoy`: networks whose PROXY protocol headers (v1, v2) say who the client is",
    )
    reload: Literal["signal", "on_change"] = Field(
        "signal",
        description="when the configuration is read anew: at SIGHUP, or also when its files have changed",
    )
    drain_timeout: Duration = Field(30.0, description="how long SIGTERM waits for running requests")
    limits: HttpLimits = Field(HttpLimits(), description="what one client may cost")
    templates: Path | None = Field(None, description="folder whose templates replace ours one by one")
    fast_path: bool = Field(
        True,
        description="serve plain requests of known sessions from socket to socket; the rules are the same",
    )
    metrics_networks: tuple[Network, ...] = Field(
        (IPv4Network("127.0.0.0/8"), IPv6Network("::1/128")), description="who may read metrics"
    )

    @property
    def base(self) -> str:
        """Return the path of `public_url`, such as "/sso"; "" where the gateway has the whole host."""
        return urlsplit(self.public_url).path

    @property
    def origin(self) -> str:
        """Return scheme, host and port of `public_url`."""
        parts = urlsplit(self.public_url)
        return f"{parts.scheme}://{parts.netloc}"

    @property
    def pages_url(self) -> str:
        """Return the address below which our own pages are, such as "https://login.example.com/_auth"."""
        return f"{self.origin}{self.prefix}"

    @property
    def listens(self) -> tuple[str, ...]:
        """Return all addresses to listen on, as "host:port" or "unix:/path"."""
        return tuple(one.removeprefix(PLAIN) for one in self._written())

    @property
    def plain(self) -> tuple[str, ...]:
        """Return those that, beside https, only redirect to it."""
        return tuple(one.removeprefix(PLAIN) for one in self._written() if self._redirects(one))

    @property
    def main(self) -> tuple[str, ...]:
        """Return those that serve everything."""
        return tuple(one.removeprefix(PLAIN) for one in self._written() if not self._redirects(one))

    def _written(self) -> tuple[str, ...]:
        return (self.listen,) if isinstance(self.listen, str) else self.listen

    def _redirects(self, written: str) -> bool:
        if self.tls is None or written.startswith("unix:"):
            return False
        return written.startswith(PLAIN) or written.endswith(":80")
