"""Where an engine's outcome differs from ours, in words that tests/data/engine_differences.yaml can name."""

from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path

import yaml

from tests.doors.app import ID, Received
from tests.doors.client import Got
from tests.doors.run import Outcome

TABLE = Path(__file__).parents[1] / "data" / "engine_differences.yaml"
NEVER = "reaches the app"
"""What no row covers that does not say so itself."""
_OF_THE_APP = ("x-app", "set-cookie", "etag", "content-range", "retry-after", "content-type")
_OF_A_REFUSAL = ("location", "www-authenticate")


@dataclass(frozen=True, slots=True)
class Meant:
    """A difference that is meant. `what` and `kinds` may hold the patterns of fnmatch."""

    what: str
    engines: tuple[str, ...]
    reason: str
    kinds: tuple[str, ...] = ("*",)

    def covers(self, engine: str, kind: str, what: str) -> bool:
        if what.startswith(NEVER) and not self.what.startswith(NEVER):
            return False
        return (
            engine.partition("-")[0] in self.engines
            and any(fnmatchcase(kind, one) for one in self.kinds)
            and fnmatchcase(what, self.what)
        )


@cache
def meant() -> list[Meant]:
    rows = yaml.safe_load(TABLE.read_text())
    return [
        Meant(row["what"], tuple(row["engines"]), row["reason"], tuple(row.get("kinds", ("*",))))
        for row in rows
    ]


def differences(ours: Outcome, theirs: Outcome) -> Iterator[str]:
    """None of them, if both doors did the same."""
    if theirs.received and not ours.received:
        yield f"reaches the app, refused by us with {ours.got.status}"
    if len(theirs.received) > 1:
        yield "the app is asked twice"
    if ours.received and theirs.received:
        yield from _at_the_app(ours.received[0], theirs.received[0])
    if ours.received and not theirs.received:
        yield f"refused with {theirs.got.status}, let through by us"
    elif ours.got.status != theirs.got.status:
        yield f"status {theirs.got.status} where we say {ours.got.status}"
    if bool(ours.received) == bool(theirs.received):
        names = _OF_THE_APP if ours.received else _OF_A_REFUSAL
        yield from _at_the_client(ours.got, theirs.got, names)
    if ours.received and theirs.received and _nameless(ours.got) != _nameless(theirs.got):
        yield "another body in the answer"


def _nameless(got: Got) -> bytes:
    """The body without the request's name, which pages of ours show."""
    (name,) = got.values("x-request-id") or ("",)
    return got.body.replace(name.encode(), b"") if name else got.body


def _at_the_app(ours: Received, theirs: Received) -> Iterator[str]:
    for facet in ("method", "target", "body"):
        if getattr(ours, facet) != getattr(theirs, facet):
            yield f"app: another {facet}"
    one, other = _by_name(ours.headers), _by_name(theirs.headers)
    for name in sorted({*one, *other} - {ID}):
        if name not in other:
            yield f"app lacks {name}"
        elif name not in one:
            yield f"app has {name}"
        elif one[name] != other[name] and name not in ("x-auth-assertion", "x-request-id"):
            yield f"app: another {name}"


def _at_the_client(ours: Got, theirs: Got, names: tuple[str, ...]) -> Iterator[str]:
    for name in names:
        if ours.values(name) != theirs.values(name):
            yield f"client: another {name}"


def _by_name(headers: tuple[tuple[str, str], ...]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, value in headers:
        found.setdefault(name, []).append(value.lower() if name == "connection" else value)
    return found
