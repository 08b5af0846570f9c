"""Pomerium's routes and policies as it reads them, to compare ours with."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from typing import Any
from urllib.parse import urlsplit

from gateway.cli.importers.findings import Access, NotOurs, Sample, as_list, named_people
from gateway.cli.importers.pomerium.policy import Statement, statements
from gateway.model import User


@dataclass(frozen=True, slots=True)
class PomeriumRules:
    """What Pomerium would say to a request."""

    routes: tuple[Mapping[str, Any], ...]

    def samples(self, people: Sequence[User]) -> Sequence[Sample]:
        return [
            Sample(rule=f"routes[{number}]", host=_host(route), path=path, method=method, client=client)
            for number, route in enumerate(self.routes)
            for path in dict.fromkeys([_path(route), f"{_path(route).rstrip('/')}/below", "/"])
            for method in ("GET", "POST")
            for client in dict.fromkeys(["192.0.2.1", *_addresses(route)])
        ]

    def named(self) -> Sequence[User]:
        said = [one for route in self.routes for each in _said(route) for one in each.criteria]
        users = [value for name, data in said if name in ("email", "user") for value in _values(data)]
        groups = [value for name, data in said if name in ("groups", "group") for value in _values(data)]
        return named_people(users=users, groups=groups)

    def access(self, sample: Sample, person: User | None) -> Access:
        """The longest path of the host's routes decides; a path without a route is nobody's."""
        reached = [one for one in self.routes if _host(one) == sample.host and _reaches(one, sample.path)]
        if not reached:
            return Access.NEVER
        route = max(reached, key=lambda one: (bool(one.get("path")), len(_path(one))))
        said = _said(route)
        if any(_holds(one, sample, person) for one in said if one.action == "deny"):
            return Access.NEVER
        allows = [one for one in said if one.action == "allow"]
        if any(_holds(one, sample, None) for one in allows):
            return Access.ANYTHING
        allowed = person is not None and any(_holds(one, sample, person) for one in allows)
        return Access.ONE_FACTOR if allowed else Access.NEVER


def _said(route: Mapping[str, Any]) -> list[Statement]:
    try:
        return statements(route)
    except NotOurs:
        return []


def _host(route: Mapping[str, Any]) -> str:
    return (urlsplit(str(route.get("from") or "")).hostname or "").replace("*", "any")


def _path(route: Mapping[str, Any]) -> str:
    return str(route.get("path") or route.get("prefix") or "/")


def _reaches(route: Mapping[str, Any], path: str) -> bool:
    if route.get("regex"):
        return False  # not taken over, so nothing of it is compared
    if route.get("path"):
        return path == str(route["path"])
    return path.startswith(_path(route))


def _addresses(route: Mapping[str, Any]) -> list[str]:
    found = [data for one in _said(route) for name, data in one.criteria if name == "source_ip"]
    return [str(ip_network(str(net), strict=False)[0]) for data in found for net in as_list(data)]


def _holds(statement: Statement, sample: Sample, person: User | None) -> bool:
    answers = [_meets(name, data, sample, person) for name, data in statement.criteria]
    return {
        "or": any(answers),
        "and": bool(answers) and all(answers),
        "not": bool(answers) and not all(answers),
        "nor": bool(answers) and not any(answers),
    }.get(statement.operator, False)


def _meets(name: str, data: Any, sample: Sample, person: User | None) -> bool:
    """Criteria that need facts which no import has, such as claims, are taken as not met."""
    if name == "accept":
        return data is True
    if name == "http_method":
        return sample.method in _values(data)
    if name == "http_path":
        return isinstance(data, Mapping) and sample.path.startswith(str(data.get("starts_with", "\0")))
    if name == "source_ip":
        return any(ip_address(sample.client) in ip_network(str(one), strict=False) for one in as_list(data))
    if person is None:
        return False
    if name == "authenticated_user":
        return data is True
    if name in ("email", "user"):
        return bool({one.casefold() for one in _values(data)} & {person.username, person.email.casefold()})
    if name in ("groups", "group"):
        return bool(set(_values(data)) & set(person.groups))
    return name == "domain" and (person.email or person.username).rpartition("@")[2] in _values(data)


def _values(data: Any) -> list[str]:
    if isinstance(data, Mapping):
        return [str(one) for key in ("is", "in", "has") for one in as_list(data.get(key))]
    return [str(data)]
