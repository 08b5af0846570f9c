"""Authelia's query criteria in our words.

There a parameter that is absent reads as "", so a condition that "" fulfils is only said where that makes no
difference; patterns may match anywhere in a value, ours match the whole of it.
"""

from collections.abc import Mapping
from typing import Any

from gateway.cli.importers.findings import NotOurs, Values, as_list, whole_text
from gateway.config.patterns import expression

_KEYS = {
    "present": "present",
    "absent": "present",
    "equal": "one_of",
    "not equal": "none_of",
    "pattern": "matches",
    "not pattern": "matches_not",
}


def query_of(rule: Mapping[str, Any]) -> list[Values]:
    """A list of alternatives in both; there each is a list of conditions, or a single one."""
    return [_all_of(as_list(one) if isinstance(one, list) else [one]) for one in as_list(rule.get("query"))]


def _all_of(conditions: list[Any]) -> Values:
    found: Values = {}
    for condition in conditions:
        name = str(condition.get("key", ""))
        wanted = found.setdefault(name, {})
        for key, value in _said(name, condition).items():
            if wanted.setdefault(key, value) != value:
                raise NotOurs(f"query: several conditions for `{name}` can't be said at once")
    return found


def _said(name: str, condition: Mapping[str, Any]) -> Values:
    value = condition.get("value")
    operator = str(condition.get("operator") or ("present" if value is None else "equal"))
    if not name or operator not in _KEYS:
        raise NotOurs(f"query: `{operator}` of `{name}` is not understood")
    key = _KEYS[operator]
    if key == "present":
        return {"present": operator == "present"}
    text = str(value if value is not None else "")
    empty_counts = text == ""
    if key.startswith("matches"):
        text = whole_text(text)
        try:
            empty_counts = expression(text)("")
        except ValueError as error:
            raise NotOurs(f"query: `{value}` {error}") from error
    if not empty_counts:
        return {key: text if key.startswith("matches") else [text]}
    if operator in ("equal", "pattern"):
        raise NotOurs(f"query: `{operator}` of `{name}` also holds where it is absent")
    return {"present": True, key: text if key.startswith("matches") else [text]}
