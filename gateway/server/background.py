"""Work that comes round now and then: drop what has expired, and tell the metrics how the upstreams are."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from random import random

from gateway.errors import StoreUnavailable
from gateway.observability import metrics
from gateway.proxy.proxy import Proxy

log = logging.getLogger("gateway.sweep")

SWEEP_INTERVAL = 300.0
HEALTH_INTERVAL = 5.0


async def sweep(purges: Sequence[Callable[[], Awaitable[object]]], interval: float = SWEEP_INTERVAL) -> None:
    """Run `purges` about every `interval` seconds, until cancelled.

    Each worker does it at its own moments: sweeping twice harms nothing, sweeping at once would queue.
    """
    while True:
        await asyncio.sleep(interval * (0.5 + random()))  # noqa: S311 - spreads load, guards nothing
        try:
            for purge in purges:
                await purge()
        except StoreUnavailable as error:
            log.warning("sweep postponed: %s", error.detail)


async def report_upstreams(proxy: Proxy, interval: float = HEALTH_INTERVAL) -> None:
    """Keep the gauge of upstreams that answer, until cancelled."""
    while True:
        for one in proxy.health():
            metrics.upstream_up.labels(one.route, one.url).set(1 if one.healthy else 0)
        await asyncio.sleep(interval)
