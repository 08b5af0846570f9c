"""Parses hosts, origins and listening addresses as they are written in the configuration. Pure."""

import re
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_address
from urllib.parse import SplitResult, urlsplit

# RFC 1123 §2.1 labels, with the underscore that internal networks use.
_NAME = re.compile(
    r"(?=.{1,253}$)[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?)*"
)
_LISTEN = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]+\]|[^\[\]:/\s]*):(?P<port>[0-9]{1,5})")
_ANY = ("", "0.0.0.0", "::")  # noqa: S104 - compared, not bound


@dataclass(frozen=True, slots=True)
class Origin:
    """Where something can be reached. `host` is lower case, IPv6 without brackets."""

    scheme: str
    host: str
    port: int

    @property
    def authority(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _default_port(self.scheme) else f"{host}:{self.port}"


def split(url: str) -> SplitResult | None:
    """The parts of an http(s) URL with a host and a valid port; None for anything else."""
    try:
        parts = urlsplit(url)
        number = parts.port
    except ValueError:
        return None
    strange = any(char <= " " or char == "\\" or char == "\x7f" for char in url)
    if strange or parts.scheme not in ("http", "https") or not parts.hostname or number == 0:
        return None
    return parts if is_name(parts.hostname) or is_ip(parts.hostname) else None


def port(parts: SplitResult) -> int:
    """Return the port, or the scheme's default."""
    return parts.port or _default_port(parts.scheme)


def origin(url: str) -> Origin | None:
    """Return the origin that `url` is; None if it has a path, query, fragment or credentials."""
    parts = split(url)
    if (
        parts is None
        or parts.path
        or parts.query
        or parts.fragment
        or "@" in parts.netloc
        or url.endswith(("?", "#"))
    ):
        return None
    return Origin(parts.scheme, parts.hostname or "", port(parts))


_PLAIN_PATH = re.compile(r"(/[A-Za-z0-9_-]+)*")


def public_origin(url: str) -> Origin | None:
    """Return the origin of an address below which pages are, such as "https://h" or "https://h/sso".

    None if it is anything else: no plain path, a "/" at its end, a query, a fragment or credentials.
    """
    parts = split(url)
    if parts is None or not _PLAIN_PATH.fullmatch(parts.path):
        return None
    return origin(url.removesuffix(parts.path))


# Of pages inside mobile and desktop apps, such as capacitor://localhost or tauri://localhost. Schemes that run or read
# anything by themselves are no app's.
_OF_AN_APP = re.compile(
    r"(?!javascript:|data:|file:|blob:|about:|view-source:)[a-z][a-z0-9+.-]*://[a-z0-9._-]+(:[0-9]{1,5})?"
)


def page_origin(text: str) -> tuple[str, str] | None:
    """Return scheme and authority of an origin that pages may have, also with an app's own scheme; None if it is none.

    An origin is scheme, host and port, nothing more, not even a "/" (RFC 6454 §6.2). "null", which
    sandboxed frames send, is none.
    """
    given = text.strip().lower()
    if (known := origin(given)) is not None:
        return known.scheme, known.authority
    if given.startswith(("http:", "https:", "ws:", "wss:")) or not _OF_AN_APP.fullmatch(given):
        return None
    scheme, _, authority = given.partition("://")
    return scheme, authority


def listen_address(text: str) -> tuple[str, int] | None:
    """("127.0.0.1", 8080), ("", 8080) for all addresses; ("unix:/path", 0) for a socket file; None if it is neither."""
    if text.startswith("unix:"):
        return (text, 0) if text.startswith("unix:/") and len(text) > len("unix:/") else None
    match = _LISTEN.fullmatch(text)
    if not match or int(match["port"]) > 65535:
        return None
    host = match["host"].strip("[]").lower()
    good = not match["host"] or is_ip(host) or ("[" not in match["host"] and is_name(host))
    return (host, int(match["port"])) if good else None


def reaches(address: tuple[str, int], host: str, port: int) -> bool:
    """Whether connecting to host:port would reach a listener at this address."""
    own, own_port = address
    return port == own_port and (host == own or (is_local(host) and (own in _ANY or is_local(own))))


def is_name(host: str) -> bool:
    """Whether a host is a DNS name."""
    return bool(_NAME.fullmatch(host))


def is_ip(host: str) -> bool:
    """Whether a host is an IP address."""
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def compressed(host: str) -> str:
    """Return the one spelling of an IP address that requests are matched by (RFC 5952); "" for names."""
    return ip_address(host).compressed if is_ip(host) else ""


def is_compressed_ip(host: str) -> bool:
    return bool(host) and compressed(host) == host


def is_local(host: str) -> bool:
    """Whether a host is this machine, as browsers count it: there cookies need not be Secure (W3C Secure Contexts
    §3.1).
    """
    return ip_address(host).is_loopback if is_ip(host) else host == "localhost" or host.endswith(".localhost")


def is_private(network: IPv4Network | IPv6Network) -> bool:
    """Whether nobody else can have an address there (RFC 1918, 4193, 6598, loopback, link-local)."""
    shared = network.version == 4 and network.subnet_of(IPv4Network("100.64.0.0/10"))
    return network.is_private or network.is_link_local or shared


def is_below(host: str, domain: str) -> bool:
    """Whether a host is `domain` or a name below it."""
    return host == domain or host.endswith(f".{domain}")


def _default_port(scheme: str) -> int:
    return 443 if scheme == "https" else 80
