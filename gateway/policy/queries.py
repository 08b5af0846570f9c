"""What an app may read in a query, for the parameters that rules ask about. Pure.

Apps differ: of a parameter given twice one takes the first, one the last; some split at ";", some read `a[]` as `a`,
some drop what they can't decode. Each such way is a reading, and rules must say the same of all (policy.decide).
"""

import re
from collections.abc import Iterator, Mapping
from itertools import product
from math import prod
from urllib.parse import unquote_to_bytes

from gateway.config.patterns import expression
from gateway.config.sections.policy import QueryParameter

Query = Mapping[str, str]
"""One reading: the value of each parameter that is there and that a rule asks about."""

MOST = 32
_BAD_ESCAPE = re.compile(rb"%(?![0-9A-Fa-f]{2})")


def query_readings(raw: str, names: frozenset[str]) -> tuple[Query, ...]:
    """Every way in which an app may read `names` in a raw query; empty if there are too many to ask rules about."""
    found: list[Query] = []
    for pairs in _parses(raw.encode("utf-8", "surrogateescape")):
        values: dict[str, dict[str, None]] = {}
        for name, value in pairs:
            if name in names:
                values.setdefault(name, {})[value] = None
        if prod(map(len, values.values())) > MOST:
            return ()
        choices = (dict(zip(values, choice, strict=True)) for choice in product(*values.values()))
        found += [one for one in choices if one not in found]
    return tuple(found) if len(found) <= MOST else ()


def _parses(raw: bytes) -> Iterator[list[tuple[str, str]]]:
    """The pairs of a query, once for each way to take it apart that makes a difference here."""
    splits = (b"&", b"[&;]") if b";" in raw else (b"&",)
    nestings = (False, True) if b"[" in unquote_to_bytes(raw) else (False,)
    for split, nested in product(splits, nestings):
        parts = [part for part in re.split(split, raw) if part]
        pairs = [_pair(part, nested=nested) for part in parts]
        yield pairs
        clean = [_is_clean(part) for part in parts]
        if not all(clean):
            yield [pair for pair, good in zip(pairs, clean, strict=True) if good]


def _pair(part: bytes, *, nested: bool) -> tuple[str, str]:
    name, _, value = (unquote_to_bytes(text) for text in part.replace(b"+", b" ").partition(b"="))
    if nested:
        name = name.partition(b"[")[0]
    return name.decode(errors="replace"), value.decode(errors="replace")


def _is_clean(part: bytes) -> bool:
    """Whether every app decodes it to the same text."""
    try:
        unquote_to_bytes(part).decode()
    except UnicodeDecodeError:
        return False
    return not _BAD_ESCAPE.search(part)


def query_holds(alternatives: tuple[dict[str, QueryParameter], ...], query: Query) -> bool:
    """Whether one of the alternatives has all its parameters as it wants them."""
    return any(all(_holds(wanted, query.get(name)) for name, wanted in one.items()) for one in alternatives)


def _holds(wanted: QueryParameter, value: str | None) -> bool:
    """What isn't there is none of any values, and matches no pattern."""
    if value is None:
        return not (wanted.present or wanted.one_of or wanted.matches)
    return (
        wanted.present is not False
        and (not wanted.one_of or value in wanted.one_of)
        and value not in wanted.none_of
        and (not wanted.matches or expression(wanted.matches)(value))
        and not (wanted.matches_not and expression(wanted.matches_not)(value))
    )


def query_words(alternatives: tuple[dict[str, QueryParameter], ...]) -> str:
    """For `check --explain`, as near to the configuration as fits into a line."""
    return " or ".join(
        " and ".join(f"{name} {_words(wanted)}" for name, wanted in one.items()) for one in alternatives
    )


def _words(wanted: QueryParameter) -> str:
    return " ".join(f"{key}={value}" for key, value in wanted.model_dump(exclude_defaults=True).items())
