"""What administrators ask of the audit log: find, page, count."""

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
    async def newest(self, query: AuditQuery, limit: int, *, before: int = 0) -> Sequence[AuditEntry]:
        """Newest first; `before` is the id of an entry, all that follow are older than it."""
        ...

    async def counts(self, edges: Sequence[float], events: Sequence[str]) -> dict[str, list[int]]:
        """For each event how often it happened between each edge and the next."""
        ...
