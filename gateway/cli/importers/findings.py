"""What an importer found, what it had to leave out, and who could pass before."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, Protocol
from urllib.parse import urlsplit

import yaml

from gateway.config.names import checked_user_name
from gateway.directory import identifiers
from gateway.directory.user_files import BadLine, ImportedUser
from gateway.errors import InvalidUser
from gateway.model import User

Values = dict[str, Any]
ONLY_GROUP_STANDS_IN = (
    "its limit can't be said here: give --only-group NAME and put those who may pass into that group"
)
THIS_MACHINE = ["127.0.0.1/32", "::1/128"]
"""The proxies that are believed where the original does not say."""


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Something that has no counterpart here; `where` is its place in the original."""

    where: str
    why: str


@dataclass(frozen=True, slots=True)
class ImportedTotp:
    """The authenticator app of a user; `secret` is base32."""

    username: str
    secret: str = field(repr=False)


class Access(IntEnum):
    """What somebody must prove to be let in, from the loosest to the strictest."""

    ANYTHING = 0
    ONE_FACTOR = 1
    TWO_FACTORS = 2
    NEVER = 3


@dataclass(frozen=True, slots=True)
class Sample:
    """A request that tells the original's rules apart. `rule` is where it comes from; `client` an IP address."""

    rule: str
    host: str
    path: str = "/"
    method: str = "GET"
    client: str = "192.0.2.1"
    query: str = ""


class Original(Protocol):
    """The rules of the other gateway as it read them itself, so that ours can be compared with them."""

    def samples(self, people: Sequence[User]) -> Sequence[Sample]:
        """At least one for each rule."""
        ...

    def named(self) -> Sequence[User]:
        """Whom the rules name, one member of each group they name, and somebody whom they don't."""
        ...

    def access(self, sample: Sample, person: User | None) -> Access:
        """What `person` (None: a stranger, who can't sign in) had to prove there."""
        ...


@dataclass(frozen=True, slots=True)
class Found:
    """All of an original that was understood.

    `stops` are limits on who may pass that can't be said here: with one of them nothing is imported, because what
    is left would let in more people than before.
    """

    people: tuple[ImportedUser | BadLine, ...] = ()
    apps: tuple[ImportedTotp, ...] = ()
    config: Values = field(default_factory=dict)
    left_out: tuple[LeftOut, ...] = ()
    stops: tuple[LeftOut, ...] = ()
    original: Original | None = None


def joined(parts: Iterable[Found]) -> Found:
    """Later configuration wins, key by key of the top level."""
    all_parts = tuple(parts)
    return Found(
        people=tuple(person for part in all_parts for person in part.people),
        apps=tuple(app for part in all_parts for app in part.apps),
        config={key: value for part in all_parts for key, value in part.config.items()},
        left_out=tuple(one for part in all_parts for one in part.left_out),
        stops=tuple(one for part in all_parts for one in part.stops),
        original=next((part.original for part in reversed(all_parts) if part.original), None),
    )


def as_yaml(found: Found, source: str) -> str:
    """The part of a config.yaml that the original stands for."""
    head = f"# Written by `auth-gateway import {source}`. Read it before you use it.\n"
    notes = "".join(f"# left out: {one.where}: {one.why}\n" for one in found.left_out)
    return head + notes + yaml.safe_dump(found.config, sort_keys=False, allow_unicode=True, width=110)


def as_list(value: object) -> list[Any]:
    """YAML and TOML let one thing stand for a list of one."""
    if value is None:
        return []
    return list(value) if isinstance(value, list | tuple) else [value]


def username(text: str) -> str:
    """The spelling in which our rules and users know a name; as it is where nobody can have it."""
    try:
        return checked_user_name(text)
    except InvalidUser:
        return text


def named_people(users: Iterable[str], groups: Iterable[str]) -> list[User]:
    """Made-up people for `Original.named`, where users live in a directory that is not imported."""
    people = [User(username(name)) for name in dict.fromkeys(users)]
    people += [User(f"any-of-{username(group)}", groups=(group,)) for group in dict.fromkeys(groups)]
    return [*people, User("anybody-else")]


def users_of(found: Found) -> list[User]:
    """Who comes along, in our spelling."""
    people = []
    for one in found.people:
        if isinstance(one, ImportedUser):
            try:
                people.append(identifiers.checked(one.user))
            except InvalidUser:
                continue  # told by the import itself, with its line
    return people


def listen(address: str, port: int) -> str:
    """Our `server.listen` for "tcp://:9091/", "http://0.0.0.0:4180", ":80" and the like, so that proxies find us."""
    parts = urlsplit(address if "://" in address else f"tcp://{address}")
    return f"{parts.hostname or '0.0.0.0'}:{parts.port or port}"  # noqa: S104 - where the original listened


class NotOurs(Exception):
    """Says why a criterion can't be said here."""


def whole_text(pattern: str) -> str:
    """Our spelling of a regular expression that may match anywhere in a value: ours match the whole of it.

    Our dot matches line feeds too, others' does not.
    """
    return f".*(?-s:{pattern}).*"


def whole_path(pattern: str) -> str:
    """Our spelling of a regular expression that may match anywhere: ours match whole paths."""
    anchored = "|" not in pattern
    start = pattern.removeprefix("^") if anchored and pattern.startswith("^") else f".*(?:{pattern})"
    if start != pattern.removeprefix("^"):
        return f"~{start}.*"
    return "~" + (start[:-1] if start.endswith("$") and not start.endswith("\\$") else f"{start}.*")
