"""Work that comes round now and then.

What has expired is dropped, this machine's clock is compared with the database's, and the metrics are told how the
upstreams are.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from random import random

from gateway.clock import TOLERANCE, Clock, SharedClock, steady_clock
from gateway.errors import StoreUnavailable
from gateway.observability import metrics
from gateway.proxy.proxy import Proxy
from gateway.stores.audit_archive import ArchiveFailed
from gateway.stores.sql.database_clock import DatabaseClock
from gateway.stores.sql.purge import AUDIT_ROWS, Purge

log = logging.getLogger("gateway.sweep")
clock_log = logging.getLogger("gateway.clock")

SWEEP_INTERVAL = 300.0
HEALTH_INTERVAL = 5.0
CLOCK_INTERVAL = 5.0
HELD = 3600.0
"""Seconds for which a sweep of an unusual share is held back: time for an operator to look at the clocks."""
ALARMING = 20
"""So many rows at once are worth an alarm; in a small house all of last night's sessions expire together."""


class Sweep:
    """Drops what has expired by the database's clock.

    A clock that jumps ahead makes everything look expired. So a kind of which more than half would go is held back
    for `HELD` seconds and told of first, and nothing goes at all while this machine's and the database's clock differ.
    Each worker sweeps at its own moments: sweeping twice harms nothing, sweeping at once would queue.
    """

    def __init__(self, purges: Sequence[Purge], time: DatabaseClock, steady: Clock = steady_clock) -> None:
        self._purges, self._time, self._steady = purges, time, steady
        self._held: dict[str, float] = {}

    async def once(self) -> None:
        """Drop what has expired, of every kind. Raises StoreUnavailable."""
        now = await self._time.now()
        if self._time.shared is not None and self._time.shared.astray:
            log.error("nothing is swept while the clocks differ")
            return
        for purge in self._purges:
            if not await self._is_held(purge, now):
                await self._run(purge, now)

    async def _run(self, purge: Purge, now: float) -> None:
        try:
            gone = await purge.run(now)
        except ArchiveFailed as error:
            metrics.audit_archive_failing.set(1)
            log.error("%s: none of its rows is deleted until that is mended", error.detail)
            return
        if purge.what == AUDIT_ROWS:
            metrics.audit_archive_failing.set(0)
        if gone:
            metrics.swept.labels(purge.what).inc(gone)
        log.debug("%d %s swept", gone, purge.what)

    async def _is_held(self, purge: Purge, now: float) -> bool:
        expired, every = await purge.share(now) if purge.share is not None else (0, 0)
        unusual = expired * 2 > every
        metrics.sweep_held.labels(purge.what).set(1 if unusual and expired >= ALARMING else 0)
        if not unusual:
            self._held.pop(purge.what, None)
            return False
        since = self._held.setdefault(purge.what, self._steady())
        left = since + HELD - self._steady()
        if left <= 0:
            del self._held[purge.what]
            return False
        log.log(
            logging.ERROR if expired >= ALARMING else logging.INFO,
            "sweep held back: %d of %d %s have expired at once; look at the database's clock."
            " They are dropped in %d minutes if that stays so",
            *(expired, every, purge.what, round(left / 60)),
        )
        return True


async def sweep(
    expired: Sweep, rounds: Sequence[Callable[[], Awaitable[object]]], interval: float = SWEEP_INTERVAL
) -> None:
    """Sweep, and do the other `rounds`, about every `interval` seconds, until cancelled."""
    while True:
        await asyncio.sleep(interval * (0.5 + random()))  # noqa: S311 - spreads load, guards nothing
        try:
            await expired.once()
            for work in rounds:
                await work()
        except StoreUnavailable as error:
            log.warning("sweep postponed: %s", error.detail)


async def compare_clocks(time: DatabaseClock, interval: float = CLOCK_INTERVAL) -> None:
    """Every `interval` seconds compare this machine's clock with the database's, and say when they begin or cease to
    differ.
    """
    if time.shared is None:
        return
    told = False
    while True:
        told = _tell(time.shared, told)
        await asyncio.sleep(interval)
        try:
            await time.now()
        except StoreUnavailable:
            continue  # said often enough by others; the steady clock goes on meanwhile


def _tell(clock: SharedClock, told: bool) -> bool:
    """Log a change; returns whether the operator knows now that the clocks differ."""
    metrics.clock_ahead.set(clock.ahead)
    if clock.astray and not told:
        clock_log.error(
            "this machine's clock is %.0f s %s the database's; at most %.0f s are put up with."
            " This replica is not ready, sweeps nothing and goes by the database's clock: mend the clock (NTP)",
            *(abs(clock.ahead), "ahead of" if clock.ahead > 0 else "behind", TOLERANCE),
        )
    elif told and not clock.astray:
        clock_log.warning("this machine's clock and the database's agree again")
    return clock.astray


async def clocks_agree(time: DatabaseClock) -> None:
    """For readyz: raises StoreUnavailable while this machine's clock is astray."""
    if time.shared is not None and time.shared.astray:
        raise StoreUnavailable(f"this machine's clock is off by {time.shared.ahead:.0f} s")


async def report_upstreams(proxy: Proxy, interval: float = HEALTH_INTERVAL) -> None:
    """Every `interval` seconds bring the gauge of upstreams that answer up to date, until cancelled."""
    while True:
        for one in proxy.health():
            metrics.upstream_up.labels(one.route, one.url).set(1 if one.healthy else 0)
        await asyncio.sleep(interval)
