"""Which users or groups a filter can be about at all (RFC 7644 §3.4.2.2), so that not all of them are looked at. Pure.

Programs ask for one by name, by their own id or by mail address, before each change; those are found by an index.
"""

from dataclasses import dataclass
from typing import Any, Literal

from scim2_models.path import AttrPath, CompareOperator, Comparison, LogicalExpr, LogicalOperator, ValuePath

By = Literal["id", "name", "external_id", "email"]
_BY: dict[str, By] = {
    "id": "id",
    "username": "name",
    "displayname": "name",
    "externalid": "external_id",
    "emails": "email",
    "emails.value": "email",
}


@dataclass(frozen=True, slots=True)
class Lookup:
    """An equality that all who fit have."""

    by: By
    value: str


def lookup(node: Any, kind: Literal["user", "group"]) -> Lookup | None:
    """Return an equality that a filter (its syntax tree) asks for in any case; None where it asks for none."""
    if isinstance(node, LogicalExpr) and node.op == LogicalOperator.and_:
        return next((found for term in node.terms if (found := lookup(term, kind))), None)
    if isinstance(node, ValuePath) and _written(node.attr_path) == "emails" and kind == "user":
        inner = node.val_filter
        terms = (
            inner.terms if isinstance(inner, LogicalExpr) and inner.op == LogicalOperator.and_ else (inner,)
        )
        values = (one for one in terms if isinstance(one, Comparison) and _written(one.attr_path) == "value")
        return next((Lookup("email", one.value) for one in values if _equals(one)), None)
    if not isinstance(node, Comparison) or not _equals(node):
        return None
    name = _written(node.attr_path)
    wrong = {"user": "displayname", "group": "username"}[
        kind
    ]  # users' displayName is not what they are called by
    by = None if name == wrong or (kind == "group" and name.startswith("emails")) else _BY.get(name)
    return Lookup(by, node.value) if by else None


def _equals(one: Comparison) -> bool:
    return one.op == CompareOperator.eq and isinstance(one.value, str)


def _written(path: AttrPath) -> str:
    return f"{path.attr}.{path.sub_attr}".lower() if path.sub_attr else path.attr.lower()
