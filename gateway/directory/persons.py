"""Notices that a name in a directory elsewhere has passed to another person, who inherits nothing of the one before.

LDAP servers and files tell nobody that a user was deleted and a new one got the name. The entry's own id does: where
a directory has one (`User.directory_id`), the one that a name had last is kept in the database.
"""

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

from gateway.directory.base import Census, Directory, Glance, every, glance
from gateway.model import User

log = logging.getLogger("gateway.directory")

Passes = Callable[[str, str], Awaitable[bool]]
"""Whether a name passes with this question to the person with this id; takes what the name had if it does."""
_MOST_KNOWN = 100_000


def _untold(username: str) -> None:
    """Commands have no audit log at hand; the line in the log is enough."""


class Persons:
    """A directory whose users are told apart by their ids. `tell` is called with each name that has passed on."""

    def __init__(self, directory: Directory, passes: Passes) -> None:
        self._directory, self._passes = directory, passes
        self._known: dict[str, str] = {}
        self.tell: Callable[[str], None] = _untold

    async def get(self, username: str) -> User | None:
        """Return nobody in the moment in which the name passes on: who asks may mean the person before, such as by
        the session of theirs that is being read.
        """
        user = await self._directory.get(username)
        return None if user is not None and await self._is_another(user) else user

    async def counted_as(self, name: str) -> str:
        return await self._directory.counted_as(name)

    async def authenticate(self, username: str, password: str) -> User | None:
        user = await self._directory.authenticate(username, password)
        if user is not None:
            await self._is_another(user)  # then the password was the new person's
        return user

    async def list(self, search: str = "", *, after: str = "", limit: int) -> Sequence[User]:
        return await self._directory.list(search, after=after, limit=limit)

    async def count(self, search: str = "") -> Census:
        return await self._directory.count(search)

    async def glance(self, search: str = "", *, after: str = "", limit: int) -> Glance:
        return await glance(self._directory, search, after=after, limit=limit)

    def everyone(self, search: str = "") -> AsyncIterator[Sequence[User]]:
        return every(self._directory, search)

    async def with_email(self, address: str, *, limit: int = 20) -> Sequence[User]:
        found = await self._directory.with_email(address, limit=limit)
        for user in found:
            await self._is_another(user)
        return found

    async def in_groups(self, groups: Sequence[str], *, limit: int) -> Sequence[User]:
        return await self._directory.in_groups(groups, limit=limit)

    async def _is_another(self, user: User) -> bool:
        """Whether the name had another person when this worker, or anybody, last looked. Raises StoreUnavailable."""
        id, before = user.directory_id, self._known.get(user.username, "")
        if not id or id == before:
            return False
        passed = await self._passes(user.username, id)
        if len(self._known) >= _MOST_KNOWN:
            self._known.clear()
        self._known[user.username] = id
        if passed:
            log.warning(
                "the directory has %s under another id than before: that is another person, whose sessions, devices, "
                "tokens and second factors begin anew. If directories were moved, keep entryUUID or objectGUID",
                user.username,
            )
            self.tell(user.username)
        return passed or bool(before)
