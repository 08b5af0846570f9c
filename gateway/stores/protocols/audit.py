"""The Protocol for searching the audit log."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from gateway.stores.protocols.core import AuditRow


@dataclass(frozen=True, slots=True)
class AuditQuery:
    """All that is given must hold. Times are Unix seconds, 0 is open; `events` are alternatives."""

    username: str = ""
    events: tuple[str, ...] = ()
    ip: str = ""
    since: float = 0.0
    until: float = 0.0
    text: str = ""


@dataclass(frozen=True, slots=True)
class AuditEntry:
    id: int
    row: AuditRow


class AuditSearch(Protocol):
    """Finds, pages and counts events."""

    async def newest(self, query: AuditQuery, limit: int, *, before: int = 0) -> Sequence[AuditEntry]:
        """Newest first; `before` is the id of an entry, all that follow are older than it."""
        ...

    async def counts(self, edges: Sequence[float], events: Sequence[str]) -> dict[str, list[int]]:
        """Count each event between each of `edges` (Unix seconds) and the next."""
        ...
