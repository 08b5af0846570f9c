"""Users in a YAML file, read again when it changes. Read-only: edit the file.

A file with mistakes changes nothing: the users of the last good one stay, and the log names each mistake with its
line. Passwords cost the same work whether or not the user exists. Reading and searching many users is done beside the
event loop, so requests go on; until a large file is read, the users of the one before count.
"""

import asyncio
import builtins
import heapq
import itertools
import logging
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from gateway.config.names import mail_address, user_name
from gateway.directory.base import Census
from gateway.directory.password_hashing import PasswordHashing
from gateway.directory.yaml_users import SMALL, UsersAndLines, read_anywhere
from gateway.errors import ConfigError, StoreUnavailable
from gateway.model import User

log = logging.getLogger("gateway.directory")
T = TypeVar("T")

_FEW = 500
"""Users that are searched, or told of, in one step of the event loop."""
_Stamp = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class FileChange:
    """One user that is not as before. `barred`: the running sessions must end, not only be read again."""

    username: str
    barred: bool


class FileDirectory:
    """The directory that reads a YAML file. It writes nothing there."""

    def __init__(self, path: Path, passwords: PasswordHashing, *, country: str = "") -> None:
        """`country` is that of numbers without country code. Raises ConfigError with every mistake of the file."""
        self._path, self._passwords, self._country = path, passwords, country
        self._stamp = _stamp(path)
        self._users, self._lines = read_anywhere(path, country)
        self._pending: builtins.list[FileChange] = []
        self._reading: asyncio.Task[None] | None = None

    async def get(self, username: str) -> User | None:
        await self._follow()
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
        def look(users: Iterator[User]) -> Sequence[User]:
            found = (user for user in _matching(users, search) if user.username > after)
            return heapq.nsmallest(limit, found, key=lambda user: user.username)

        return await self._look(look)

    async def count(self, search: str = "") -> Census:
        def look(users: Iterator[User]) -> Census:
            disabled = [user.disabled for user in _matching(users, search)]
            return Census(len(disabled), sum(disabled))

        return await self._look(look)

    async def with_email(self, address: str, *, limit: int = 20) -> Sequence[User]:
        wanted = mail_address(address)
        name = _before_at(wanted)

        def look(users: Iterator[User]) -> Sequence[User]:
            likely = (user for user in users if wanted and _before_at(user.email) == name)
            found = (user for user in likely if mail_address(user.email) == wanted)
            return builtins.list(itertools.islice(found, limit))

        return await self._look(look)

    async def in_groups(self, groups: Sequence[str], *, limit: int) -> Sequence[User]:
        wanted = set(groups)

        def look(users: Iterator[User]) -> Sequence[User]:
            found = (user for user in users if not user.disabled and not wanted.isdisjoint(user.groups))
            return builtins.list(itertools.islice(found, limit))

        return await self._look(look)

    async def _look(self, look: Callable[[Iterator[User]], T]) -> T:
        await self._follow()
        users = self._users  # a file that is read meanwhile makes another dictionary
        if len(users) <= _FEW:
            return look(iter(users.values()))
        return await asyncio.to_thread(lambda: look(iter(users.values())))

    def origin(self, user: User) -> str:
        """Where the user is declared, such as "users.yaml:12"."""
        return f"{self._path}:{self._lines.get(user.username, 0)}"

    async def refresh(self) -> None:
        """Read the file again if it is not the one that was read last, and wait for that."""
        self._begin()
        if self._reading is not None:
            await asyncio.shield(self._reading)

    async def _follow(self) -> None:
        """As `refresh`, but a large file is not waited for."""
        self._begin()
        if self._reading is not None and self._stamp[1] <= SMALL:
            await asyncio.shield(self._reading)

    def _begin(self) -> None:
        """Begin to read the file if it has changed. One that changes meanwhile is read afterwards."""
        stamp = _stamp(self._path)
        if self._reading is None and stamp != self._stamp:
            self._stamp = stamp
            self._reading = asyncio.create_task(self._read())

    async def _read(self) -> None:
        try:
            found, changes = await asyncio.to_thread(_compared, self._path, self._country, self._users)
        except ConfigError as error:
            log.error("users stay as they were, %s has mistakes:\n%s", self._path, error)
        else:
            self._users, self._lines = found
            self._pending.extend(changes)
            log.info("read %d users from %s", len(self._users), self._path)
        finally:
            self._reading = None

    async def watch(self, on_change: Callable[[FileChange], Awaitable[None]], interval: float = 0.5) -> None:
        """Tell of changes until cancelled. `interval` is in seconds."""
        while True:
            await self.refresh()
            told = 0
            try:
                for change in builtins.list(self._pending):
                    await on_change(change)
                    told += 1
                    if told % _FEW == 0:
                        await asyncio.sleep(0)  # what is told need not wait for anything, and requests do
            except StoreUnavailable as error:
                log.warning("sessions of changed users end a little later: %s", error.detail)
            del self._pending[:told]
            await asyncio.sleep(interval)


def _before_at(address: str) -> str:
    """What is equal for equal addresses, and quickly made."""
    return address.strip().rpartition("@")[0].casefold()


def _matching(users: Iterator[User], search: str) -> Iterator[User]:
    word = search.strip().casefold()
    return (user for user in users if not word or word in _searched(user))


def _compared(path: Path, country: str, old: dict[str, User]) -> tuple[UsersAndLines, Sequence[FileChange]]:
    found = read_anywhere(path, country)
    return found, list(_changes(old, found[0]))


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
