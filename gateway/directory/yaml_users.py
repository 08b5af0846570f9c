"""Reads a YAML file of users: here, or in a process of its own where it is large.

PyYAML takes a second and nine MiB for each 1500 users. In a worker that would hold up requests and stay in its memory.
What that process has read comes over a few users at a time, so that requests get their turn between them.
"""

import asyncio
import json
import os
import subprocess
import sys
from dataclasses import asdict, astuple
from itertools import islice
from pathlib import Path
from typing import Any

from gateway.config.yaml_document import Document, parse
from gateway.directory import identifiers
from gateway.directory.password_hashing import is_supported
from gateway.errors import ConfigError, InvalidUser, Mistake
from gateway.model import User

SMALL = 64 * 1024
"""Bytes that are read here: some hundred users, a fraction of a second."""
_AT_ONCE = 100
"""Users in a line that the other process writes: what is read in one step holds up others, here for a millisecond."""
_LONGEST_LINE = 16 * 1024 * 1024
_LONGEST_ID = 128
_LARGEST = 64 * 1024 * 1024
_KEYS: dict[str, type] = {
    "password": str,
    "name": str,
    "email": str,
    "phone": str,
    "groups": list,
    "disabled": bool,
    "id": str,
    "attributes": dict,
}
_ATTRIBUTES = "a mapping of names to a text, or a list of texts"
_KIND_WORDS = {str: "text", list: "a list of names", bool: "`true` or `false`", dict: _ATTRIBUTES}

Row = tuple[Any, ...]
"""A user's fields. Python's collector looks at a hundred thousand users again and again, for a tenth of a second each
time in which nobody is answered; tuples of texts it lets alone.
"""
RowsAndLines = tuple[dict[str, Row], dict[str, int]]
"""The users in the order of their names, and the line of each."""


def user_of(row: Row) -> User:
    """Make the user of a row."""
    return User(*row)


def read_anywhere(path: Path, country: str = "") -> RowsAndLines:
    """Return the users, and the line of each, without much work in this process. Raises ConfigError.

    `country` is that of numbers without country code (`sms.default_country`). Takes seconds for thousands of users, so
    it is for a start.
    """
    if _is_read_here(path):
        return _read_rows(path, country)
    found = _Found(path)
    with subprocess.Popen(_command(path, country), stdout=subprocess.PIPE, env=_environment()) as process:  # noqa: S603 - no shell
        assert process.stdout is not None
        for piece in process.stdout:
            found.take(piece)
    return found.complete(process.returncode)


async def read_beside(path: Path, country: str = "") -> RowsAndLines:
    """Do as `read_anywhere`, while requests go on. Raises ConfigError."""
    if _is_read_here(path):
        return await asyncio.to_thread(_read_rows, path, country)
    found = _Found(path)
    process = await asyncio.create_subprocess_exec(
        *_command(path, country), stdout=subprocess.PIPE, env=_environment(), limit=_LONGEST_LINE
    )
    assert process.stdout is not None
    try:
        async for piece in process.stdout:
            found.take(piece)
            await asyncio.sleep(0)  # the next one may be there already
        return found.complete(await process.wait())
    finally:
        if process.returncode is None:  # nobody waits for it any more
            process.kill()
            await process.wait()


def _read_rows(path: Path, country: str) -> RowsAndLines:
    users, lines = read_here(path, country)
    return {name: astuple(user) for name, user in users.items()}, lines


def _is_read_here(path: Path) -> bool:
    try:
        return path.stat().st_size <= SMALL or not sys.executable
    except OSError:
        return True  # reading it tells what is wrong


def _command(path: Path, country: str) -> list[str]:
    return [sys.executable, "-m", __name__, str(path), country]


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}


class _Found:
    """What the other process has told so far."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._rows: dict[str, Row] = {}
        self._lines: dict[str, int] = {}
        self._mistakes: list[Mistake] = []

    def take(self, piece: bytes) -> None:
        """Read one of its lines."""
        said = json.loads(piece)
        self._mistakes += (Mistake(**one) for one in said["mistakes"])
        for fields, line in said["users"]:
            name = str(fields[0])
            self._rows[name] = tuple(map(_frozen, fields))
            self._lines[name] = line

    def complete(self, status: int) -> RowsAndLines:
        """Return all of it. Raises ConfigError."""
        if status != 0:
            problem = f"could not be read: the process that reads it ended with {status}"
            self._mistakes.append(Mistake(file=str(self._path), line=0, key="", problem=problem, mend=""))
        if self._mistakes:
            raise ConfigError(self._mistakes)
        return self._rows, self._lines


def _frozen(value: Any) -> Any:
    return tuple(map(_frozen, value)) if isinstance(value, list) else value


def _tell(path: Path, country: str) -> None:
    """For the other process: write what `_Found` takes."""
    try:
        users, lines = read_here(path, country)
    except ConfigError as error:
        print(json.dumps({"users": [], "mistakes": [asdict(one) for one in error.mistakes]}))
        return
    rest = iter(users.values())
    while some := [(astuple(user), lines[user.username]) for user in islice(rest, _AT_ONCE)]:
        print(json.dumps({"users": some, "mistakes": []}))


def read_users(path: Path) -> dict[str, User]:
    """Username -> user. Raises ConfigError with every mistake."""
    return read_here(path)[0]


def read_here(path: Path, country: str = "") -> tuple[dict[str, User], dict[str, int]]:
    """Return the users and the line of each; `country` as for `read_anywhere`. Raises ConfigError."""
    document = _document(path)
    users: dict[str, User] = {}
    lines: dict[str, int] = {}
    entries = document.values.get("users")
    for key in document.values:
        if key != "users":
            document.add((key,), "is not a known key", "the file has one key: `users`")
    if not isinstance(entries, dict):
        document.add(
            ("users",), "is not a mapping of usernames to users", "write `users:` and the names below"
        )
        entries = {}
    for name, facts in entries.items():
        user = _user(document, str(name), facts, country)
        if user is not None and user.username in users:
            document.add(("users", name), "is a second spelling of another user")
        elif user is not None:
            users[user.username] = user
            lines[user.username] = document.line(("users", name))
    if document.mistakes:
        raise ConfigError(document.mistakes)
    return {name: users[name] for name in sorted(users)}, lines


def _document(path: Path) -> Document:
    empty = Document(str(path))
    try:
        with path.open("rb") as file:
            content = file.read(_LARGEST + 1)
        if len(content) <= _LARGEST:
            return parse(content.decode(), str(path))
        problem = "the file is too large"
    except OSError as error:
        problem = f"the file can't be read: {error.strerror}"
    except UnicodeDecodeError:
        problem = "the file is not UTF-8"
    empty.add((), problem)
    raise ConfigError(empty.mistakes)


def _user(document: Document, name: str, facts: object, country: str) -> User | None:
    place = ("users", name)
    if not isinstance(facts, dict):
        document.add(place, "is not a mapping", "write `alice: {password: …, groups: [staff]}`")
        return None
    before = len(document.mistakes)
    for key, value in facts.items():
        kind = _KEYS.get(key)
        if kind is None:
            document.add((*place, key), "is not a known key", f"keys here are {', '.join(_KEYS)}")
        elif (
            not isinstance(value, kind)
            or (kind is list and not _all_texts(value))
            or (kind is dict and attribute_lists(value) is None)
        ):
            document.add((*place, key), f"is not {_KIND_WORDS[kind]}")
    password = facts.get("password", "")
    if isinstance(password, str) and password and not is_supported(password):
        mend = "a hash of argon2id, bcrypt or SHA-crypt; never the password itself"
        document.add((*place, "password"), "is not a password hash that we can check", mend)
    if len(document.mistakes) > before:
        return None
    user = User(
        name,
        name=facts.get("name", ""),
        email=facts.get("email", ""),
        phone=facts.get("phone", ""),
        groups=tuple(facts.get("groups", ())),
        disabled=facts.get("disabled", False),
        password_hash=password,
        directory_id=facts.get("id", "")[:_LONGEST_ID],
        attributes=tuple((attribute_lists(facts.get("attributes", {})) or {}).items()),
    )
    try:
        return identifiers.checked(user, country=country)
    except InvalidUser as error:
        document.add(place, error.detail)
        return None


def attribute_lists(values: object) -> dict[str, tuple[str, ...]] | None:
    """Attributes as a file has them, a text or a list of texts for each name; None for what is something else."""
    if not isinstance(values, dict):
        return None
    lists = {name: [one] if isinstance(one, str) else one for name, one in values.items()}
    if not all(isinstance(name, str) and _all_texts(one) for name, one in lists.items()):
        return None
    return {name: tuple(one) for name, one in lists.items()}


def _all_texts(values: object) -> bool:
    return isinstance(values, list) and all(isinstance(value, str) for value in values)


if __name__ == "__main__":
    _tell(Path(sys.argv[1]), sys.argv[2])
