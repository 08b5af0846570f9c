"""Where browsers register and prove the keys of bound sessions, and for which site that counts."""

from urllib.parse import urlsplit

from gateway.config.public_suffixes import registrable_domain
from gateway.config.schema import Config
from gateway.session.device_binding import KeyEndpoints

REGISTER, REFRESH = "/device-key", "/device-key/refresh"
"""Below the prefix."""
SITE = "/.well-known/device-bound-sessions"
"""Outside it, at the host that has the name of the whole site."""


def key_endpoints(config: Config) -> KeyEndpoints:
    """Return the endpoints. With `session.domain` the portal has them for all hosts, else each host has its own."""
    prefix, site = config.server.prefix, site_host(config)
    if not site:
        return KeyEndpoints(f"{prefix}{REGISTER}", f"{prefix}{REFRESH}")
    portal = config.server.origin
    scheme = urlsplit(portal).scheme
    return KeyEndpoints(f"{portal}{prefix}{REGISTER}", f"{portal}{prefix}{REFRESH}", f"{scheme}://{site}")


def site_host(config: Config) -> str:
    """Return the host that speaks for all others that share the session, "" where none do."""
    return registrable_domain(config.session.domain) if config.session.domain else ""
