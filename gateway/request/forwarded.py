"""What trusted proxies say of a request that they pass on: the client's address, scheme, host and port.

Only this file reads X-Forwarded-* and Forwarded. Each form in which proxies write has one reading (docs/proxies.md) or
is refused: what can't be read is never replaced by the address of the proxy, which rules may let pass. What stands
left of the client is hearsay: clients can send these headers themselves, and it is not looked at.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, ip_address

from multidict import CIMultiDictProxy

from gateway.config.schema import Network
from gateway.errors import RequestRefused
from gateway.model import IPAddress

_UNTRACKED: IPAddress = IPv4Address("0.0.0.0")  # noqa: S104 - stands for a peer without address (unix socket)
_DEFAULT_PORTS = (80, 443)
# RFC 7239 §6: an address, in brackets if it is IPv6, and perhaps a port, which may have a made-up name there. Proxies
# write IPv6 without brackets, too, and the zone of a link-local one (RFC 4007 §11).
_NODE = re.compile(
    r"\[(?P<v6>[0-9A-Fa-f:.]+)(?:%[\w.~-]+)?\](?::(?:\d{1,5}|_[\w.-]+))?"
    r"|(?P<v4>[0-9.]+)(?::(?:\d{1,5}|_[\w.-]+))?"
    r"|(?P<bare>[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*)(?:%[\w.~-]+)?",
    re.ASCII,
)
# RFC 7239 §4. Values without quotes may hold what only quoted ones should: there is one way to read them.
_PAIR = re.compile(
    r"""[ \t]*(?P<name>[\w!#$%&'*+.^`|~-]+)="""
    r"""(?:"(?P<quoted>(?:[^"\\]|\\.)*)"|(?P<plain>[^\s",;]+))[ \t]*(?P<end>[;,]|$)""",
    re.ASCII,
)


@dataclass(frozen=True, slots=True)
class Forwarded:
    """Who asks, and what they asked for as far as the proxies say: "" and None where they don't."""

    client: IPAddress
    scheme: str = ""
    authority: str = ""
    port: int | None = None


def is_trusted(peer: IPAddress | None, trusted: Sequence[Network]) -> bool:
    """Whether what this peer says of its clients counts. That of a unix socket (None), which is local, if any does."""
    if peer is None:
        return bool(trusted)
    # On a socket for both families an IPv4 peer looks like ::ffff:192.0.2.1 (RFC 4291 §2.5.5.2), which no IPv4 network
    # in the settings would contain.
    mapped = getattr(peer, "ipv4_mapped", None)
    return any((mapped or peer) in network for network in trusted)


def peer_address(peername: object) -> IPAddress | None:
    """The address in asyncio's `peername`, or None for a unix socket."""
    if isinstance(peername, tuple) and peername:
        try:
            return ip_address(str(peername[0]).partition("%")[0])
        except ValueError:
            return None
    return None


def read_forwarded(
    headers: CIMultiDictProxy[str], peer: IPAddress | None, trusted: Sequence[Network], *, rfc7239: bool
) -> Forwarded:
    """What the proxies before us say; of a peer that is not trusted nothing but its address counts.

    `rfc7239` reads Forwarded instead of X-Forwarded-*: never both, since proxies pass on what they don't know.

    Raises RequestRefused for what can't be read.
    """
    if not is_trusted(peer, trusted):
        return Forwarded(_plain(peer))
    if rfc7239:
        return _from_elements(headers.getall("Forwarded", ()), peer, trusted)
    nodes = _listed(headers, "X-Forwarded-For")
    client, hops = _walk(peer, nodes, trusted, "X-Forwarded-For")
    scheme = _said(headers, "X-Forwarded-Proto", hops)
    host = _said(headers, "X-Forwarded-Host", hops)
    port = _port(_said(headers, "X-Forwarded-Port", hops))
    return Forwarded(client, scheme=scheme, authority=host, port=port)


def address_of(node: str, header: str) -> IPAddress:
    """The address of a client or proxy as `header` writes it, without port and zone. Raises RequestRefused."""
    match = _NODE.fullmatch(node)
    text = (match["v6"] or match["v4"] or match["bare"]) if match else ""
    try:
        address = ip_address(text)
    except ValueError:
        raise RequestRefused(f"{header} names {node[:80]!r}, which is no address") from None
    if match and (match["v4"] is None) == (address.version == 4):
        raise RequestRefused(f"{header} names {node[:80]!r}, which is no address")
    return _plain(address)


def _walk(
    peer: IPAddress | None, nodes: Sequence[str], trusted: Sequence[Network], header: str
) -> tuple[IPAddress, int]:
    """The rightmost address that is no trusted proxy, and how many trusted proxies it came through."""
    # From right to left: each proxy appends the address that it saw. The rightmost was written by our own peer; a
    # further one is believed as long as the one that wrote it is trusted. Left of the first stranger a client can write
    # anything.
    client, hops = _plain(peer), 1
    for hops, node in enumerate(reversed(nodes), start=1):  # noqa: B007 - how far we got is half of the answer
        client = address_of(node, header)
        if not is_trusted(client, trusted):
            break
    return client, hops


def _plain(address: IPAddress | None) -> IPAddress:
    if address is None:
        return _UNTRACKED
    return getattr(address, "ipv4_mapped", None) or address


def _listed(headers: CIMultiDictProxy[str], name: str) -> Sequence[str]:
    """The elements of a list, over all its lines; empty ones don't count (RFC 9110 §5.6.1)."""
    parts = (part.strip(" \t") for line in headers.getall(name, ()) for part in line.split(","))
    return [part for part in parts if part]


def _said(headers: CIMultiDictProxy[str], name: str, hops: int) -> str:
    """What the trusted proxy nearest to the client says: each proxy appends, or the last one says it alone."""
    values = _listed(headers, name)
    return values[-min(hops, len(values))] if values else ""


def _port(text: str) -> int | None:
    """None for what goes without saying, and for the inner port of a proxy behind another one: 80 beside https."""
    if not text:
        return None
    if not (text.isascii() and text.isdecimal() and 0 < int(text) < 65536):
        raise RequestRefused(f"X-Forwarded-Port says {text[:40]!r}")
    return None if int(text) in _DEFAULT_PORTS else int(text)


def _from_elements(lines: Sequence[str], peer: IPAddress | None, trusted: Sequence[Network]) -> Forwarded:
    elements = [element for line in lines for element in _elements(line)]
    nodes = [element.get("for", "") for element in elements]
    client, hops = _walk(peer, nodes, trusted, "Forwarded")
    said = elements[-hops] if elements else {}
    return Forwarded(client, scheme=said.get("proto", ""), authority=said.get("host", ""))


def _elements(line: str) -> Sequence[Mapping[str, str]]:
    """RFC 7239 §4. A line is read whole or not at all: a quote that a client left open hides nothing from us."""
    found: list[dict[str, str]] = [{}]
    at = 0
    while at < len(line):
        pair = _PAIR.match(line, at)
        if pair is None or pair["name"].lower() in found[-1]:
            raise RequestRefused(f"Forwarded can't be read: {line[:80]!r}")
        quoted = pair["quoted"]
        found[-1][pair["name"].lower()] = pair["plain"] if quoted is None else re.sub(r"\\(.)", r"\1", quoted)
        at = pair.end()
        if pair["end"] == ",":
            found.append({})
    return [element for element in found if element]
