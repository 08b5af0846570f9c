"""Users in a YAML file, read again when it changes. Read-only: edit the file.

A file with mistakes changes nothing: the users of the last good one stay, and the log names each mistake with its
line. Passwords cost the same work whether or not the user exists. Many users are read, searched, compared and forgotten
some hundreds at a time in the event loop, so requests go on: a thread would fight with them for the interpreter's lock.
Until a large file is read, the users of the one before count.
"""

import asyncio
import bisect
import builtins
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TypeVar

from gateway.config.names import mail_address, user_name
from gateway.directory.base import Census
from gateway.directory.password_hashing import PasswordHashing
from gateway.directory.yaml_users import SMALL, Row, read_anywhere, read_beside, user_of
from gateway.errors import ConfigError, StoreUnavailable
from gateway.model import User

log = logging.getLogger("gateway.directory")
T = TypeVar("T")

_FEW = 100
"""Users that are looked at in one step of the event loop: a millisecond or two."""
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
        self._rows, self._lines = read_anywhere(path, country)
        self._names = builtins.list(self._rows)
        self._pending: builtins.list[FileChange] = []
        self._reading: asyncio.Task[None] | None = None

    async def get(self, username: str) -> User | None:
        await self._follow()
        row = self._rows.get(user_name(username))
        return None if row is None else user_of(row)

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
        await self._follow()
        begin = bisect.bisect_right(self._names, after)
        rows, names, word = self._rows, islice(self._names, begin, None), _word(search)
        return await _first(limit, (rows[name] for name in names), lambda user: word in _searched(user))

    async def count(self, search: str = "") -> Census:
        await self._follow()
        word, users, disabled = _word(search), 0, 0
        async for some in _in_turns(self._rows.values()):
            found = [user.disabled for user in map(user_of, some) if not word or word in _searched(user)]
            users, disabled = users + len(found), disabled + sum(found)
        return Census(users, disabled)

    async def with_email(self, address: str, *, limit: int = 20) -> Sequence[User]:
        wanted = mail_address(address)
        name = _before_at(wanted)

        def has_it(user: User) -> bool:
            return _before_at(user.email) == name and mail_address(user.email) == wanted

        await self._follow()
        return await _first(limit, self._rows.values(), has_it) if wanted else []

    async def in_groups(self, groups: Sequence[str], *, limit: int) -> Sequence[User]:
        wanted = set(groups)
        await self._follow()
        return await _first(
            limit,
            self._rows.values(),
            lambda user: not user.disabled and not wanted.isdisjoint(user.groups),
        )

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
            rows, lines = await read_beside(self._path, self._country)
            changes = [one async for some in _in_turns(self._rows.items()) for one in _changes(some, rows)]
        except ConfigError as error:
            log.error("users stay as they were, %s has mistakes:\n%s", self._path, error)
        else:
            old = builtins.list(self._rows.values())
            self._rows, self._lines, self._names = rows, lines, builtins.list(rows)
            self._pending.extend(changes)
            log.info("read %d users from %s", len(rows), self._path)
            await _forget(old)
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


async def _in_turns(items: Iterable[T]) -> AsyncIterator[Sequence[T]]:
    """Yield all of it, a few at a time, and let others go on in between. What is changed meanwhile is not seen."""
    rest = iter(items)
    while some := builtins.list(islice(rest, _FEW)):
        yield some
        await asyncio.sleep(0)


async def _first(limit: int, rows: Iterable[Row], fits: Callable[[User], bool]) -> Sequence[User]:
    found: builtins.list[User] = []
    async for some in _in_turns(rows):
        found += islice(filter(fits, map(user_of, some)), limit - len(found))
        if len(found) == limit:
            break
    return found


async def _forget(rows: builtins.list[Row]) -> None:
    """Let go of them a few at a time: to free a hundred thousand at once would hold up requests."""
    while rows:
        del rows[-_FEW:]
        await asyncio.sleep(0)


def _word(search: str) -> str:
    return search.strip().casefold()


def _changes(some: Iterable[tuple[str, Row]], new: dict[str, Row]) -> Iterator[FileChange]:
    for name, before in some:
        after = new.get(name)
        if after == before:
            continue
        was, now = user_of(before), user_of(after) if after else None
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
