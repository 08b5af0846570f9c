"""Which hosts sign in at the portal and get their session handed over, and which configured domain a host is in."""

from urllib.parse import urlsplit

from gateway.config import addresses
from gateway.config.schema import Config
from gateway.model import Target


class Domains:
    def __init__(self, config: Config) -> None:
        portal = urlsplit(config.server.public_url)
        self._scheme, self._home, self._port = portal.scheme, portal.hostname or "", portal.port
        self._shared = config.session.domain
        self._names = sorted((one.domain for one in config.domains), key=len, reverse=True)

    @property
    def any(self) -> bool:
        return bool(self._names)

    def of(self, host: str) -> str:
        """The configured domain that a host is in, the longest of them; "" if none."""
        return next((name for name in self._names if addresses.is_below(host, name)), "")

    def is_remote(self, host: str) -> bool:
        """Whether this host can't see the portal's cookie and has it handed over."""
        if host == self._home or (self._shared and addresses.is_below(host, self._shared)):
            return False
        return bool(self.of(host))

    def may_receive(self, destination: Target) -> bool:
        """Whether a session may be handed to there: a remote host, reached the same way as the portal."""
        default = {"http": 80, "https": 443}.get(self._scheme)
        same_port = (destination.port or default) == (self._port or default)
        return destination.scheme == self._scheme and same_port and self.is_remote(destination.host)
