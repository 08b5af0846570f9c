"""What programs do with groups by SCIM (RFC 7644 §3). A group is a name that users carry; one without members is a
name that was made here.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from scim2_models import ForbiddenException, InvalidValueException, NotFoundException, UniquenessException

from gateway.admin.actor import Actor
from gateway.clock import Clock
from gateway.directory import identifiers
from gateway.scim.models import POLICY, Group
from gateway.scim.user_facts import external_id, location, meta
from gateway.scim.users import ScimUsers
from gateway.stores.protocols.scim import Provisioned, ProvisionedNames


class ScimGroups:
    """Finds, makes, changes and ends groups. `admins` are those of administrators: they are not theirs to change."""

    def __init__(
        self,
        users: ScimUsers,
        names: ProvisionedNames,
        clock: Clock,
        *,
        admins: Sequence[str],
        base: str,
    ) -> None:
        self._users, self._names, self._clock, self._admins, self._base = users, names, clock, admins, base

    async def all(self) -> Sequence[str]:
        """Return the names of all groups, in order."""
        return await self._names.groups()

    async def named(self, names: Sequence[str], *, members: bool) -> Sequence[Any]:
        """Return groups, with their members where they are asked for."""
        known = await self._names.of("group", names, self._clock())
        return [await self._shown(known[name], members=members) for name in names]

    async def called(self, external_id: str) -> Sequence[str]:
        """Return the names of what programs call so."""
        return [one.name for one in await self._names.by_external_id("group", external_id)]

    async def name(self, id: str) -> str | None:
        """Return the name of a group by its id, None if there is none."""
        known = await self._names.by_id("group", id)
        return known.name if known else None

    async def get(self, id: str, *, members: bool = True) -> Any:
        """Return a group. Raises NotFoundException."""
        return await self._shown(await self._known(id), members=members)

    async def create(self, actor: Actor, wanted: Any) -> Any:
        """Make a group with its members. Raises UniquenessException."""
        name = self._checked(wanted.display_name)
        if name in await self.all():
            raise UniquenessException(detail=f"there is a group {name} already")
        usernames = await self._usernames(wanted)
        known = (await self._names.of("group", [name], self._clock()))[name]
        await self._names.keep(replace(known, external_id=external_id(wanted)), name)
        for username in usernames:
            await self._users.set_groups(actor, username, add=name)
        return await self.get(known.id)

    async def replace(self, actor: Actor, id: str, wanted: Any) -> Any:
        """Make a group what the program says (RFC 7644 §3.5.1)."""
        known = await self._known(id)
        return await self._written(actor, known, wanted)

    async def patch(self, actor: Actor, id: str, patch: Any) -> None:
        """Change some of a group (RFC 7644 §3.5.2)."""
        known = await self._known(id)
        resource = await self._shown(known, members=True)
        patch.patch(resource, scim_policy=POLICY)
        await self._written(actor, known, resource)

    async def delete(self, actor: Actor, id: str) -> None:
        """Take everybody out of a group, and forget it."""
        known = await self._known(id)
        self._checked(known.name)
        for username in await self._names.members(known.name):
            await self._users.set_groups(actor, username, remove=known.name)
        await self._names.forget("group", known.name)

    async def _written(self, actor: Actor, known: Provisioned, wanted: Any) -> Any:
        self._checked(known.name)
        name = self._checked(wanted.display_name)
        if name != known.name and name in await self.all():
            raise UniquenessException(detail=f"there is a group {name} already")
        wished, now = set(await self._usernames(wanted)), set(await self._names.members(known.name))
        kept = replace(known, name=name, external_id=external_id(wanted), changed_at=self._clock())
        await self._names.keep(kept, known.name)
        for username in sorted(now - wished):
            await self._users.set_groups(actor, username, remove=known.name)
        for username in sorted(wished if name != known.name else wished - now):
            await self._users.set_groups(actor, username, add=name, remove=known.name)
        return await self.get(known.id)

    async def _known(self, id: str) -> Provisioned:
        known = await self._names.by_id("group", id)
        if known is None:
            raise NotFoundException(detail="there is no such group")
        return known

    async def _shown(self, known: Provisioned, *, members: bool) -> Any:
        usernames = await self._names.members(known.name) if members else ()
        users = await self._names.of("user", usernames, self._clock())
        listed = [
            {"value": users[name].id, "$ref": location(users[name], self._base), "type": "User"}
            for name in usernames
        ]
        return Group.model_validate(
            {
                "id": known.id,
                "externalId": known.external_id or None,
                "displayName": known.name,
                "members": listed or None,
                "meta": meta(known, self._base, 0.0),
            }
        )

    def _checked(self, name: str | None) -> str:
        """The name of a group that programs may change. Raises InvalidUser, ForbiddenException."""
        group = identifiers.group(name or "")
        if group in self._admins:
            raise ForbiddenException(
                detail=f"{group} makes administrators: it is changed in the console alone"
            )
        return group

    async def _usernames(self, wanted: Any) -> list[str]:
        found = []
        for member in wanted.members or ():
            username = await self._users.username(member.value or "")
            if username is None:
                raise InvalidValueException(detail=f"there is no user {member.value!r}")
            found.append(username)
        return found
