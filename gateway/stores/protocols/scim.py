"""The Protocol of what directories elsewhere know our users and groups by (SCIM)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

Kind = Literal["user", "group"]


@dataclass(frozen=True, slots=True)
class Provisioned:
    """A user or group of ours, as programs that speak SCIM know it. `name` is ours, `id` never passes to another.

    `resource` is what such a program last wrote, as JSON ("" for nothing); `changed_at` is in Unix seconds.
    """

    kind: Kind
    name: str
    id: str
    external_id: str = ""
    resource: str = ""
    changed_at: float = 0.0


class ProvisionedNames(Protocol):
    """The ids of users and groups. Methods raise StoreUnavailable."""

    async def of(self, kind: Kind, names: Sequence[str], now: float) -> Mapping[str, Provisioned]:
        """Return what each name is known by; one that was not known yet gets an id."""
        ...

    async def by_id(self, kind: Kind, id: str) -> Provisioned | None:
        """Return what an id stands for, None for nothing."""

    async def by_external_id(self, kind: Kind, external_id: str) -> Sequence[Provisioned]:
        """Return what programs call `external_id`; it need not be unique."""
        ...

    async def keep(self, kept: Provisioned, name: str) -> None:
        """Store all of `kept`, which was called `name` before."""

    async def forget(self, kind: Kind, name: str) -> None:
        """Drop a name: whoever has it next is somebody else."""

    async def usernames(self, start: int, count: int) -> Sequence[str]:
        """Return names of users in their order, without the first `start`, at most `count`."""
        ...

    async def groups(self) -> Sequence[str]:
        """Return the names of all groups that users are in, or that were made by SCIM, in order."""
        ...

    async def members(self, group: str) -> Sequence[str]:
        """Return the names of the users in a group, in order."""
        ...
