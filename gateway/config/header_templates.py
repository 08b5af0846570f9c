"""Header values with facts of the user in them: `{user.department}`. Pure.

A value that can't be made whole is no value: who lacks one of the facts gets no header at all.
"""

import re
from dataclasses import dataclass
from typing import Literal

from gateway.config.names import is_attribute_name

OF_ALL = ("username", "name", "email", "groups")
"""Facts of every user that can be told. Numbers for codes are nobody else's business."""
_BEGIN = "{user"
_PLACE = re.compile(r"\{user(?:\.([a-z0-9_-]+))?(?:\|(json|base64))?\}")
Form = Literal["", "json", "base64"]


@dataclass(frozen=True, slots=True)
class UserFact:
    """Stands for a fact of the user, "" for all that can be told, written as it is or in another form."""

    name: str
    form: Form


Template = tuple[str | UserFact, ...]


def is_template(value: str) -> bool:
    """Whether a header's value asks for facts of the user."""
    return _BEGIN in value


def read_template(value: str) -> Template:
    """Return the parts of a value. Raises ValueError for a place that stands for nothing."""
    parts: list[str | UserFact] = []
    rest = value
    while _BEGIN in rest:
        before, _, _ = rest.partition(_BEGIN)
        match = _PLACE.match(rest, len(before))
        if match is None or not _is_fact(match[1] or "", match[2] or ""):
            raise ValueError(
                "write `{user.department}`, `{user.username}`, `{user.name}`, `{user.email}` or `{user.groups}`, "
                "with `|json` or `|base64` behind it where wanted; `{user|json}` is all of it"
            )
        form: Form = "json" if match[2] == "json" else "base64" if match[2] else ""
        parts += [before, UserFact(match[1] or "", form)]
        rest = rest[match.end() :]
    return tuple(part for part in (*parts, rest) if part)


def _is_fact(name: str, form: str) -> bool:
    return bool(form) if not name else name in OF_ALL or is_attribute_name(name)
