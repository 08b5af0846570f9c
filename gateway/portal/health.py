"""Whether this worker can do its work: for load balancers (`readyz`)."""

from collections.abc import Awaitable, Callable, Mapping

from gateway.errors import StoreUnavailable

Check = Callable[[], Awaitable[object]]


class Health:
    """`checks` are awaited at each report; one that raises StoreUnavailable makes the worker not ready."""

    def __init__(self, checks: Mapping[str, Check]) -> None:
        self._checks = checks
        self.draining = False

    async def report(self) -> dict[str, object]:
        parts = {name: await _outcome(check) for name, check in self._checks.items()}
        ready = not self.draining and all(part == "ok" for part in parts.values())
        status = "ready" if ready else ("draining" if self.draining else "not ready")
        return {"status": status, "checks": parts}


async def _outcome(check: Check) -> str:
    try:
        await check()
    except StoreUnavailable:
        return "unavailable"
    return "ok"
