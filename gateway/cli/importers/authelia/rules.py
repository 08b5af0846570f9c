"""Authelia's access rules in our words. First match decides in both, so a rule is never just left out.

One that asks for what we can't (names in the host, groups all at once) becomes a refusal of everything that
it might have matched: whatever comes after it can then not be looser than the original. Only a bypass may go: no
rule after it can be looser than that.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_network
from typing import Any

from gateway.cli.importers.authelia.queries import query_of
from gateway.cli.importers.findings import LeftOut, NotOurs, Values, as_list, username, whole_path
from gateway.config.patterns import path_test
from gateway.errors import GatewayError

_EVERY_QUERY = re.compile(r"(\.\*\$?|\(\[/\?\]\.\*\)\?\$|\(\[\?/\]\.\*\)\?\$)$")
_SLASH_OR_QUERY = re.compile(r"\[(?:/\?|\?/)\]")
_QUERY_IN_CLASS = re.compile(r"\[[^\]]*\?")
_LITERAL_END = re.compile(r"((?:\\\.[A-Za-z0-9-]+)+)\$?$")
_LITERAL_BEGIN = re.compile(r"\^((?:(?:[A-Za-z0-9/_-]|\\\.)(?![?*{]))*)")
_INSTEAD = {True: "what it opened goes by the rules after it", False: "what it might match is refused"}
_FACTORS = ("totp", "webauthn")
_NO_HOST = "never matched there: a `*` only counts as the first label, so this domain was the name of no host"
_ANY_LABELS = re.compile(r"\^\(?(?:\?:)?\.[*+]\)?((?:\\\.[A-Za-z0-9-]+)+)\$")
"""A host pattern that says what `*.example.com` says."""


@dataclass(frozen=True, slots=True)
class _Subject:
    """`all_at_once`: they must all hold; otherwise one is enough."""

    parts: tuple[str, ...] = ()
    all_at_once: bool = True


def rules_of(root: Mapping[str, Any], left_out: list[LeftOut], *, ignore_queries: bool) -> list[Values]:
    """Translate Authelia's access rules. One that can't be said as it is becomes a deny, and `left_out` tells why."""
    networks = _named_networks(root)
    found: list[Values] = []
    for number, rule in enumerate(as_list(root["access_control"].get("rules"))):
        where = f"access_control.rules[{number}]"
        policy = str(rule.get("policy", "deny"))
        for subject in _alternatives(rule):
            values, problems = _translated(rule, subject, networks, ignore_queries=ignore_queries)
            left_out += [LeftOut(where, f"{problem}; {_INSTEAD[policy == 'bypass']}") for problem in problems]
            if problems and policy == "bypass":
                continue
            if not problems and values.get("hosts") == []:
                left_out.append(LeftOut(where, _NO_HOST))
                continue
            values["require"] = "deny" if problems else policy
            if values["require"] == "two_factor":
                values["factors"] = list(_FACTORS)
            found.append({"name": where.removeprefix("access_control."), **values})
    return found


def _translated(
    rule: Mapping[str, Any], subject: _Subject, networks: Mapping[str, list[str]], *, ignore_queries: bool
) -> tuple[Values, list[str]]:
    """The criteria that can be said, and why others can't. Without those, the rule matches more."""
    values: Values = {}
    problems: list[str] = []
    steps: tuple[tuple[str, Callable[[], Sequence[Any]]], ...] = (
        ("hosts", lambda: _hosts(rule, problems)),
        ("paths", lambda: _paths(rule, problems, ignore_queries=ignore_queries)),
        ("methods", lambda: [str(one).upper() for one in as_list(rule.get("methods"))]),
        ("networks", lambda: _networks(rule, networks)),
        ("query", lambda: query_of(rule)),
        ("users", lambda: _names(subject, "user:", problems)),
        ("groups", lambda: _names(subject, "group:", problems)),
    )
    for key, read in steps:
        try:
            if (wanted := read()) or (key == "hosts" and rule.get("domain")):
                values[key] = wanted
        except NotOurs as problem:
            problems.append(str(problem))
    return values, problems


def _alternatives(rule: Mapping[str, Any]) -> list[_Subject]:
    """Users alone, and groups alone, fit into one rule; the others need one each."""
    subjects = [[str(part) for part in as_list(one)] for one in as_list(rule.get("subject"))]
    if not subjects:
        return [_Subject()]
    for kind in ("user:", "group:"):
        if all(len(one) == 1 and one[0].startswith(kind) for one in subjects):
            return [_Subject(tuple(part for one in subjects for part in one), all_at_once=False)]
    return [_Subject(tuple(one)) for one in subjects]


def _names(subject: _Subject, kind: str, problems: list[str]) -> list[str]:
    """Ours are alternatives, so of two groups that must both hold one is kept."""
    if unknown := [part for part in subject.parts if not part.startswith(("user:", "group:"))]:
        raise NotOurs(f"subject `{unknown[0]}` is neither a user nor a group")
    names = [part.removeprefix(kind) for part in subject.parts if part.startswith(kind)]
    if kind == "user:":
        names = list(dict.fromkeys(map(username, names)))
    if subject.all_at_once and len(names) > 1:
        problems.append(f"subject wants {' and '.join(names)} at once")
        return names[:1]
    return names


def _hosts(rule: Mapping[str, Any], problems: list[str]) -> list[str]:
    """For a pattern, all hosts that end as it does."""
    found: list[str] = []
    for domain in map(str, as_list(rule.get("domain"))):
        name = domain.lower()
        if name.startswith("{group}.") or (name.startswith("{user}.") and rule.get("policy") == "bypass"):
            problems.append(f"domain `{domain}` depends on who asks")
            name = "*" + name[name.index(".") :]
        if "*" not in name.removeprefix("*."):
            found.append(name)
    for pattern in map(str, as_list(rule.get("domain_regex"))):
        if said := _ANY_LABELS.fullmatch(pattern):
            found.append("*" + said[1].replace("\\", "").lower())
            continue
        problems.append(f"domain_regex `{pattern}` is a regular expression for hosts")
        end = _LITERAL_END.search(pattern)
        if end is None or "|" in pattern or not pattern.endswith("$"):
            return []
        found.append("*" + end[1].replace("\\", "").lower())
    return list(dict.fromkeys(found))


def _paths(rule: Mapping[str, Any], problems: list[str], *, ignore_queries: bool) -> list[str]:
    """For a pattern that can't be said, all paths that begin as it does."""
    found = []
    for pattern in map(str, as_list(rule.get("resources"))):
        try:
            found.append(_path(pattern, ignore_queries=ignore_queries))
        except NotOurs as problem:
            problems.append(str(problem))
            found.append(f"~{_literal_begin(pattern)}.*")
    return found


def _literal_begin(pattern: str) -> str:
    """ "" if it may match anywhere. The last sign before ?, * or {, which may be there no time at all, is not in it."""
    match = None if "|" in pattern else _LITERAL_BEGIN.match(pattern)
    return match[1] if match else ""


def _path(pattern: str, *, ignore_queries: bool) -> str:
    if "(?P<" in pattern or "(?<" in pattern:
        raise NotOurs(f"resource `{pattern}` depends on who asks")
    asks_query = "\\?" in pattern or bool(_QUERY_IN_CLASS.search(_SLASH_OR_QUERY.sub("/", pattern)))
    open_end = not pattern.endswith("$") or bool(_EVERY_QUERY.search(pattern))
    if asks_query or not (open_end or ignore_queries):
        hint = "" if asks_query else "; --ignore-queries decides by the path alone"
        raise NotOurs(f"resource `{pattern}` looks at the query, too{hint}")
    ours = whole_path(pattern)
    try:
        path_test(ours)
    except ValueError as error:
        raise NotOurs(f"resource `{pattern}` {error}") from error
    return ours


def _networks(rule: Mapping[str, Any], named: Mapping[str, list[str]]) -> list[str]:
    found: list[str] = []
    for one in map(str, as_list(rule.get("networks"))):
        found += named[one] if one in named else [_network(one)]
    return found


def _network(text: str) -> str:
    try:
        return str(ip_network(text, strict=False))
    except ValueError:
        raise NotOurs(f"network `{text}` is not defined") from None


def _named_networks(root: Mapping[str, Any]) -> dict[str, list[str]]:
    """`definitions.network`, and the older `access_control.networks`."""
    named = dict(((root.get("definitions") or {}).get("network") or {}).items())
    for group in as_list(root["access_control"].get("networks")):
        named[str(group.get("name"))] = group.get("networks")
    return {name: list(_valid(networks)) for name, networks in named.items()}


def _valid(networks: object) -> Iterator[str]:
    for one in as_list(networks):
        try:
            yield str(ip_network(str(one), strict=False))
        except ValueError as error:
            raise GatewayError(f"access_control: `{one}` is not a network") from error
