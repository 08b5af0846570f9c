"""Time comes in through a Clock, so that tests move it by hand.

A moment is a float: Unix time in seconds, everywhere in gateway/ under the names `now`, `at`, `since`, `until`,
`before` and those that end in `_at`, unless a docstring names another clock. Durations are seconds, too.
"""

import time
from collections.abc import Callable
from functools import partial

Clock = Callable[[], float]
"""Returns the current time as Unix seconds."""

system_clock: Clock = time.time

TOLERANCE = 30.0
"""Seconds by which this machine's clock may differ from the database's."""

_BOOT = getattr(time, "CLOCK_BOOTTIME", None)  # Linux; unlike the monotonic clock it goes on while suspended


steady_clock: Callable[[], float] = time.monotonic if _BOOT is None else partial(time.clock_gettime, _BOOT)
"""Seconds since some moment; nobody can set this clock."""


class SharedClock:
    """This machine's clock while it agrees with the database's, and the database's time when it does not.

    All replicas judge the same rows. One whose clock is a day ahead would take everybody's session for expired,
    a lock for served and a used code for forgotten; one that is behind would keep alive what has ended. So the
    database's clock counts, followed by a clock that nobody can set between two comparisons.
    """

    def __init__(self, wall: Clock = system_clock, steady: Clock = steady_clock) -> None:
        self._wall, self._steady = wall, steady
        self._compared: tuple[float, float] | None = None

    def __call__(self) -> float:
        wall, compared = self._wall(), self._compared
        if compared is None:
            return wall
        database = compared[0] + self._steady() - compared[1]
        return wall if -TOLERANCE <= wall - database <= TOLERANCE else database

    def compare(self, database: float, asked_at: float, answered_at: float) -> None:
        """Note what the database's clock showed: `database`, a Unix time, between these two moments of the steady
        clock.
        """
        self._compared = database, (asked_at + answered_at) / 2

    @property
    def ahead(self) -> float:
        """Seconds by which this machine's clock is ahead of the database's; 0.0 before they were compared."""
        database = self._database()
        return 0.0 if database is None else self._wall() - database

    @property
    def astray(self) -> bool:
        """Whether the difference is more than can be put up with."""
        return abs(self.ahead) > TOLERANCE

    def _database(self) -> float | None:
        if self._compared is None:
            return None
        time_then, steady_then = self._compared
        return time_then + self._steady() - steady_then
