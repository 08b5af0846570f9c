"""Whether this worker can do its work: for load balancers (`readyz`)."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping

from gateway.clock import Clock
from gateway.errors import StoreUnavailable

PATIENCE = 4.0
"""Seconds that one check may take: load balancers do not wait longer."""
Check = Callable[[], Awaitable[object]]


class Health:
    """Says whether this worker can serve. `checks` are awaited at each report; one that raises StoreUnavailable makes
    the worker not ready.
    """

    def __init__(self, checks: Mapping[str, Check]) -> None:
        self._checks = dict(checks)
        self.draining = False

    def also(self, name: str, check: Check) -> None:
        """Have one more check made."""
        self._checks[name] = check

    async def report(self) -> dict[str, object]:
        """Return what each part says of itself, and whether this worker can serve."""
        parts = {name: await _outcome(check) for name, check in self._checks.items()}
        ready = not self.draining and all(part == "ok" for part in parts.values())
        status = "ready" if ready else ("draining" if self.draining else "not ready")
        return {"status": status, "checks": parts}


async def _outcome(check: Check) -> str:
    try:
        async with asyncio.timeout(PATIENCE):
            await check()
    except (StoreUnavailable, TimeoutError):
        return "unavailable"
    return "ok"


class WriteProbe:
    """A sign-in writes, so a store that only answers is not enough: it may be full, locked or read-only.

    `write` is tried at most once in `every` seconds while it succeeds: anybody may ask for readyz.
    """

    def __init__(self, write: Check, every: float = 1.0, steady: Clock = time.monotonic) -> None:
        self._write, self._every, self._steady = write, every, steady
        self._good_until = float("-inf")
        self._turn = asyncio.Lock()

    async def __call__(self) -> None:
        """Raises StoreUnavailable."""
        async with self._turn:
            if self._steady() < self._good_until:
                return
            await self._write()
            self._good_until = self._steady() + self._every
