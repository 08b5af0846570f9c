"""The Protocols of directories, where users live. The database is one; a YAML file and LDAP are others."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from gateway.errors import UserUnknown
from gateway.model import User

PAGE = 500
"""Users in one question where all of them are wanted, in the end."""


@dataclass(frozen=True, slots=True)
class Census:
    """How many users there are, and how many of them are disabled; at least so many while it is not `complete`."""

    users: int
    disabled: int
    complete: bool = True


@dataclass(frozen=True, slots=True)
class Glance:
    """What a page can show at once: some users, and what is known of how many there are."""

    users: Sequence[User]
    census: Census


class Directory(Protocol):
    """A directory that can be read. Usernames are matched after NFKC and case folding.

    A directory may hold a hundred thousand users: whatever returns several of them takes a `limit`.
    """

    async def get(self, username: str) -> User | None:
        """Return the user, None if there is none. Raises StoreUnavailable."""
        ...

    async def counted_as(self, name: str) -> str:
        """Return under which name the failures of `name` count, which is in the spelling of `user_name`.

        A directory that finds one user by several spellings returns that user's own name for each of them, and where
        there is no such user something that is as coarse. Raises StoreUnavailable.
        """
        ...

    async def authenticate(self, username: str, password: str) -> User | None:
        """The user if the password is right and the account enabled, else None; equal work in every case."""
        ...

    async def list(self, search: str = "", *, after: str = "", limit: int) -> Sequence[User]:
        """At most `limit` users by username, from the one after the username `after` on.

        All of them, or those whose username, name, address or groups contain `search`.
        """
        ...

    async def count(self, search: str = "") -> Census:
        """Count what `list` would return in the end."""
        ...

    async def with_email(self, address: str, *, limit: int = 20) -> Sequence[User]:
        """Users whose mail address may be `address`, in any spelling. The caller compares."""
        ...

    async def in_groups(self, groups: Sequence[str], *, limit: int) -> Sequence[User]:
        """Users who are in any of `groups` and not disabled."""
        ...


class WritableDirectory(Directory, Protocol):
    """A directory whose users the gateway may change."""

    async def add(self, user: User, password: str | None = None) -> None:
        """Add a user. Raises UserExists."""
        ...

    async def replace(self, user: User) -> None:
        """Store all fields of `user` but the password; raises UserUnknown. Publishes a Change."""
        ...

    async def check_password(self, password: str, user: User) -> None:
        """Judge a new password. Raises WeakPassword for what `set_password` would refuse."""
        ...

    async def set_password(self, username: str, password: str) -> None:
        """Hash and store; raises UserUnknown, WeakPassword. Publishes a Change."""
        ...

    async def clear_password(self, username: str) -> None:
        """Nobody can sign in with a password until an invitation sets one; raises UserUnknown. Publishes a Change."""
        ...

    async def delete(self, username: str) -> None:
        """Delete a user. Raises UserUnknown. Sessions and credentials go with the user."""
        ...


async def existing(directory: Directory, username: str) -> User:
    """A user who was there a moment ago, as the directory has them now. Raises UserUnknown."""
    user = await directory.get(username)
    if user is None:
        raise UserUnknown(f"{username} is gone")
    return user


@runtime_checkable
class Gradual(Protocol):
    """A directory that takes long to read all users, and can tell of some before."""

    async def glance(self, search: str = "", *, after: str = "", limit: int) -> Glance:
        """Do as `list` and `count`, of those users who are known by now; reading goes on behind."""
        ...

    def everyone(self, search: str = "") -> AsyncIterator[Sequence[User]]:
        """Yield all users that fit once, as they come, in no order."""
        ...


async def glance(directory: Directory, search: str = "", *, after: str = "", limit: int) -> Glance:
    """Return what a page shows. It does not wait for all users to be read."""
    if isinstance(directory, Gradual):
        return await directory.glance(search, after=after, limit=limit)
    users = await directory.list(search, after=after, limit=limit)
    return Glance(users, await directory.count(search))


async def every(directory: Directory, search: str = "") -> AsyncIterator[Sequence[User]]:
    """Yield all users that fit, some hundreds at a time, in the order of names where that costs no waiting.

    For commands and exports, never for a page.
    """
    if isinstance(directory, Gradual):
        async for found in directory.everyone(search):
            yield found
        return
    after = ""
    while found := await directory.list(search, after=after, limit=PAGE):
        yield found
        after = found[-1].username
