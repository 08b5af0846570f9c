"""Decides where a browser may go after signing in: only to our own route hosts; anything else falls back to "/" (rule
5).
"""

from dataclasses import replace
from urllib.parse import parse_qsl, quote

from gateway.config.patterns import path_matches
from gateway.errors import RequestRefused
from gateway.model import Target
from gateway.policy.decide import Routes
from gateway.request.target import canonical_path, parse_authority, split_request_target


def read_return(rd: str, here: Target, routes: Routes, prefix: str) -> Target:
    """The Target that `rd` names, or "/" on this host if it is not ours to send people to.

    Args:
        rd: from outside, anything.
        here: what was asked for; a relative `rd` is on its host.
        prefix: the gateway's own path, which is no place to return to.
    """
    home = replace(here, method="GET", path="/", query="")
    try:
        found = _parse(rd, home, routes)
    except RequestRefused:
        return home
    ours = path_matches(prefix, found.path)
    return found if not ours or is_on_the_way(found, prefix) or is_own_page(found, prefix) else home


def is_on_the_way(destination: Target, prefix: str) -> bool:
    """Our pages that a sign-in may return to because they lead on to somewhere else, or judge for themselves."""
    oidc = [f"{prefix}/oidc/{page}" for page in ("authorize", "device", "grants", "diagnostics")]
    ways = (f"{prefix}/kept", f"{prefix}/across", *oidc)
    return destination.path in ways or path_matches(f"{prefix}/admin", destination.path)


def is_own_page(destination: Target, prefix: str) -> bool:
    """Our only pages that a sign-in or step-up may return to; they check for themselves who may do what."""
    return destination.path in {
        f"{prefix}/{page}" for page in ("enrol", "account", "access", "approvals", "approve")
    }


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
        return replace(destination, path="/", query="")


def _parameter(target: Target, name: str) -> str:
    return dict(parse_qsl(target.query)).get(name, "")


def _parse(rd: str, home: Target, routes: Routes) -> Target:
    if (
        not rd
        or len(rd) > 4096
        or not rd.isascii()
        or any(character <= " " or character in "\\\x7f" for character in rd)
    ):
        return home
    rd = rd.partition("#")[0]
    if rd.startswith("/"):
        if rd.startswith("//"):
            return home
        path, query = split_request_target(rd)
        return replace(home, path=canonical_path(path), query=query)
    scheme, separator, rest = rd.partition("://")
    if not separator or scheme.lower() not in ("http", "https"):
        return home
    authority = rest.partition("/")[0].partition("?")[0]
    host, port = parse_authority(authority)
    if (host, port) != (home.host, home.port) and not routes.knows_host(host):
        return home
    path, query = split_request_target("/" + rest[len(authority) :].removeprefix("/"))
    return replace(home, scheme=scheme.lower(), host=host, port=port, path=canonical_path(path), query=query)


def href(destination: Target, here: Target) -> str:
    """Return the address for Location: relative on the same origin. "//" can't start it, so it stays on this host."""
    same = (destination.scheme, destination.authority) == (here.scheme, here.authority)
    if same and not destination.path.startswith("//"):
        return destination.uri
    return destination.url


def with_return(page: str, rd: str) -> str:
    """Add `rd` to the address of a page as its query parameter."""
    return f"{page}?rd={quote(rd, safe='/')}"
