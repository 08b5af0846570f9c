"""Reads what is being asked for, once: scheme, host, canonical path, method, client address, its id and its cookies.

The refusal of ambiguous paths lives only here, the trusted-proxy rule in forwarded.py. Nothing else may look at
X-Forwarded-* headers or decode a path, so the rule and the upstream can never see different things (security rule 1).
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from ipaddress import ip_address
from random import getrandbits
from urllib.parse import urlsplit

from multidict import CIMultiDictProxy

from gateway.config.schema import Network
from gateway.errors import RequestRefused
from gateway.model import IPAddress, Target
from gateway.request.forwarded import read_forwarded

# RFC 9112 §3.2, RFC 3986 §3.2.2: a name, an IPv4 or a bracketed IPv6 address, then a port, which may be empty (§3.2.3).
_AUTHORITY = re.compile(r"(?P<host>[A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(?::(?P<port>\d{0,5}))?")
_PERCENT = re.compile(r"%([0-9A-Fa-f]{2})?")
_UNRESERVED = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
# What may stand raw in a path (RFC 3986 §3.3, plus what browsers leave alone).
_PATH = re.compile(r"[A-Za-z0-9\-._~!$&'()*+,;=:@/%|\[\]^{}\"<>`]*")
# Without small letters, as in framing.py: proxies that ask us may let them pass, and some apps read "delete" as DELETE.
_METHOD = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Z]{1,32}")


REQUEST_ID = "X-Request-Id"
"""By it lines of our log, the app's and a proxy's before us belong together."""
_REQUEST_ID = re.compile(r"[A-Za-z0-9._:=+/@-]{1,128}")

CountryOf = Callable[[IPAddress], str]
"""The ISO code of the country where an address is, "" if unknown."""


def nowhere(address: IPAddress) -> str:
    """Return "" for every address: the country finder of configurations whose rules ask for none."""
    return ""


def canonical_path(raw: str) -> str:
    """Return the one spelling of a path that rules match and upstreams get (RFC 3986 §6.2.2).

    Unreserved characters are decoded, escapes are upper case. What apps read in different ways is refused: dot
    segments in any spelling, backslashes, control characters, bad escapes. Encoded slashes, ";" and "//" stay, for
    the route to allow or refuse (`check_spelling`). Raises RequestRefused (400).
    """
    if not raw.startswith("/"):
        raise RequestRefused(f"path does not start with a slash: {raw[:80]!r}")
    if not _PATH.fullmatch(raw):
        raise RequestRefused(f"path has a character that must be escaped: {raw[:80]!r}")
    path = _PERCENT.sub(_canonical_escape, raw)
    # Dot segments are not resolved (RFC 3986 §5.2.4) but refused: apps resolve them before or after they decode, or not
    # at all. "/..;x/" is one of them too: Java servers cut off parameters (§3.3) before they look.
    if any(segment.split(";", 1)[0] in (".", "..") for segment in re.split(r"/|%2F", path)):
        raise RequestRefused("path has dot segments")
    return path


def _canonical_escape(match: re.Match[str]) -> str:
    if match[1] is None:
        raise RequestRefused("path has an incomplete escape")
    # A decoded escape is never decoded again: "%252e" stays "%252e", for the app to read as the text "%2e".
    code = int(match[1], 16)
    if code < 0x20 or code in (0x7F, 0x5C):
        raise RequestRefused("path has an escaped control character or backslash")
    return chr(code) if code in _UNRESERVED else f"%{code:02X}"


_SPELLINGS = {"encoded_slash": "%2F", "semicolon": ";", "double_slash": "//"}


def check_spelling(path: str, allowed: Sequence[str]) -> None:
    """Refuse spellings that a route does not allow, since its upstream might read them differently.

    `allowed` is the route's `allow_in_path`. Raises RequestRefused (400).
    """
    for name, text in _SPELLINGS.items():
        if text in path and name not in allowed:
            raise RequestRefused(f"path has {name}; a route accepts it with allow_in_path: [{name}]")
    if "semicolon" not in allowed and "%3B" in path:
        raise RequestRefused(
            "path has an escaped semicolon; a route accepts it with allow_in_path: [semicolon]"
        )


def parse_authority(text: str) -> tuple[str, int | None]:
    """Return host (lower case, no brackets, no trailing dot) and port of a Host header (RFC 9110 §7.2).

    "example.com." is the same host as "example.com" (RFC 1034 §3.1), but a rule would not know it. Raises
    RequestRefused (400).
    """
    match = _AUTHORITY.fullmatch(text)
    if not match:
        raise RequestRefused(f"bad Host: {text[:80]!r}")
    host = match["host"].lower()
    port = int(match["port"]) if match["port"] else None
    if host.startswith("["):
        try:
            host = ip_address(host[1:-1]).compressed
        except ValueError:
            raise RequestRefused(f"bad Host: {text[:80]!r}") from None
    if port is not None and not 0 < port < 65536:
        raise RequestRefused(f"bad port in Host: {text[:80]!r}")
    return host.removesuffix("."), port


def origin_form(raw: str) -> str:
    """A request line's target without scheme and authority, of which the latter ends at "/" or "?" (RFC 3986 §3.2)."""
    if raw.startswith("/"):
        return raw
    rest = raw.partition("://")[2]
    rest = rest[len(_authority_of(rest)) :]
    return rest if rest.startswith("/") else f"/{rest}"


def _authority_of(rest: str) -> str:
    """Of what stands behind "://"."""
    return rest.partition("/")[0].partition("?")[0]


def split_request_target(raw: str) -> tuple[str, str]:
    """Return path and query of a request line's target: origin form, or absolute form (RFC 9112 §3.2.1, §3.2.2).

    Raises RequestRefused (400), also for authority form: that is CONNECT's (§3.2.3), which is not served.
    """
    if raw == "*":  # RFC 9112 §3.2.4: about the server as a whole
        return "/", ""
    # A fragment never belongs to a request (RFC 9110 §7.1). Readers that cut it off and those that don't see two paths.
    if "#" in raw:
        raise RequestRefused("request target has a fragment")
    if not raw.startswith("/"):
        scheme, separator, _ = raw.partition("://")
        if not separator or scheme.lower() not in ("http", "https", "ws", "wss"):
            raise RequestRefused("the request target is neither a path nor an absolute URL")
    path, _, query = origin_form(raw).partition("?")
    if any(character <= " " or character == "\x7f" for character in query):
        raise RequestRefused("query has a control character or a space")
    return path, query


def read_target(
    method: str,
    raw_target: str,
    headers: CIMultiDictProxy[str],
    *,
    secure: bool,
    peer: IPAddress | None,
    trusted: Sequence[Network],
    default: str = "",
    country_of: CountryOf = nowhere,
    rfc7239: bool = False,
) -> Target:
    """Build the Target of a request that is to be proxied.

    Args:
        method: as in the request line.
        raw_target: the request line's target, not decoded.
        headers: the request's; X-Forwarded-* count only when `peer` is in `trusted`.
        secure: whether our own connection is TLS.
        peer: address at the other end, None for a unix socket.
        trusted: `server.trusted_proxies`.
        default: host (and port) for a request that names none, which only HTTP/1.0 may.
        country_of: where the client is.
        rfc7239: whether the trusted proxies write Forwarded instead of X-Forwarded-* (`server.proxy_headers`).

    Raises:
        RequestRefused: 400 on anything ambiguous.
    """
    if not _METHOD.fullmatch(method):
        raise RequestRefused("bad method")
    hosts = headers.getall("Host", [default] if default else [])
    if len(hosts) != 1:  # RFC 9112 §3.2: exactly one, else 400
        raise RequestRefused(f"{len(hosts)} Host headers")
    # In absolute form the target's own authority counts, and Host is ignored (RFC 9112 §3.2.2).
    authority = hosts[0]
    if "://" in raw_target and not raw_target.startswith("/"):
        authority = _authority_of(raw_target.partition("://")[2])
    scheme = "https" if secure else "http"
    said = read_forwarded(headers, peer, trusted, rfc7239=rfc7239)
    authority = said.authority or authority
    if said.port is not None and parse_authority(authority)[1] is None:
        authority = f"{authority}:{said.port}"
    client = said.client
    return make_target(said.scheme or scheme, authority, method, raw_target, client, country_of(client))


def make_target(
    scheme: str, authority: str, method: str, raw_target: str, client: IPAddress, country: str = ""
) -> Target:
    """The Target of these parts, whoever named them. Raises RequestRefused on anything ambiguous."""
    if not _METHOD.fullmatch(method):
        raise RequestRefused("bad method")
    # Some proxies name a WebSocket's scheme (RFC 6455 §3). It is a request over HTTP all the same, for the same rules.
    scheme = {"ws": "http", "wss": "https"}.get(scheme.lower(), scheme.lower())
    if scheme not in ("http", "https"):
        raise RequestRefused(f"bad scheme: {scheme[:20]!r}")
    host, port = parse_authority(authority)
    path, query = split_request_target(raw_target)
    return Target(
        scheme=scheme,
        host=host,
        port=port,
        method=method,
        path=canonical_path(path),
        query=query,
        client=client,
        country=country,
        empty_query=not query and "?" in raw_target,
    )


def supposed_target(url: str, method: str, client: str, country_of: CountryOf) -> Target:
    """The Target of a request that nobody has sent. Raises RequestRefused, and ValueError for a bad address."""
    parts, address = urlsplit(url), ip_address(client)
    uri = f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/"
    return make_target(parts.scheme, parts.netloc, method.upper(), uri, address, country_of(address))


def agent_of(headers: Mapping[str, str]) -> str:
    """Return the User-Agent in characters that can be stored and logged: headers may hold any bytes."""
    return headers.get("User-Agent", "").encode(errors="replace").decode()


def cookie_header(headers: CIMultiDictProxy[str]) -> str:
    """All that a request says in Cookie; HTTP/2 and some proxies spread it over several fields (RFC 9113 §8.2.3)."""
    return ";".join(headers.getall("Cookie", ()))


def cookie_value(header: str, name: str) -> str:
    """Return the value of cookie `name` in a Cookie header (RFC 6265 §4.2.1), "" if there is none, or several that
    differ.

    A host below the same domain can set one of the same name for a longer path, which browsers send first: whoever
    took that one would have a victim work in the attacker's session. Nothing tells which of them is ours.
    """
    # Looked for by hand, not parsed as a whole: cookies of apps may break the grammar, and must not hide ours. A name
    # counts only at the beginning of a pair, so that "xsession=" is not taken for "session=".
    found, start = None, 0
    while (start := header.find(name, start)) >= 0:
        before = header[:start].rstrip(" \t")
        start += len(name)
        if (not before or before.endswith(";")) and header[start : start + 1] == "=":
            value = header[start + 1 :].partition(";")[0].strip().strip('"')
            if found not in (None, value):
                return ""
            found = value
    return found or ""


def new_id() -> str:
    """Make an id. It tells requests apart and guards nothing, so it need not be hard to guess."""
    return f"{getrandbits(64):016x}"


def given_id(values: Iterable[str], *, trusted: bool) -> str:
    """Return the id that a trusted proxy gave the request, or "": what others send could fake a line of the log."""
    names = list(values) if trusted else []
    return names[0] if len(names) == 1 and _REQUEST_ID.fullmatch(names[0]) else ""
