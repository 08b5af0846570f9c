"""Users in a YAML file, read again when it changes. Read-only: edit the file.

A file with mistakes changes nothing: the users of the last good one stay, and the log names each mistake with its
line. Passwords cost the same work whether or not the user exists.
"""

import asyncio
import builtins
import heapq
import itertools
import logging
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from gateway.config.names import mail_address, user_name
from gateway.config.yaml_document import Document, parse
from gateway.directory import identifiers
from gateway.directory.base import Census
from gateway.directory.password_hashing import PasswordHashing, is_supported
from gateway.errors import ConfigError, InvalidUser, StoreUnavailable
from gateway.model import User

log = logging.getLogger("gateway.directory")

_LONGEST_ID = 128
_LARGEST = 16 * 1024 * 1024
_KEYS: dict[str, type] = {
    "password": str,
    "name": str,
    "email": str,
    "phone": str,
    "groups": list,
    "disabled": bool,
    "id": str,
}
_KIND_WORDS = {str: "text", list: "a list of names", bool: "`true` or `false`"}
_Stamp = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class FileChange:
    """One user that is not as before. `barred`: the running sessions must end, not only be read again."""

    username: str
    barred: bool


class FileDirectory:
    """The directory that reads a YAML file. It writes nothing there."""

    def __init__(self, path: Path, passwords: PasswordHashing) -> None:
        """Raises ConfigError with every mistake of the file."""
        self._path, self._passwords = path, passwords
        self._stamp = _stamp(path)
        self._users, self._lines = _read(path)
        self._pending: builtins.list[FileChange] = []

    async def get(self, username: str) -> User | None:
        self.refresh()
        return self._users.get(user_name(username))

    async def counted_as(self, name: str) -> str:
        return name  # one user, one spelling

    async def authenticate(self, username: str, password: str) -> User | None:
        user = await self.get(username)
        if user is None or not user.password_hash:
            await self._passwords.dummy_verify()
            return None
        right = await self._passwords.verify(password, user.password_hash)
        return user if right and not user.disabled else None

    async def list(self, search: str = "", *, after: str = "", limit: int) -> Sequence[User]:
        found = (user for user in self._matching(search) if user.username > after)
        return heapq.nsmallest(limit, found, key=lambda user: user.username)

    async def count(self, search: str = "") -> Census:
        found = builtins.list(self._matching(search))
        return Census(len(found), sum(user.disabled for user in found))

    async def with_email(self, address: str, *, limit: int = 20) -> Sequence[User]:
        wanted = mail_address(address)
        found = (user for user in self._matching("") if wanted and mail_address(user.email) == wanted)
        return builtins.list(itertools.islice(found, limit))

    async def in_groups(self, groups: Sequence[str], *, limit: int) -> Sequence[User]:
        members = (user for user in self._matching("") if not set(groups).isdisjoint(user.groups))
        return builtins.list(itertools.islice((user for user in members if not user.disabled), limit))

    def _matching(self, search: str) -> Iterator[User]:
        self.refresh()
        word = search.strip().casefold()
        return (user for user in self._users.values() if not word or word in _searched(user))

    def origin(self, user: User) -> str:
        """Where the user is declared, such as "users.yaml:12"."""
        return f"{self._path}:{self._lines.get(user.username, 0)}"

    def refresh(self) -> None:
        """Read the file again if it is not the one that was read last."""
        stamp = _stamp(self._path)
        if stamp == self._stamp:
            return
        self._stamp = stamp
        try:
            users, self._lines = _read(self._path)
        except ConfigError as error:
            log.error("users stay as they were, %s has mistakes:\n%s", self._path, error)
            return
        self._pending.extend(_changes(self._users, users))
        self._users = users
        log.info("read %d users from %s", len(users), self._path)

    async def watch(self, on_change: Callable[[FileChange], Awaitable[None]], interval: float = 0.5) -> None:
        """Tell of changes until cancelled. `interval` is in seconds."""
        while True:
            self.refresh()
            try:
                while self._pending:
                    await on_change(self._pending[0])
                    self._pending.pop(0)
            except StoreUnavailable as error:
                log.warning("sessions of changed users end a little later: %s", error.detail)
            await asyncio.sleep(interval)


def read_users(path: Path) -> dict[str, User]:
    """Username -> user. Raises ConfigError with every mistake."""
    return _read(path)[0]


def _read(path: Path) -> tuple[dict[str, User], dict[str, int]]:
    """The users and the line of each."""
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
        user = _user(document, str(name), facts)
        if user is not None and user.username in users:
            document.add(("users", name), "is a second spelling of another user")
        elif user is not None:
            users[user.username] = user
            lines[user.username] = document.line(("users", name))
    if document.mistakes:
        raise ConfigError(document.mistakes)
    return users, lines


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


def _user(document: Document, name: str, facts: object) -> User | None:
    place = ("users", name)
    if not isinstance(facts, dict):
        document.add(place, "is not a mapping", "write `alice: {password: …, groups: [staff]}`")
        return None
    before = len(document.mistakes)
    for key, value in facts.items():
        kind = _KEYS.get(key)
        if kind is None:
            document.add((*place, key), "is not a known key", f"keys here are {', '.join(_KEYS)}")
        elif not isinstance(value, kind) or (kind is list and not _all_texts(value)):
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
    )
    try:
        return identifiers.checked(user)
    except InvalidUser as error:
        document.add(place, error.detail)
        return None


def _all_texts(values: object) -> bool:
    return isinstance(values, list) and all(isinstance(value, str) for value in values)


def _changes(old: dict[str, User], new: dict[str, User]) -> Iterator[FileChange]:
    for name, was in old.items():
        now = new.get(name)
        if now == was:
            continue
        barred = now is None or now.disabled or now.password_hash != was.password_hash
        yield FileChange(name, barred)


def _searched(user: User) -> str:
    return "\n".join((user.username, user.name, user.email, *user.groups)).casefold()


def _stamp(path: Path) -> _Stamp:
    """Changes whenever the file is written or replaced. A missing file is one more state, told by reading it."""
    try:
        state = path.stat()
    except OSError:
        return (0, 0, 0)
    return (state.st_ino, state.st_size, state.st_mtime_ns)
