"""Which headers an engine removes on the way to an app, and which it sets: the same as our own proxy, route by route.

Our proxy reads names as the laxest app would. Engines differ in what they can say: HAProxy and Envoy compare names the
same way, nginx and Caddy drop every name with another sign than letters, digits and dashes, Traefik knows whole names.
"""

from collections.abc import Iterator
from itertools import product

from gateway.config.schema import Route
from gateway.config.sections.header_presets import HeaderFact, told_by
from gateway.forwardauth import CONSUMED, CONSUMES
from gateway.proxy.client_headers import ADDRESS, FORWARDED_FAMILY, FORWARDED_KNOWN
from gateway.proxy.request_headers import canonical, removed_from

OTHER_SIGNS = "_.!#$%&'*+^`|~"
"""What may stand in a header's name beside letters, digits and dashes (RFC 9110 §5.6.2)."""
_OF_THE_ENGINE = frozenset({"host", "connection", "upgrade", "content-length", "transfer-encoding"})
"""Framing and the hop, which every engine writes itself."""
TO_THE_GATEWAY = tuple(sorted((*ADDRESS, *FORWARDED_KNOWN, CONSUMES.lower(), CONSUMED.lower())))
"""What only an engine may say to the gateway, so no client's may get through."""


def removed_names(route: Route) -> list[str]:
    """Whole names in lower case, known members of families among them."""
    removed = removed_from(route)
    names = (*removed.names, *TO_THE_GATEWAY, *map(canonical, route.headers.drop))
    kept = removed.kept - removed.from_proxies  # an engine is the first proxy: nobody before it is trusted
    return sorted(set(names) - kept - _OF_THE_ENGINE)


def removed_families(route: Route) -> list[str]:
    """Beginnings of names. A family of which the route keeps a member loses its known members only."""
    removed = removed_from(route)
    kept = removed.kept - removed.from_proxies
    return [family for family in removed.families if not any(name.startswith(family) for name in kept)]


def drops(route: Route, header: str) -> bool:
    """Whether `headers.drop` names it."""
    return canonical(header) in map(canonical, route.headers.drop)


def forwarded(route: Route) -> Iterator[str]:
    """What the app is told about the client, without what the route drops."""
    names = ["X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host", "X-Forwarded-Port", "X-Request-Id"]
    if route.strip_path and route.path != "/":
        names.append("X-Forwarded-Prefix")
    added = set(map(canonical, route.headers.add))
    return (name for name in names if not drops(route, name) and canonical(name) not in added)


def identity_names(route: Route) -> dict[str, str]:
    """Identity header -> the name that this route's app wants, without those it must not get."""
    renames = {canonical(ours): theirs for ours, theirs in route.headers.rename.items()}
    names = {name: renames.get(canonical(name), name) for name in told_by(route.headers.preset)}
    told = {ours: theirs for ours, theirs in names.items() if not drops(route, theirs)}
    return told | {name: name for name in route.headers.of_user}


def says(route: Route, header: str) -> HeaderFact:
    """What one of `identity_names` says."""
    return told_by(route.headers.preset)[header]


def spellings(name: str) -> list[str]:
    """The name with each dash as dash or underscore, for engines that know whole names only."""
    first, *rest = name.split("-")
    return [
        "".join((first, *map("".join, zip(marks, rest, strict=True))))
        for marks in product("-_", repeat=len(rest))
    ]


def any_spelling(names: list[str], *, whole: bool = True) -> str:
    """A regular expression for these names, or beginnings of names, with any sign for a dash."""
    words = "|".join(name.replace("-", "[^a-z0-9]") for name in names)
    return f"^(?:{words}){'$' if whole else ''}"


def is_forwarded(name: str) -> bool:
    """Whether the name tells of the client's request, which an engine removes before it asks the gateway."""
    return name in ADDRESS or name.startswith(FORWARDED_FAMILY)
