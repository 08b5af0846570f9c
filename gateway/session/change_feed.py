"""Hears what other workers and replicas have changed."""

import asyncio
import logging
from collections.abc import Callable

from gateway.errors import StoreUnavailable
from gateway.stores.protocols.core import Change, Changes

log = logging.getLogger("gateway.session")


async def follow(
    changes: Changes, *, interval: float, start: Callable[[], None], hear: Callable[[Change], None]
) -> None:
    """Call `start` once the feed can be read, then `hear` for each change, until cancelled.

    `interval` is the pause between two looks, in seconds.
    """
    cursor: int | None = None
    while True:
        try:
            if cursor is None:
                cursor = await changes.latest()
                start()
            cursor, heard = await changes.since(cursor)
            for change in heard:
                hear(change)
        except StoreUnavailable as error:
            log.warning("revocations can't be read: %s", error.detail)
        await asyncio.sleep(interval)
