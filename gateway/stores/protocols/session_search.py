"""The Protocol for finding sessions as administrators do."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from gateway.model import SessionLifetimes, SessionRecord


@dataclass(frozen=True, slots=True)
class Alive:
    """Sessions that live at `now` (Unix seconds) by these lifetimes; the username "" is everybody."""

    now: float
    lifetimes: SessionLifetimes
    username: str = ""


class SessionSearch(Protocol):
    """Finds, pages and counts sessions."""

    async def newest(
        self, alive: Alive, limit: int, *, skip: int = 0, after: SessionRecord | None = None
    ) -> Sequence[SessionRecord]:
        """Last used first: those that follow `after`, without the first `skip` of them."""
        ...

    async def count(self, alive: Alive) -> int: ...
    async def shown(self, id: str) -> SessionRecord | None:
        """Return the session that administrators see as `id` (`shown_id`)."""
        ...
