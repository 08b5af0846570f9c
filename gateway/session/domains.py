"""Knows which hosts sign in at the portal and get their session handed over, and which configured domain a host is
in.
"""

from urllib.parse import urlsplit

from gateway.config import addresses
from gateway.config.patterns import host_matches
from gateway.config.schema import Config
from gateway.model import Target


class Domains:
    """The entries of `domains`, and the portal's host. All hosts are lower case."""

    def __init__(self, config: Config) -> None:
        portal = urlsplit(config.server.public_url)
        self._scheme, self._home, self._port = portal.scheme, portal.hostname or "", portal.port
        self._shared = config.session.domain
        self._names = sorted((one.domain for one in config.domains), key=len, reverse=True)
        self.any = bool(self._names)
        self._exact = frozenset(route.host.lower() for route in config.routes if "*" not in route.host)
        self._more = tuple(pattern for one in config.domains for pattern in one.hosts)

    def of(self, host: str) -> str:
        """Return the configured domain that a host is in, the longest of them; "" if none."""
        return next((name for name in self._names if addresses.is_below(host, name)), "")

    def is_remote(self, host: str) -> bool:
        """Tell whether this host can't see the portal's cookie and has its session handed over."""
        if not self._names or host == self._home:
            return False
        if self._shared and addresses.is_below(host, self._shared):
            return False
        return bool(self.of(host))

    def bound_to(self, host: str) -> str:
        """The host that a cookie must be made for to count here: a remote host itself, else "" (the portal's)."""
        return host if self.is_remote(host) else ""

    def is_named(self, host: str) -> bool:
        """Whether the operator wrote this host down.

        A host that only a wildcard covers may be a forgotten name in DNS which now leads to somebody else's machine.
        """
        return host in self._exact or any(host_matches(pattern, host) for pattern in self._more)

    def may_receive(self, destination: Target) -> bool:
        """Whether a session may be handed to there: a named remote host, reached the same way as the portal."""
        default = {"http": 80, "https": 443}.get(self._scheme)
        same_port = (destination.port or default) == (self._port or default)
        reached_alike = destination.scheme == self._scheme and same_port
        return reached_alike and self.is_remote(destination.host) and self.is_named(destination.host)
