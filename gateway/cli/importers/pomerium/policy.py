"""Pomerium's policies in our words: the short keys of a route, and its policy language (PPL).

There a denial counts before any permission, so denials come first here. A permission that can't be said is left out,
and a denial that can't be said refuses everything that it might have matched: nothing gets looser.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from gateway.cli.importers.findings import NotOurs, Values, as_list, username

SHORT_KEYS = ("allowed_users", "allowed_domains", "allowed_idp_claims", "allowed_groups")
_METHODS = ("is", "in")


@dataclass(frozen=True, slots=True)
class Statement:
    """One `allow` or `deny` with one operator over criteria, each a mapping of one name to its data."""

    action: str
    operator: str
    criteria: tuple[tuple[str, Any], ...]


def statements(route: Mapping[str, Any]) -> list[Statement]:
    """All that a route says about who may pass. Raises NotOurs for what is no policy."""
    short = list(_short(route))
    found = [Statement("allow", "or", tuple(short))] if short else []
    for block in as_list(route.get("policy")):
        if not isinstance(block, Mapping):
            raise NotOurs("policy: neither a mapping nor a list of mappings")
        for action, body in block.items():
            if action not in ("allow", "deny") or not isinstance(body, Mapping):
                raise NotOurs(f"policy: `{action}` is not understood")
            for operator, criteria in body.items():
                named = [
                    next(iter(one.items())) for one in as_list(criteria) if isinstance(one, Mapping) and one
                ]
                found.append(Statement(str(action), str(operator), tuple((str(k), v) for k, v in named)))
    return found


def _short(route: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for each in (route, *as_list(route.get("sub_policies"))):
        if each.get("allow_public_unauthenticated_access") is True:
            yield "accept", True
        if each.get("allow_any_authenticated_user") is True:
            yield "authenticated_user", True
        for key, name in (
            ("allowed_users", "email"),
            ("allowed_domains", "domain"),
            ("allowed_groups", "groups"),
        ):
            for value in as_list(each.get(key)):
                yield name, {"has" if name == "groups" else "is": value}
        for claim in each.get("allowed_idp_claims") or ():
            yield "claim", claim


def rules_of(said: list[Statement], problems: list[str]) -> list[Values]:
    """Our rules, denials first. What can't be said is told in `problems`."""
    found: list[Values] = []
    for statement in sorted(said, key=lambda one: one.action == "allow"):
        found += _rules(statement, problems)
    return found


def _rules(statement: Statement, problems: list[str]) -> Iterator[Values]:
    groups = [(one,) for one in statement.criteria] if statement.operator == "or" else [statement.criteria]
    if statement.operator not in ("or", "and"):
        problems.append(f"`{statement.operator}` of criteria can't be said")
        if statement.action == "deny":
            yield {"require": "deny"}
        return
    for criteria in groups:
        values: Values = {}
        unsaid = False
        for name, data in criteria:
            try:
                _add(values, *_criterion(name, data))
            except NotOurs as problem:
                problems.append(str(problem))
                unsaid = True
        if statement.action == "deny":
            yield {**{key: value for key, value in values.items() if key != "require"}, "require": "deny"}
        elif not unsaid and criteria:
            open_to_all = all(name == "accept" for name, _ in criteria)
            yield values | {"require": "bypass" if open_to_all else "two_factor"}


def _add(values: Values, key: str, wanted: list[str]) -> None:
    if key and key in values:
        raise NotOurs(f"several criteria about {key} at once can't be said")
    if key:
        values[key] = wanted


def _criterion(name: str, data: Any) -> tuple[str, list[str]]:
    """Our key and its values; no key for a criterion that everybody who is signed in meets."""
    if name in ("accept", "authenticated_user") and data is True:
        return "", []
    if name in ("email", "user"):
        return "users", list(dict.fromkeys(username(one) for one in _exact(name, data)))
    if name in ("groups", "group"):
        return "groups", _exact(name, data)
    if name == "http_method":
        return "methods", [one.upper() for one in _exact(name, data)]
    if name == "source_ip":
        return "networks", [str(one) for one in as_list(data)]
    if name == "http_path" and isinstance(data, Mapping) and set(data) == {"starts_with"}:
        return "paths", [f"{str(data['starts_with']).rstrip('*')}**"]
    raise NotOurs(f"criterion `{name}` can't be said")


def _exact(name: str, data: Any) -> list[str]:
    """The values of `is`, `in` or `has`, or a plain value; every other comparison can't be said."""
    if isinstance(data, str):
        return [data]
    if isinstance(data, Mapping) and len(data) == 1:
        ((operator, value),) = data.items()
        if operator in ("is", "has", *_METHODS):
            return [str(one) for one in as_list(value)]
    raise NotOurs(f"criterion `{name}` with {data!r} can't be said")
