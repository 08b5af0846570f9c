"""How a test waits, and on which ports it listens, whatever else the machine is doing.

A wait that was too short fails on a busy machine and tells of no fault. So whatever must come may take PATIENCE, and
tests/unit/test_waits.py refuses a shorter real time-out that does not say why it is short.
"""

import asyncio
import inspect
import random
import socket
from collections.abc import Awaitable, Callable
from typing import TypeVar

PATIENCE = 240.0
"""Seconds that anything may take that must come in the end."""

EPHEMERAL = 32768
"""From here on Linux chooses ports for outgoing connections by itself (net.ipv4.ip_local_port_range)."""

_seeded = random.SystemRandom()  # forked workers must not choose the same, and tests may seed `random`

T = TypeVar("T")


async def until(condition: Callable[[], T | Awaitable[T]], what: str = "") -> T:
    """The first true answer of `condition`, asked again and again. Fails with `what` if there is none in PATIENCE."""
    try:
        async with asyncio.timeout(PATIENCE):
            while True:
                found = condition()
                if inspect.isawaitable(found):
                    found = await found
                if found:
                    return found
                await asyncio.sleep(0.01)
    except TimeoutError as error:
        raise AssertionError(f"never happened: {what or inspect.getsource(condition).strip()}") from error


def free_port() -> int:
    """A port on loopback where nobody listens, for a program that can't be told to choose one itself.

    It is below those of outgoing connections: one of them could otherwise take it before the program does.
    """
    while True:
        port = _seeded.randrange(10_000, EPHEMERAL)
        with socket.socket() as candidate:
            try:
                candidate.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port


def leap(seconds: float) -> None:
    """The clock of the running loop jumps: whatever would have waited for less has waited too long.

    So a test of a time-out sets one that nothing else in it can reach, and need not wait for it.
    """
    loop = asyncio.get_running_loop()
    before = loop.time
    loop.time = lambda: before() + seconds  # type: ignore[method-assign]
