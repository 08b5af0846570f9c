"""The audit trail: each event becomes one JSON line at once and one table row soon after (security rule 9).

Events never carry a secret, a code or a whole phone number; callers pass masked values. A store outage delays rows,
never a sign-in: they wait in a bounded queue, and the JSON line is out already. Rows that the queue has no room for are
counted, and the log says so.
"""

import asyncio
import json
import logging
from collections import deque

from gateway.clock import Clock
from gateway.errors import StoreUnavailable
from gateway.observability import metrics
from gateway.stores.protocols.core import AuditLog, AuditRow

log = logging.getLogger("gateway.audit")
_QUEUE = 10_000


class Audit:
    """Takes events, logs them at once and stores them soon after."""

    def __init__(self, rows: AuditLog, clock: Clock) -> None:
        self._rows, self._clock = rows, clock
        self._queue: deque[AuditRow] = deque(maxlen=_QUEUE)
        self._waiting = asyncio.Event()
        self._flushing = asyncio.Lock()
        self._lost = 0
        """Rows since the table last took some."""
        self._taken = True

    def record(self, event: str, username: str = "", ip: str = "", **data: object) -> None:
        """Note that `event` happened, such as "login" or "code_failed"."""
        row = AuditRow(at=self._clock(), event=event, username=username, ip=ip, data=data)
        line = {"at": round(row.at, 3), "event": event, "user": username, "ip": ip, **data}
        # What an operator can mend must be seen at `log.level: warning`, too.
        level = logging.WARNING if data.get("mend") else logging.INFO
        log.log(level, "%s", json.dumps(line, ensure_ascii=False, default=str), extra={"fields": line})
        if len(self._queue) == self._queue.maxlen:
            self._lose()  # the oldest
        self._queue.append(row)
        self._waiting.set()

    def _lose(self) -> None:
        metrics.audit_rows_lost.inc()
        if not self._lost:
            log.error(
                "the table of the audit log loses rows until the database takes some; these lines have them all"
            )
        self._lost += 1

    async def write(self) -> None:
        """Write rows as they come, until cancelled."""
        while True:
            await self._waiting.wait()
            self._waiting.clear()
            try:
                await self.flush()
            except StoreUnavailable as error:
                if self._taken:
                    log.error("audit rows wait: %s", error.detail)
                self._taken = False
                self._waiting.set()
                await asyncio.sleep(1)

    async def flush(self) -> None:
        """Store what waits, at most 500 rows in one statement. Raises StoreUnavailable, with nothing lost."""
        async with self._flushing:
            while self._queue:
                batch = list(self._queue)[:500]
                await self._rows.append(batch)
                for row in batch:
                    if self._queue and self._queue[0] is row:  # or it had to make room meanwhile
                        self._queue.popleft()
                self._took()

    def _took(self) -> None:
        if self._lost or not self._taken:
            log.warning("audit rows are written again; %d of them were lost", self._lost)
        self._taken, self._lost = True, 0
