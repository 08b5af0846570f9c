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
    """An event as it is stored, with the id that orders it."""

    id: int
    row: AuditRow


@dataclass(frozen=True, slots=True)
class FoundEntries:
    """Some entries, newest first. `older` is where to look on (`before`), 0 if there is nothing more.

    There may be fewer entries than asked for, or none, and still be older ones: a search gives word after a while.
    """

    entries: Sequence[AuditEntry]
    older: int


@dataclass(frozen=True, slots=True)
class Failures:
    """Events about one user, and the addresses with the most of them; `first` and `last` are Unix seconds."""

    username: str
    count: int
    addresses: tuple[tuple[str, int], ...]
    address_count: int
    first: float
    last: float


class AuditSearch(Protocol):
    """Finds, pages and counts events."""

    async def newest(self, query: AuditQuery, limit: int, *, before: int = 0) -> FoundEntries:
        """Return at most `limit` entries with ids below `before` (0 = all), newest first."""
        ...

    async def counts(self, edges: Sequence[float], events: Sequence[str]) -> dict[str, list[int]]:
        """Count each event between each of `edges` (Unix seconds) and the next."""
        ...

    async def failures(
        self, events: Sequence[str], since: float, *, least: int, most: int, username: str = ""
    ) -> Sequence[Failures]:
        """At most `most` users (or that one) with `least` such events and more after `since`, the most events first.

        Of a flood the latest some hundred thousand rows are looked at.
        """
        ...
