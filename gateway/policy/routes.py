"""Finds the route of a target. The first match wins; no match means that the host or path is unknown.

A path that an app could read in several ways must have the same route in all of them.
"""

from collections.abc import Sequence
from functools import lru_cache

from gateway.config.path_readings import readings
from gateway.config.patterns import host_matches, path_matches
from gateway.config.schema import Route
from gateway.model import Target

__all__ = ["Routes", "host_matches", "path_matches"]

_REMEMBERED = 1024
"""Hosts with paths whose route is remembered. They come from outside: neither they nor their number may grow large."""
_LONGEST_REMEMBERED = 256


class Routes:
    """The configured routes, with the candidates of each host found once."""

    def __init__(self, routes: Sequence[Route], domains: Sequence[str] = ()) -> None:
        """`domains` are those whose hosts are ours even where only a route for "*" serves them."""
        self.all, self._domains = tuple(routes), tuple(domains)
        self._by_host: dict[str, tuple[Route, ...]] = {}
        self._remembered = lru_cache(maxsize=_REMEMBERED)(self._find)

    def find(self, target: Target) -> Route | None:
        """Return the route of a target, None if there is none.

        None, too, for a path that an app could read as that of another route: which rules hold is not guessed.
        """
        if len(target.path) > _LONGEST_REMEMBERED:
            return self._find(target.host, target.path)
        return self._remembered(target.host, target.path)

    def _find(self, host: str, path: str) -> Route | None:
        found, *others = (self.match(host, path) for path in readings(path))
        return found if all(other is found for other in others) else None

    def match(self, host: str, path: str) -> Route | None:
        """The route of a lower-case host and a canonical path."""
        for route in self._candidates(host):
            if path_matches(route.path, path):
                return route
        return None

    def serves_host(self, host: str) -> bool:
        """Whether any route, also one for "*", is for this host."""
        return bool(self._candidates(host))

    def knows_host(self, host: str) -> bool:
        """Whether a return URL may lead there: a host named by a route. "*" names none."""
        if any(route.host != "*" and host_matches(route.host, host) for route in self.all):
            return True
        ours = any(host == domain or host.endswith(f".{domain}") for domain in self._domains)
        return ours and bool(self._candidates(host))

    def _candidates(self, host: str) -> tuple[Route, ...]:
        known = self._by_host.get(host)
        if known is None:
            known = tuple(route for route in self.all if host_matches(route.host, host))
            if len(self._by_host) < 1024:  # hosts come from outside: never grow without bound
                self._by_host[host] = known
        return known
