"""The watch over WebSockets ends when it is told to, at whatever moment."""

import asyncio
from types import SimpleNamespace
from typing import cast

import pytest

from gateway.proxy.websocket import Tunnels
from gateway.server.websocket_watch import TunnelWatch
from gateway.session import Sessions
from gateway.stores.protocols.core import Change
from tests.waiting import PATIENCE


@pytest.mark.parametrize("turns", range(5))
async def test_a_cancellation_that_comes_with_a_change_is_not_lost(turns: int) -> None:
    """A worker that was to end as soon as it had started waited for ever for a watch that went on."""
    watch = TunnelWatch(cast(Sessions, SimpleNamespace(now=lambda: 0.0)), Tunnels())
    running = asyncio.create_task(watch.run(3600))
    for _ in range(3):
        await asyncio.sleep(0)
    watch.hear(Change("all", ""))
    for _ in range(turns):
        await asyncio.sleep(0)
    running.cancel()
    _, pending = await asyncio.wait({running}, timeout=PATIENCE)
    running.cancel()
    assert not pending
