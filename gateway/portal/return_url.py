"""Decides where a browser may go after signing in: only to our own route hosts; anything else falls back to the front
page (rule 5).
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import parse_qsl, quote

from gateway.config import addresses
from gateway.config.patterns import below
from gateway.errors import RequestRefused
from gateway.model import Target
from gateway.policy.decide import Routes
from gateway.request.target import canonical_path, parse_authority, split_request_target

LONGEST = 16 * 1024
"""Characters of an address that is kept through a sign-in."""
_LONG = 2048
"""A longer one is encoded as sparingly as RFC 3986 §3.4 allows, so that it fits into a request line once more."""
_SAFE = "/?:@!$'()*,;="


def read_return(rd: str, here: Target, routes: Routes, prefix: str) -> Target:
    """The Target that `rd` names, or the front page of this host if it is not ours to send people to.

    Args:
        rd: from outside, anything.
        here: what was asked for; a relative `rd` is on its host.
        prefix: the gateway's own path, which is no place to return to.
    """
    found = named(rd, here, routes, prefix)
    return found or replace(here, method="GET", path=routes.front(here.host), query="")


class _OwnAddresses(NamedTuple):
    """What begins as one of `below` is ours. A sign-in may return to `pages` and `ways`, and below `console`."""

    below: tuple[str, ...]
    pages: frozenset[str]
    """They check for themselves who may do what."""
    ways: frozenset[str]
    """Pages that lead on to somewhere else, or judge for themselves."""
    console: tuple[str, ...]


@lru_cache(maxsize=4)
def _own_addresses(prefix: str) -> _OwnAddresses:
    oidc = (f"oidc/{page}" for page in ("authorize", "device", "grants", "diagnostics"))
    return _OwnAddresses(
        below=below(prefix),
        pages=frozenset(
            f"{prefix}/{page}" for page in ("enrol", "account", "tokens", "access", "approvals", "approve")
        ),
        ways=frozenset(f"{prefix}/{page}" for page in ("", "kept", "across", "admin", *oidc)),
        console=below(f"{prefix}/admin"),
    )


def is_own_page(destination: Target, prefix: str) -> bool:
    """Our only pages that a sign-in or step-up may return to; they check for themselves who may do what."""
    return destination.path in _own_addresses(prefix).pages


def stands_for(destination: Target, prefix: str, routes: Routes) -> Target:
    """Return the target that is decided on: a page that only leads on to something needs what that needs."""
    if destination.path == f"{prefix}/across":
        beyond = read_return(_parameter(destination, "to"), destination, routes, prefix)
        return destination if beyond.path == destination.path else stands_for(beyond, prefix, routes)
    if destination.path != f"{prefix}/kept":
        return destination
    try:
        path, query = split_request_target(_parameter(destination, "at") or "/")
        return replace(destination, method="POST", path=canonical_path(path), query=query)
    except RequestRefused:
        return replace(destination, path=routes.front(destination.host), query="")


def _parameter(target: Target, name: str) -> str:
    return dict(parse_qsl(target.query)).get(name, "")


def named(rd: str, here: Target, routes: Routes, prefix: str) -> Target | None:
    """Return the Target that `rd` names, as `read_return` does; None if it names none that is ours."""
    home = replace(here, method="GET", path="/", query="")
    try:
        found = _parse(rd, home, routes)
    except RequestRefused:
        return None
    if found is not None and not routes.is_ours(found.host, found.path):
        return None
    own = _own_addresses(prefix)
    if found is None or not (found.path == prefix or found.path.startswith(own.below)):
        return found
    return found if found.path in own.pages | own.ways or found.path.startswith(own.console) else None


def is_plain(rd: str) -> bool:
    """Whether all characters are such as an address may have (RFC 3986 §2), and not too many."""
    odd = any(character <= " " or character in "\\\x7f" for character in rd)
    return bool(rd) and len(rd) <= LONGEST and rd.isascii() and not odd


def is_at(rd: str, origins: Sequence[str]) -> bool:
    """Whether `rd` is the address of a page at one of `origins`, such as "https://www.example.com"."""
    parts = addresses.split(rd) if is_plain(rd) else None
    if parts is None or "@" in parts.netloc:
        return False
    given = addresses.origin(f"{parts.scheme}://{parts.netloc}")
    return given is not None and given in [addresses.origin(one) for one in origins]


def _parse(rd: str, home: Target, routes: Routes) -> Target | None:
    if not is_plain(rd):
        return None
    rd, _, fragment = rd.partition("#")
    if rd.startswith("/"):
        if rd.startswith("//"):
            return None
        path, query = split_request_target(rd)
        return replace(home, path=canonical_path(path), query=query, fragment=fragment)
    scheme, separator, rest = rd.partition("://")
    if not separator or scheme.lower() not in ("http", "https"):
        return None
    authority = rest.partition("/")[0].partition("?")[0]
    host, port = parse_authority(authority)
    if (host, port) != (home.host, home.port) and not routes.knows_host(host):
        return None
    path, query = split_request_target("/" + rest[len(authority) :].removeprefix("/"))
    return replace(
        home,
        scheme=scheme.lower(),
        host=host,
        port=port,
        path=canonical_path(path),
        query=query,
        fragment=fragment,
    )


def href(destination: Target, here: Target) -> str:
    """Return the address for Location: relative on the same origin. "//" can't start it, so it stays on this host."""
    same = (destination.scheme, destination.authority) == (here.scheme, here.authority)
    where = destination.uri if same and not destination.path.startswith("//") else destination.url
    return f"{where}#{destination.fragment}" if destination.fragment else where


def over_https(target: Target, public_url: str) -> Target:
    """Return the target at which to sign in: over https if browsers keep our cookie there alone.

    A target with a port of its own stays as it is: which port has https beside it is not known.
    """
    parts = addresses.split(public_url)
    if parts is None or parts.scheme != "https" or target.scheme == "https" or target.port not in (None, 80):
        return target
    return replace(target, scheme="https", port=parts.port)


def with_return(page: str, rd: str) -> str:
    """Add `rd` to the address of a page as its query parameter."""
    return f"{page}?rd={quote(rd, safe='/' if len(rd) <= _LONG else _SAFE)}"
