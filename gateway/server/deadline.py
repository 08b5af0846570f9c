"""One timer for all the deadlines of a connection."""

import asyncio
from collections.abc import Callable


class Deadline:
    """Calls `passed` at the time that was set last, if it comes to that. Times are seconds of the loop's clock.

    One timer for all the deadlines of a connection, moved when it fires and not with every request.
    """

    __slots__ = ("_fires_at", "_loop", "_passed", "_timer", "at")

    def __init__(self, loop: asyncio.AbstractEventLoop, passed: Callable[[], None]) -> None:
        self._loop, self._passed = loop, passed
        self.at = self._fires_at = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def set(self, at: float) -> None:
        """Set the time, in seconds of the loop's clock."""
        self.at = at
        if self._timer is not None:
            if at >= self._fires_at:
                return  # cheap: one that fires too early is set again then
            self._timer.cancel()
        self._fires_at = at
        self._timer = self._loop.call_at(at, self._fired)

    def cancel(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _fired(self) -> None:
        self._timer = None
        if self._loop.time() < self.at:
            self.set(self.at)
        else:
            self._passed()
