"""Finds workers that hang, and tells systemd that the service does not."""

from collections.abc import Collection

from gateway.server.process import systemd
from gateway.server.process.channel import ALIVE_EVERY
from gateway.server.process.fork import Worker

SILENCE = 8.0
"""Seconds without a sign of life (one comes every second) after which a worker that serves is said to hang."""
_WE_WERE_AWAY = 3.0
"""Seconds: if the parent itself did not look for so long (Ctrl-Z, a stopped container), silence proves nothing."""


class Watchdog:
    """Looks at the workers from time to time; all times are the supervisor's clock."""

    def __init__(self) -> None:
        self._looked: float | None = None
        self._pinged = float("-inf")
        self._ping_every = systemd.watchdog_interval()

    def next_look(self, workers: Collection[Worker], now: float) -> float:
        """When `hanging` is to be asked again at the latest."""
        return now + ALIVE_EVERY if any(worker.ready for worker in workers) else float("inf")

    def hanging(self, workers: Collection[Worker], now: float) -> list[Worker]:
        """The workers that serve but have not said anything for SILENCE seconds.

        As long as one of them does, systemd hears that the service lives (WATCHDOG=1 in sd_notify(3))."""
        away = self._looked is not None and now - self._looked > _WE_WERE_AWAY
        self._looked = now
        serving = [worker for worker in workers if worker.ready]
        if away:
            for worker in serving:
                worker.heard = now
        silent = [worker for worker in serving if now - worker.heard > SILENCE]
        if len(silent) < len(serving) and now - self._pinged >= self._ping_every:
            self._pinged = now
            systemd.notify("WATCHDOG=1")
        return silent
