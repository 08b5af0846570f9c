"""Explains in plain words what the schema found wrong, and how to mend it.

Reads only the kind and place of pydantic's errors, never their text.
"""

import re
from collections.abc import Iterable
from difflib import get_close_matches
from ipaddress import ip_network
from typing import Any

from pydantic_core import ErrorDetails

from gateway.config import introspection
from gateway.config.schema import Config
from gateway.config.yaml_document import KeyPath

# Words that people bring from other tools.
_SYNONYMS = {
    "backend": "upstream",
    "target": "upstream",
    "url": "upstream",
    "upstreams": "upstream",
    "domain": "host",
    "hostname": "host",
    "prefix": "path",
    "allow": "policy",
    "rules": "policy",
    "sites": "routes",
    "number": "from",
    "sender": "from",
    "bind": "listen",
    "token": "auth_token",
}
_VALUE_SYNONYMS = {
    "2fa": "two_factor",
    "mfa": "two_factor",
    "1fa": "one_factor",
    "public": "bypass",
    "none": "bypass",
    "allow": "bypass",
    "block": "deny",
    "passkey": "webauthn",
    "otp": "totp",
    "ssl": "tls",
}
_UNITS = {
    "sec": "s",
    "second": "s",
    "min": "m",
    "minute": "m",
    "hr": "h",
    "hour": "h",
    "day": "d",
    "week": "w",
    "ms": "ms",
    "s": "s",
    "m": "m",
    "h": "h",
    "d": "d",
    "w": "w",
}
_TRUTHS = {"yes": "true", "on": "true", "y": "true", "1": "true", "no": "false", "off": "false", "n": "false"}


def key_path(values: Any, location: tuple[int | str, ...]) -> KeyPath:
    """The key path of an error. Pydantic puts names of union members between the keys; they are left out."""
    path: list[str | int] = []
    annotation: Any = Config
    current = values
    for part in location:
        if (
            isinstance(part, str)
            and part in introspection.providers(annotation)
            and part == _get(current, introspection.chooser(annotation))
        ):
            annotation = introspection.chosen(annotation, current)
        elif isinstance(current, (dict, list)) and not _names_member(annotation, part):
            path.append(part)
            annotation = introspection.child(annotation, current, part)
            current = _get(current, part)
    return tuple(path)


def _names_member(annotation: Any, part: int | str) -> bool:
    return (
        isinstance(part, str)
        and len(introspection.options(annotation)) > 1
        and not introspection.sections(annotation)
    )


def _get(container: Any, part: int | str) -> Any:
    try:
        return container[part]
    except (LookupError, TypeError):
        return None


def explain(values: Any, path: KeyPath, error: ErrorDetails, shown: str | None) -> tuple[KeyPath, str, str]:
    """Key path, problem and mend. `shown` is what the file says there, None where it must not be shown."""
    annotation, value = lookup(values, path)
    match error["type"]:
        case "extra_forbidden":
            return path, "is not a known key", _unknown_key(values, path)
        case "missing":
            return path, "is missing", _missing(values, path, annotation)
        case "union_tag_not_found" if isinstance(value, dict):
            return (*path, introspection.chooser(annotation)), "is missing", _providers(annotation)
        case "union_tag_invalid":
            return (*path, introspection.chooser(annotation)), *_unknown_provider(annotation, value)
    return path, *_wrong_value(annotation, value, shown)


def lookup(values: Any, path: KeyPath) -> tuple[Any, Any]:
    """The schema's type and the file's value at a key path."""
    annotation: Any = Config
    for part in path:
        annotation = introspection.child(annotation, values, part)
        values = _get(values, part)
    return annotation, values


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """ "did you mean `x`?", or nothing when no known word is near."""
    near = get_close_matches(word.lower(), list(known), n=1, cutoff=0.6)
    return f"did you mean `{near[0]}`?" if near else ""


def _unknown_key(values: Any, path: KeyPath) -> str:
    annotation, parent = lookup(values, path[:-1])
    section = introspection.chosen(annotation, parent)
    known = [*section.keys(), *section.file_keys()] if section else []
    word = str(path[-1])
    synonym = _SYNONYMS.get(word.lower(), "")
    if synonym in known:
        return f"did you mean `{synonym}`?"
    listing = f"keys here are {', '.join(f'`{key}`' for key in known if key not in parent)}"
    return did_you_mean(word, known) or listing


def _missing(values: Any, path: KeyPath, annotation: Any) -> str:
    parent_annotation, parent = lookup(values, path[:-1])
    section = introspection.chosen(parent_annotation, parent)
    twin = f"{path[-1]}_file"
    also = f" (or `{twin}`, the file that holds it)" if section and twin in section.file_keys() else ""
    return f"add `{path[-1]}:` with {introspection.describe(annotation)}{also}"


def _providers(annotation: Any) -> str:
    choices = introspection.one_of(introspection.providers(annotation))
    return f"add `{introspection.chooser(annotation)}:` with {choices}"


def _unknown_provider(annotation: Any, value: Any) -> tuple[str, str]:
    known = introspection.providers(annotation)
    given = str(_get(value, introspection.chooser(annotation)))
    guess = did_you_mean(given, known)
    return f"`{given[:80]}` is not a {introspection.chooser(annotation)}", " ".join(
        filter(None, [guess, f"known are {introspection.one_of(known)}"])
    )


def _wrong_value(annotation: Any, value: Any, shown: str | None) -> tuple[str, str]:
    words = introspection.describe(annotation)
    if value is None:
        return f"has no value; it needs {words}", "write a value, or remove the key for its default"
    if isinstance(value, (dict, list)):
        kind = "a mapping" if isinstance(value, dict) else "a list"
        return f"is {kind} where {words} is expected", _mend_container(annotation)
    what = f"`{shown[:80]}`" if shown is not None else "its value"
    return f"{what} is not {words}", _mend_scalar(annotation, value, words)


def _mend_container(annotation: Any) -> str:
    kinds = introspection.sections(annotation)
    return f"write keys below it, such as `{next(iter(kinds[0].keys()))}:`" if kinds else ""


def _mend_scalar(annotation: Any, value: Any, words: str) -> str:
    if "`true` or `false`" in words:
        truth = _TRUTHS.get(str(value).lower())
        return f"write `{truth}`" if truth else ""
    if words.startswith("a list"):
        return "write a list: put it in `[` and `]`, or below with a dash"
    if introspection.sections(annotation):
        return _mend_container(annotation)
    if words.startswith("text") and not isinstance(value, str):
        return "put it in quotes"
    if words.startswith("a network"):
        return _mend_network(str(value))
    if words.startswith("a duration"):
        return _mend_duration(str(value))
    known = introspection.literals(annotation)
    if not isinstance(value, str) and str(value) in known:
        return "put it in quotes"  # `minimum: 1.2` is a number to YAML
    synonym = _VALUE_SYNONYMS.get(str(value).lower(), "")
    return f"did you mean `{synonym}`?" if synonym in known else did_you_mean(str(value), known)


def _mend_network(text: str) -> str:
    """10.0.0.1/8 names a host inside a network; which of the two is meant is for the author to say."""
    try:
        network = ip_network(text.strip(), strict=False)
    except ValueError:
        return ""
    return f"did you mean `{network}`, or the one address `{text.strip().partition('/')[0]}`?"


def _mend_duration(text: str) -> str:
    match = re.fullmatch(r"\s*([0-9]+)\s*([a-z]+)\s*", text.lower())
    unit = match and (_UNITS.get(match[2]) or _UNITS.get(match[2].removesuffix("s")))
    meant = f"{match[1]}{unit}" if match and unit else ""
    return f"did you mean `{meant}`?" if meant not in ("", text.strip()) else ""
