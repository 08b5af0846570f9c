"""Compares a user before and after a change, and makes the version that tells a stale form from a fresh one. Pure.

Phone numbers are masked: differences go into the audit log.
"""

import json
from hashlib import sha256

from gateway.messaging.addresses import mask_phone
from gateway.model import User

FIELDS = ("name", "email", "phone", "groups", "attributes", "disabled")
Difference = dict[str, tuple[object, object]]


def difference(before: User | None, after: User | None) -> Difference:
    """Field -> before and after; None stands for a user that is not there."""
    found: Difference = {}
    for field in FIELDS:
        old, new = _shown(before, field), _shown(after, field)
        if _value(before, field) != _value(after, field) and (old or new):
            found[field] = (old, new)
    return found


def version(user: User) -> str:
    """Return a value that is another one after each change of what can be changed here."""
    facts = [_value(user, field) for field in FIELDS]
    return sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]


def _value(user: User | None, field: str) -> object:
    value = getattr(user, field) if user else None
    return value or None


def _shown(user: User | None, field: str) -> object:
    value = _value(user, field)
    if field == "phone" and value:
        return mask_phone(str(value))
    if field == "attributes" and user:
        return {name: list(values) for name, values in user.attributes} or None
    return list(value) if isinstance(value, tuple) else value
