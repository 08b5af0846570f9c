"""What an importer found, and what it had to leave out."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import yaml

from gateway.directory.user_files import BadLine, ImportedUser

Values = dict[str, Any]
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


@dataclass(frozen=True, slots=True)
class Found:
    people: tuple[ImportedUser | BadLine, ...] = ()
    apps: tuple[ImportedTotp, ...] = ()
    config: Values = field(default_factory=dict)
    left_out: tuple[LeftOut, ...] = ()


def joined(parts: Iterable[Found]) -> Found:
    """Later configuration wins, key by key of the top level."""
    all_parts = tuple(parts)
    return Found(
        tuple(person for part in all_parts for person in part.people),
        tuple(app for part in all_parts for app in part.apps),
        {key: value for part in all_parts for key, value in part.config.items()},
        tuple(one for part in all_parts for one in part.left_out),
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
