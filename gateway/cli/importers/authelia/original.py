"""Authelia's access rules as Authelia reads them, to compare ours with.

Written from its documentation ("Access Control", 4.39): the first rule whose criteria all match decides, a stranger
matches rules about anybody and is then asked to sign in. Nothing here is shared with the translation in `rules`.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from typing import Any
from urllib.parse import parse_qsl, urlencode

from gateway.cli.importers.findings import Access, Sample, as_list, named_people
from gateway.model import User

_ACCESS = {
    "bypass": Access.ANYTHING,
    "one_factor": Access.ONE_FACTOR,
    "two_factor": Access.TWO_FACTORS,
    "deny": Access.NEVER,
}
_PLAIN = re.compile(r"\^?((?:[A-Za-z0-9/_-]|\\\.)*)")
_ANYBODY = User("anybody-else")


@dataclass(frozen=True, slots=True)
class AutheliaRules:
    """What Authelia would say to a request. `root` is configuration.yml; `domain` the session's, which the default
    policy is tried on.
    """

    root: Mapping[str, Any]
    domain: str

    def samples(self, people: Sequence[User]) -> Sequence[Sample]:
        found = [sample for number, rule in self._rules() for sample in self._of_rule(number, rule, people)]
        if self.domain:
            found.append(Sample("default_policy", f"else.{self.domain}"))
        return found

    def named(self) -> Sequence[User]:
        parts = [
            str(part)
            for _, rule in self._rules()
            for one in as_list(rule.get("subject"))
            for part in as_list(one)
        ]
        return named_people(
            users=[part.removeprefix("user:") for part in parts if part.startswith("user:")],
            groups=[part.removeprefix("group:") for part in parts if part.startswith("group:")],
        )

    def access(self, sample: Sample, person: User | None) -> Access:
        for _, rule in self._rules():
            if self._matches(rule, sample, person):
                return self._required(str(rule.get("policy", "deny")), person)
        return self._required(str(self.root["access_control"].get("default_policy", "deny")), person)

    def _required(self, policy: str, person: User | None) -> Access:
        access = _ACCESS.get(policy, Access.NEVER)
        return access if person is not None or access is Access.ANYTHING else Access.NEVER

    def _rules(self) -> Iterator[tuple[int, Mapping[str, Any]]]:
        return enumerate(as_list(self.root["access_control"].get("rules")))

    def _of_rule(self, number: int, rule: Mapping[str, Any], people: Sequence[User]) -> Iterator[Sample]:
        """Its hosts, paths, methods and networks, once as it wants them and once beside them."""
        paths = [_PLAIN.match(str(one)) for one in as_list(rule.get("resources"))]
        plain = [match[1].replace("\\", "") if match else "" for match in paths]
        targets = dict.fromkeys([*(path if path.startswith("/") else "/" + path for path in plain), "/"])
        methods = [str(one).upper() for one in as_list(rule.get("methods"))]
        networks = [net for one in as_list(rule.get("networks")) for net in self._network(str(one))]
        clients = [str(ip_network(net, strict=False)[0]) for net in networks]
        for host in self._hosts(rule, people):
            for path in targets:
                for method in dict.fromkeys([*methods, "GET"]):
                    for client in dict.fromkeys([*clients, "192.0.2.1"]):
                        for query in dict.fromkeys([*_example_queries(rule), ""]):
                            yield Sample(
                                rule=f"rules[{number}]",
                                host=host,
                                path=path,
                                method=method,
                                client=client,
                                query=query,
                            )

    def _hosts(self, rule: Mapping[str, Any], people: Sequence[User]) -> Iterator[str]:
        for domain in map(str, as_list(rule.get("domain"))):
            name = domain.lower()
            if name.startswith("*."):
                yield f"any{name[1:]}"
            elif name.startswith("{user}."):
                yield from (f"{person.username}{name[6:]}" for person in (*people[:8], _ANYBODY))
            elif name.startswith("{group}."):
                groups = dict.fromkeys(group for person in people for group in person.groups)
                yield from (f"{group.lower()}{name[7:]}" for group in groups)
            elif "*" not in name:
                yield name
        for pattern in map(str, as_list(rule.get("domain_regex"))):
            end = re.search(r"((?:\\\.[A-Za-z0-9-]+)+)\$?$", pattern)
            if end:
                yield from (f"{name}{end[1].replace(chr(92), '')}" for name in ("any", "git-1", "a.b"))

    def _matches(self, rule: Mapping[str, Any], sample: Sample, person: User | None) -> bool:
        full = sample.path + (f"?{sample.query}" if sample.query else "")
        named = [str(one).upper() for one in as_list(rule.get("methods"))]
        resources = as_list(rule.get("resources"))
        networks = [net for one in as_list(rule.get("networks")) for net in self._network(str(one))]
        return (
            self._host_matches(rule, sample.host, person)
            and (not resources or any(_found(str(one), full, person) for one in resources))
            and _query_matches(rule, sample.query)
            and (not named or sample.method in named)
            and (
                not as_list(rule.get("networks"))
                or any(ip_address(sample.client) in ip_network(net, False) for net in networks)
            )
            and _subject_matches(rule, person)
        )

    def _host_matches(self, rule: Mapping[str, Any], host: str, person: User | None) -> bool:
        for domain in map(str, as_list(rule.get("domain"))):
            name = domain.lower()
            if name.startswith("*.") and host.endswith(name[1:]):
                return True
            below = name.partition(".")[2]
            front, _, rest = host.partition(".")
            if name.startswith("{user}.") and rest == below and person in (None, *_named(front, person)):
                return True
            groups = {group.lower() for group in person.groups} if person else {front}
            if name.startswith("{group}.") and rest == below and front in groups:
                return True
            if name == host:
                return True
        return any(_found(str(one), host, person) for one in as_list(rule.get("domain_regex")))

    def _network(self, name: str) -> list[str]:
        defined = dict((self.root.get("definitions") or {}).get("network") or {})
        for group in as_list(self.root["access_control"].get("networks")):
            defined[str(group.get("name"))] = group.get("networks")
        said = as_list(defined[name]) if name in defined else [name]
        return [str(one) for one in said if _is_network(str(one))]


def _is_network(text: str) -> bool:
    try:
        ip_network(text, strict=False)
    except ValueError:
        return False  # Authelia would not start; here the rule then matches nobody
    return True


def _example_queries(rule: Mapping[str, Any]) -> Iterator[str]:
    for alternative in as_list(rule.get("query")):
        conditions = as_list(alternative) if isinstance(alternative, list) else [alternative]
        yield urlencode([(str(one.get("key", "")), str(one.get("value") or "1")) for one in conditions])


def _query_matches(rule: Mapping[str, Any], query: str) -> bool:
    """A parameter that is absent reads as "" there."""
    given = dict(reversed(parse_qsl(query, keep_blank_values=True)))
    alternatives = as_list(rule.get("query"))
    return not alternatives or any(
        all(_condition_holds(one, given) for one in (as_list(each) if isinstance(each, list) else [each]))
        for each in alternatives
    )


def _condition_holds(condition: Mapping[str, Any], given: Mapping[str, str]) -> bool:
    wanted, found = condition.get("value"), given.get(str(condition.get("key", "")), "")
    operator = str(condition.get("operator") or ("present" if wanted is None else "equal"))
    if operator in ("present", "absent"):
        return (condition.get("key") in given) == (operator == "present")
    matches = str(wanted) == found if operator.endswith("equal") else bool(re.search(str(wanted), found))
    return matches != operator.startswith("not ")


def _named(front: str, person: User | None) -> tuple[User, ...]:
    return (person,) if person is not None and person.username.lower() == front else ()


def _found(pattern: str, text: str, person: User | None) -> bool:
    """A pattern may match anywhere; its groups named User and Group must be the user's own."""
    try:
        match = re.search(pattern, text, re.IGNORECASE)
    except re.error:
        return False
    if match is None:
        return False
    groups = match.groupdict()
    if person is None:
        return True
    user, group = groups.get("User"), groups.get("Group")
    return (user is None or user == person.username) and (group is None or group in person.groups)


def _subject_matches(rule: Mapping[str, Any], person: User | None) -> bool:
    """A list of alternatives, each one criterion or several that must all hold."""
    subjects = [[str(part) for part in as_list(one)] for one in as_list(rule.get("subject"))]
    if not subjects or person is None:
        return True
    return any(all(_is(part, person) for part in one) for one in subjects)


def _is(part: str, person: User) -> bool:
    kind, _, name = part.partition(":")
    # A name there is a name here in our spelling: one user, however the rule writes it.
    return name.casefold() == person.username if kind == "user" else kind == "group" and name in person.groups
