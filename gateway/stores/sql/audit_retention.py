"""What of the audit log does not stay in the database: too old, or more than there shall be. Archived first, if wished.

A few rows at a time, so that nobody waits for it.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import ColumnElement, and_, delete, func, or_, select
from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.clock import Clock, steady_clock
from gateway.stores.protocols.audit import AuditEntry
from gateway.stores.protocols.ledger import Ledger
from gateway.stores.sql.audit_log import audit_row, first_and_last
from gateway.stores.sql.purge import BATCH, PAUSE, delete_in_batches
from gateway.stores.sql.schema import audit
from gateway.stores.sql.transactions import reading, writing

_TURN, TURN_SECONDS = "turn:audit archive", 600.0
"""One worker archives at a time. What it has not done in this time, it does at its next sweep."""
ARCHIVED_AT_ONCE = 10_000
"""Rows in one file."""
WORTH_A_FILE = 86400.0
"""Seconds after which fewer rows get a file as well: else each sweep would write one of its own."""
_OVERHEAD = 200
"""Bytes of a row beside its texts: its numbers and its places in the indexes, about."""
_SAMPLE = 200

Write = Callable[[Sequence[AuditEntry]], Path]


@dataclass(frozen=True, slots=True)
class AuditKept:
    """Rows stay for `age` seconds, and about `size` bytes of them (0 = all)."""

    age: float
    size: int


class AuditRetention:
    """Deletes what does not stay; with `write`, only rows that it has written to a file."""

    def __init__(
        self,
        *,
        engine: AsyncEngine,
        kept: AuditKept,
        ledger: Ledger,
        write: Write | None = None,
        steady: Clock = steady_clock,
    ) -> None:
        self._engine, self._kept, self._ledger, self._write = engine, kept, ledger, write
        self._steady = steady

    async def purge(self, now: float) -> int:
        """Drop what does not stay at `now`, the database's time; returns how many. Raises ArchiveFailed."""
        old, excess = audit.c.at < now - self._kept.age, await self._excess()
        if self._write is None:
            return await delete_in_batches(self._engine, audit, old, audit.c.id < excess)
        if not await self._ledger.claim_once(_TURN, TURN_SECONDS):
            return 0
        try:
            first_young = await self._first_since(now - self._kept.age)
            within = audit.c.id < max(excess, first_young)  # else the last look would read all of the table
            return await self._archived(self._write, and_(within, or_(old, audit.c.id < excess)), now)
        finally:
            await self._ledger.delete(_TURN)

    async def _first_since(self, at: float) -> int:
        """The id of the first row of that time or later; beyond all rows if there is none."""
        query = select(audit.c.id).where(audit.c.at >= at).order_by(audit.c.at).limit(1)
        async with reading(self._engine) as connection:
            found = await connection.scalar(query)
            return (
                found if found is not None else await connection.scalar(select(func.max(audit.c.id) + 1)) or 0
            )

    async def _excess(self) -> int:
        """The id of the first row that stays by its size, 0 if all do. Ids tell without counting millions."""
        if not self._kept.size:
            return 0
        row = audit.c
        size = (
            func.length(row.data) + func.length(row.username) + func.length(row.event) + func.length(row.ip)
        )
        async with reading(self._engine) as connection:
            first, last = await first_and_last(connection)
            if not last:
                return 0
            newest = select(size.label("size")).order_by(row.id.desc()).limit(_SAMPLE).subquery()
            mean = float(await connection.scalar(select(func.avg(newest.c.size))) or 0) + _OVERHEAD
        stays = int(self._kept.size / mean)
        return int(last - stays + 1) if last - first + 1 > stays else 0

    async def _archived(self, write: Write, over: ColumnElement[bool], now: float) -> int:
        begin, total = self._steady(), 0
        while self._steady() - begin < TURN_SECONDS / 2:
            entries = await self._oldest(over)
            full = len(entries) == ARCHIVED_AT_ONCE
            if not entries or not (full or self._is_due(entries, now)):
                break
            await asyncio.to_thread(write, entries)
            await self._delete([one.id for one in entries])
            total += len(entries)
            if not full:
                break
        return total

    def _is_due(self, entries: Sequence[AuditEntry], now: float) -> bool:
        """Whether the oldest should have gone a day ago, or all of them are there by their size alone."""
        age = now - min(one.row.at for one in entries)
        return age > self._kept.age + WORTH_A_FILE or len(entries) > ARCHIVED_AT_ONCE // 10

    async def _oldest(self, over: ColumnElement[bool]) -> list[AuditEntry]:
        """By id, some hundreds at a time."""
        found: list[AuditEntry] = []
        while len(found) < ARCHIVED_AT_ONCE:
            beyond = audit.c.id > (found[-1].id if found else 0)
            limit = min(BATCH, ARCHIVED_AT_ONCE - len(found))
            query = select(audit).where(and_(beyond, over)).order_by(audit.c.id).limit(limit)
            async with reading(self._engine) as connection:
                rows = (await connection.execute(query)).all()
            found += [AuditEntry(row.id, audit_row(row)) for row in rows]
            if len(rows) < limit:
                break
            await asyncio.sleep(0)
        return found

    async def _delete(self, ids: Sequence[int]) -> None:
        for begin in range(0, len(ids), BATCH):
            async with writing(self._engine) as connection:
                await connection.execute(delete(audit).where(audit.c.id.in_(ids[begin : begin + BATCH])))
            await asyncio.sleep(PAUSE)
