"""Idle connections hold up neither a reload nor a stop, and none is left open that nobody reads."""

import asyncio
import signal
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.server.drain import LINGER
from tests.integration.serving import serving, upstream
from tests.waiting import PATIENCE, until

pytestmark = [
    pytest.mark.xdist_group("processes"),
    pytest.mark.skipif(sys.platform != "linux", reason="reads /proc to see the worker processes"),
]
GET = b"GET /quick HTTP/1.1\r\nHost: app.test\r\n\r\n"
Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@pytest.fixture
async def app() -> AsyncIterator[str]:
    async with upstream() as url:
        yield url


async def idle(port: int, *, used: bool) -> Connection:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    if used:
        writer.write(GET)
        await reader.readuntil(b"quick")
    return reader, writer


async def ended(connection: Connection) -> bytes:
    """What comes until the gateway hangs up."""
    reader, writer = connection
    try:
        async with asyncio.timeout(PATIENCE):
            return await reader.read()
    finally:
        writer.close()


@pytest.mark.parametrize("workers", [1, 2])
async def test_idle_connections_are_closed_by_a_reload(tmp_path: Path, app: str, workers: int) -> None:
    async with serving(tmp_path, app, workers=workers, drain_timeout="10m") as gateway:
        old = gateway.workers()
        connections = [await idle(gateway.port, used=used) for used in (True, False) * 6]
        gateway.signal(signal.SIGHUP)
        await gateway.said_until("reload done")
        assert await asyncio.gather(*map(ended, connections)) == [b""] * 12
        await until(lambda: not old & gateway.workers(), "the old workers have left")


async def test_a_request_on_a_connection_that_lingers_is_answered_and_its_last(
    tmp_path: Path, app: str
) -> None:
    for _ in range(5):  # a busy machine may sleep through the second for which it lingers
        async with serving(tmp_path, app, workers=1, drain_timeout="10m") as gateway:
            connection = await idle(gateway.port, used=True)
            gateway.signal(signal.SIGTERM)
            began = time.monotonic()
            await gateway.said_until("stopping")
            connection[1].write(GET)
            in_time = time.monotonic() - began < LINGER / 2
            answer = await ended(connection)
        if answer or in_time:
            break
    assert answer.startswith(b"HTTP/1.1 200")
    assert b"connection: close" in answer.lower()


async def test_a_head_that_is_under_way_is_still_answered(tmp_path: Path, app: str) -> None:
    async with serving(tmp_path, app, workers=1, drain_timeout="10m") as gateway:
        other = await idle(gateway.port, used=True)
        connection = await idle(gateway.port, used=True)
        connection[1].write(GET[:20])
        gateway.signal(signal.SIGTERM)
        assert await ended(other) == b""
        connection[1].write(GET[20:])
        assert (await ended(connection)).startswith(b"HTTP/1.1 200")


async def test_a_stop_does_not_wait_for_idle_connections(tmp_path: Path, app: str) -> None:
    """Measured on 2026-11-30 from SIGTERM to the end of the process, two busy cores: 0.7 s without a connection, 1.3 to
    2.1 s with 100, of which half were used a moment before and so are waited for (LINGER).
    """
    async with serving(tmp_path, app, drain_timeout="10m") as gateway:
        connections = [await idle(gateway.port, used=used) for used in (True, False) * 50]
        gateway.signal(signal.SIGTERM)
        async with asyncio.timeout(PATIENCE):
            assert await gateway.process.wait() == 0
        assert await asyncio.gather(*map(ended, connections)) == [b""] * 100
