"""What programs do with users by SCIM (RFC 7644 §3): the acts of the console, by other words.

Administrators are not theirs to make or change: whoever could write the mail address or number of one would be one.
They may be disabled and deleted, as everybody who leaves.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from scim2_models import ForbiddenException, MutabilityException, NotFoundException

from gateway.admin.actor import Actor
from gateway.admin.difference import version
from gateway.admin.users import Stale, UserChanges
from gateway.clock import Clock
from gateway.config.names import user_name
from gateway.directory.base import Directory
from gateway.errors import TooManyAttempts
from gateway.model import User
from gateway.scim.models import POLICY
from gateway.scim.user_facts import UserFacts, as_kept, external_id
from gateway.stores.protocols.scim import Provisioned, ProvisionedNames

T = TypeVar("T")
_TRIES, _PAUSE = 100, 0.05
ADMINISTRATOR = "administrators are changed in the console: by SCIM they can only be disabled or deleted"


class ScimUsers:
    """Finds, adds, changes and deletes users."""

    def __init__(
        self,
        people: UserChanges,
        directory: Directory,
        names: ProvisionedNames,
        facts: UserFacts,
        clock: Clock,
        *,
        admins: Sequence[str],
        invite: bool,
    ) -> None:
        """`admins` are the groups of administrators; `invite` says whether new users are mailed a link."""
        self._people, self._directory, self._names, self._facts = people, directory, names, facts
        self._clock, self._admins, self._invite = clock, admins, invite

    async def count(self) -> int:
        return (await self._directory.count()).users

    async def usernames(self, start: int, count: int) -> Sequence[str]:
        """Return usernames in order, without the first `start`, at most `count`."""
        return await self._names.usernames(start, count)

    async def page(self, start: int, count: int) -> Sequence[Any]:
        """Return users in order, without the first `start`, at most `count`."""
        return await self.named(await self._names.usernames(start, count))

    async def named(self, usernames: Sequence[str]) -> Sequence[Any]:
        """Return those of the users that are there."""
        found = [user for name in usernames if (user := await self._directory.get(name)) is not None]
        now = self._clock()
        known = await self._names.of("user", [user.username for user in found], now)
        groups = await self._names.of("group", [name for user in found for name in user.groups], now)
        return [
            self._facts.shown(user, known[user.username], [groups[name] for name in user.groups])
            for user in found
        ]

    async def called(self, external_id: str) -> Sequence[str]:
        """Return the usernames of whom programs call so."""
        return [one.name for one in await self._names.by_external_id("user", external_id)]

    async def with_email(self, address: str) -> Sequence[str]:
        """Return the usernames of who may have a mail address."""
        return [user.username for user in await self._directory.with_email(address)]

    async def username(self, id: str) -> str | None:
        """Return whose id it is, None if nobody's."""
        known = await self._names.by_id("user", id)
        return known.name if known else None

    async def get(self, id: str) -> Any:
        """Return a user. Raises NotFoundException."""
        return (await self._found(id))[1]

    async def create(self, actor: Actor, wanted: Any) -> Any:
        """Add a user. Raises UserExists, InvalidUser."""
        new = self._facts.meant(wanted, User(user_name(wanted.user_name)))
        as_kept(wanted), external_id(wanted)  # what can't be kept is refused before anybody is added
        if self._invite:
            await self._people.invite(actor, replace(new, disabled=False))
            if new.disabled:
                await self._change(actor, new.username, lambda user: replace(user, disabled=True))
        else:
            await self._people.add(actor, new)
        known = (await self._names.of("user", [new.username], self._clock()))[new.username]
        await self._keep(known, wanted)
        return await self.get(known.id)

    async def replace(self, actor: Actor, id: str, wanted: Any) -> Any:
        """Make a user what the program says (RFC 7644 §3.5.1)."""
        known, before = await self._found(id)
        wanted.replace(before)
        return await self._written(actor, known, wanted)

    async def patch(self, actor: Actor, id: str, patch: Any) -> Any:
        """Change some of a user (RFC 7644 §3.5.2)."""
        known, resource = await self._found(id)
        patch.patch(resource, scim_policy=POLICY)
        return await self._written(actor, known, resource)

    async def delete(self, actor: Actor, id: str) -> None:
        """Delete a user with all that is theirs."""
        known, _ = await self._found(id)
        await in_turn(lambda: self._people.delete(actor, known.name))

    async def set_groups(self, actor: Actor, username: str, add: str = "", remove: str = "") -> None:
        """Put a user into a group and take them out of another. Raises UserUnknown, ForbiddenException."""

        def regrouped(user: User) -> User:
            left = tuple(name for name in user.groups if name not in (add, remove))
            return replace(user, groups=(*left, add) if add else left)

        await self._change(actor, username, regrouped)

    async def _found(self, id: str) -> tuple[Provisioned, Any]:
        known = await self._names.by_id("user", id)
        found = await self.named([known.name]) if known else ()
        if known is None or not found:
            raise NotFoundException(detail="there is no such user")
        return known, found[0]

    async def _written(self, actor: Actor, known: Provisioned, wanted: Any) -> Any:
        if user_name(wanted.user_name or "") != known.name:
            detail = "userName can't be changed: delete the user and add another"
            raise MutabilityException(detail=detail)
        await self._change(actor, known.name, lambda user: self._facts.meant(wanted, user))
        await self._keep(known, wanted)
        return await self.get(known.id)

    async def _keep(self, known: Provisioned, wanted: Any) -> None:
        kept = replace(
            known,
            external_id=external_id(wanted),
            resource=as_kept(wanted),
            changed_at=self._clock(),
        )
        await self._names.keep(kept, known.name)

    async def _change(self, actor: Actor, username: str, step: Callable[[User], User]) -> None:
        """Change a user as they are now; of two who do it at once, the second starts again."""

        async def once() -> None:
            before = await self._people.get(username)
            after = step(before)
            if after == before:
                return
            self._allow(before, after)
            await self._people.change(actor, after, version(before))

        await in_turn(once)

    def _allow(self, before: User, after: User) -> None:
        """Raise ForbiddenException for what could make an administrator of somebody."""
        among = {*before.groups, *after.groups} & set(self._admins)
        if not among:
            return
        if after != replace(before, disabled=True):
            raise ForbiddenException(detail=ADMINISTRATOR)


async def in_turn(act: Callable[[], Awaitable[T]]) -> T:
    """Do an act of which only one runs at a time in all workers, once it is its turn.

    Raises TooManyAttempts after some seconds.
    """
    for _ in range(_TRIES):
        try:
            return await act()
        except (TooManyAttempts, Stale):
            await asyncio.sleep(_PAUSE)
    return await act()
