"""The Protocols of directories, where users live. The database is one; a YAML file and LDAP are others."""

from collections.abc import Sequence
from typing import Protocol

from gateway.errors import UserUnknown
from gateway.model import User


class Directory(Protocol):
    """A directory that can be read. Usernames are matched after NFKC and case folding."""

    async def get(self, username: str) -> User | None:
        """Return the user, None if there is none. Raises StoreUnavailable."""
        ...

    async def authenticate(self, username: str, password: str) -> User | None:
        """The user if the password is right and the account enabled, else None; equal work in every case."""
        ...

    async def list(self, search: str = "") -> Sequence[User]:
        """Return all users, or those whose username, name, address or groups contain `search`."""


class WritableDirectory(Directory, Protocol):
    """A directory whose users the gateway may change."""

    async def add(self, user: User, password: str | None = None) -> None:
        """Raises UserExists."""
        ...

    async def replace(self, user: User) -> None:
        """Store all fields of `user` but the password; raises UserUnknown. Publishes a Change."""
        ...

    def check_password(self, password: str, username: str) -> None:
        """Raises WeakPassword for what `set_password` would refuse."""
        ...

    async def set_password(self, username: str, password: str) -> None:
        """Hash and store; raises UserUnknown, WeakPassword. Publishes a Change."""
        ...

    async def clear_password(self, username: str) -> None:
        """Nobody can sign in with a password until an invitation sets one; raises UserUnknown. Publishes a Change."""
        ...

    async def delete(self, username: str) -> None:
        """Raises UserUnknown. Sessions and credentials go with the user."""
        ...


async def existing(directory: Directory, username: str) -> User:
    """A user who was there a moment ago, as the directory has them now. Raises UserUnknown."""
    user = await directory.get(username)
    if user is None:
        raise UserUnknown(f"{username} is gone")
    return user
