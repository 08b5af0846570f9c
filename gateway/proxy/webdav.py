"""WebDAV names resources by URL in two request headers (RFC 4918 §10.3 Destination, §10.4 If). Pure.

The app gets its own addresses for ours, as clients get ours for its own in Location. Bodies (`href` in a multistatus)
are not rewritten.
"""

import re
from collections.abc import Sequence
from dataclasses import replace
from urllib.parse import urlsplit

from gateway.config.schema import Route
from gateway.errors import RequestRefused
from gateway.model import Principal, Target, Verdict
from gateway.policy.decide import Routes, decide
from gateway.proxy.client_headers import Pair, Pairs
from gateway.proxy.request_headers import request_target
from gateway.request.target import canonical_path, check_spelling, parse_authority

_NAMES = (b"destination", b"if")
_TAG = re.compile(rb"<([^<>]*)>(?=\s*\()")
"""A resource that the lists behind it are about; other things in angle brackets are lock tokens."""


def destination_of(pairs: Sequence[Pair], target: Target) -> str | None:
    """The canonical path that a Destination header names below our own address; None if there is none of ours.

    Raises RequestRefused if there are several, or one that could be read in different ways.
    """
    # The field holds one URL (RFC 4918 §10.3). Of two, policy might judge one and the app write to the other.
    found = [value for name, value in pairs if name.lower() == b"destination"]
    if len(found) > 1:
        raise RequestRefused("several Destination headers")
    return _own_path(found[0], target) if found else None


def check_destination(
    pairs: Sequence[Pair],
    routes: Routes,
    route: Route,
    target: Target,
    principal: Principal | None,
    now: float,
) -> None:
    """Check where COPY and MOVE write (RFC 4918 §9.8, §9.9), which policy must allow, too.

    Raises RequestRefused. Policy is asked twice about the destination: for the method itself and for PUT, which writes
    as they do.
    """
    path = destination_of(pairs, target)
    if path is None:
        return
    check_spelling(path, route.allow_in_path)
    there = replace(target, path=path, query="")
    # Another route may lead to another app, or ask for more than this one: the app can't know where our borders are.
    if routes.find(there) is not route:
        raise RequestRefused("Destination on another route", status=403)
    for method in (target.method, "PUT"):
        if decide(route, replace(there, method=method), principal, now).verdict is not Verdict.ALLOW:
            raise RequestRefused("Destination that policy does not allow", status=403)


def for_upstream(pairs: Pairs, target: Target, *, origin: str, base: str, prefix: str) -> Pairs:
    """The headers with every URL of ours as the upstream knows it.

    Args:
        origin: scheme, host and port under which the upstream is asked.
        base: path of its URL.
        prefix: the public path that is stripped on the way.
    """
    if not any(name.lower() in _NAMES for name, _ in pairs):
        return pairs

    # An app knows itself by its own address. Ours would be another server to it, which it may refuse (502, RFC 4918
    # §9.8.5).
    def mapped(url: bytes) -> bytes:
        path = _own_path(url, target)
        if path is None:
            return url
        return origin.encode() + request_target(replace(target, path=path, query=""), base, prefix)

    out: Pairs = []
    for name, value in pairs:
        key = name.lower()
        if key == b"destination":
            value = mapped(value)
        elif key == b"if":
            value = _TAG.sub(lambda tag: b"<" + mapped(tag[1]) + b">", value)
        out.append((name, value))
    return out


def _own_path(url: bytes, target: Target) -> str | None:
    """Either an absolute URL or a path (RFC 4918 §8.3). What names another server is the app's to refuse."""
    text = url.decode("latin-1").strip()
    try:
        parts = urlsplit(text)
        if parts.netloc and (
            parts.scheme.lower() not in ("http", "https")
            or parse_authority(parts.netloc) not in _spellings(target)
        ):
            return None
    except (ValueError, RequestRefused):
        return None
    if not parts.netloc and (parts.scheme or not text.startswith("/")):
        return None
    # Rules see paths. What a query would mean here differs from app to app, so nobody could judge it.
    if parts.query or parts.fragment:
        raise RequestRefused("query or fragment in a WebDAV address")
    return canonical_path(parts.path or "/")


def _spellings(target: Target) -> set[tuple[str, int | None]]:
    """Our host and port; the default port may be left out."""
    default = 443 if target.scheme == "https" else 80
    port = target.port or default
    return {(target.host, port)} | ({(target.host, None)} if port == default else set())
