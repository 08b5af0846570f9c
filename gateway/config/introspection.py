"""Finds which type the schema has at a key path, and calls types by the names that people use."""

from collections.abc import Callable
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from annotated_types import Ge, Le, MinLen
from pydantic import SecretStr
from pydantic.fields import FieldInfo

from gateway.config.sections.base import Section, Words

_PLAIN = {
    str: "text",
    SecretStr: "secret text",
    bool: "`true` or `false`",
    int: "a whole number",
    float: "a number",
    Path: "a file path",
}


def annotated(info: FieldInfo) -> Any:
    """The field's type with its marks, as one annotation. Any: annotations have no type of their own."""
    metadata = tuple(info.metadata)
    return Annotated[info.annotation, *metadata] if metadata else info.annotation


def options(annotation: Any) -> list[Any]:
    """The members of a union without None, or the annotation alone; marks around a union are dropped."""
    bare = get_args(annotation)[0] if get_origin(annotation) is Annotated else annotation
    if get_origin(bare) in (Union, UnionType):
        return [member for member in get_args(bare) if member is not NoneType]
    return [annotation]


def sections(annotation: Any) -> list[type[Section]]:
    """The sections that may stand here: one, or one for each provider."""
    return [kind for kind in options(annotation) if isinstance(kind, type) and issubclass(kind, Section)]


def chooser(annotation: Any) -> str:
    """The key that chooses between sections: `provider` of what delivers, `kind` of what holds."""
    return "kind" if any("kind" in section.model_fields for section in sections(annotation)) else "provider"


def providers(annotation: Any) -> dict[str, type[Section]]:
    """Return the classes of a section that has several, by name: `twilio` -> SmsTwilio, where a `provider` (or `kind`)
    key chooses.
    """
    kinds = sections(annotation)
    return (
        {get_args(kind.keys()[chooser(annotation)].annotation)[0]: kind for kind in kinds}
        if len(kinds) > 1
        else {}
    )


def chosen(annotation: Any, value: Any) -> type[Section] | None:
    """The section that `value` is meant to be; None if its provider is unknown."""
    kinds = sections(annotation)
    if len(kinds) < 2:
        return kinds[0] if kinds else None
    provider = value.get(chooser(annotation)) if isinstance(value, dict) else None
    return providers(annotation).get(provider) if isinstance(provider, str) else None


def child(annotation: Any, value: Any, part: str | int) -> Any:
    """The type below `annotation` at one part of a key path; None where the schema has nothing."""
    if section := chosen(annotation, value):
        info = section.keys().get(str(part))
        return annotated(info) if info else None
    for option in options(annotation):
        bare = get_args(option)[0] if get_origin(option) is Annotated else option
        if get_origin(bare) is tuple and isinstance(part, int):
            return get_args(bare)[0]
        if get_origin(bare) is dict:
            return get_args(bare)[1]
    return None


def describe(annotation: Any) -> str:
    """In human words: "a whole number from 1 to 65535", "one of `json` or `text`"."""
    if get_origin(annotation) is Annotated:
        kind, *marks = get_args(annotation)
        own = next((mark for mark in marks if isinstance(mark, Words)), None)
        if own is None:
            return describe(kind) + _bounds(marks, str)
        range = _bounds(marks, own.show)
        return f"{own.text},{range}" if range else own.text
    members = options(annotation)
    if len(members) > 1 or members[0] is not annotation:
        return " or ".join(dict.fromkeys(describe(member) for member in members))
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return one_of(map(str, arguments))
    if origin is tuple:
        return f"a list, each {describe(arguments[0])}"
    if origin is dict:
        return f"a mapping of names to {describe(arguments[1])}"
    return _PLAIN.get(annotation, "a section of keys")


def show(annotation: Any, value: Any) -> str:
    """A value as one would write it in the file."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (tuple, list)):
        return f"[{', '.join(str(item) for item in value)}]"
    if isinstance(value, dict):
        return "{}"
    marks = get_args(annotation)[1:] if get_origin(annotation) is Annotated else ()
    words = next((mark for mark in marks if isinstance(mark, Words)), None)
    return words.show(value) if words else str(value)


def one_of(names: Any) -> str:
    """Write alternatives as a sentence does: `a`, `b` or `c`."""
    quoted = [f"`{name}`" for name in names]
    return " or ".join(filter(None, [", ".join(quoted[:-1]), quoted[-1]])) if quoted else ""


def _bounds(marks: list[Any], written: Callable[[Any], str]) -> str:
    """The range as one would write it in the file, with units."""
    flat = [inner for mark in marks for inner in (mark.metadata if isinstance(mark, FieldInfo) else [mark])]
    low = next((mark.ge for mark in flat if isinstance(mark, Ge)), None)
    high = next((mark.le for mark in flat if isinstance(mark, Le)), None)
    if low is not None:
        least = written(low)
        return f" from {least} to {written(high)}" if high is not None else f" of at least {least}"
    return " that is not empty" if any(isinstance(mark, MinLen) for mark in flat) else ""


def literals(annotation: Any) -> list[str]:
    """The words a key accepts, where only some are."""
    found: list[str] = []
    for option in options(annotation):
        bare = get_args(option)[0] if get_origin(option) is Annotated else option
        found += map(str, get_args(bare)) if get_origin(bare) is Literal else []
    return found
