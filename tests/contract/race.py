"""Races between real processes: each opens its own store, waits for the others and then acts once per round."""

import asyncio
import multiprocessing
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from multiprocessing.synchronize import Barrier
from typing import Any

from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.stores.sql.engine import open_engine
from tests.waiting import PATIENCE

PROCESSES = 4
ROUNDS = 15
Act = Callable[[Any, int], Awaitable[bool]]
Opener = Callable[[str], AbstractAsyncContextManager[Any]]
"""What each process opens for itself and hands to the act: an engine, a ledger."""
_context = multiprocessing.get_context("fork")


@asynccontextmanager
async def opened_engine(url: str) -> AsyncIterator[AsyncEngine]:
    engine = open_engine(url)
    yield engine
    await engine.dispose()


def winners(url: str, act: Act, opener: Opener = opened_engine) -> dict[int, int]:
    """How many processes won each round (act(opened, round) was true)."""
    barrier = _context.Barrier(PROCESSES)
    results: multiprocessing.Queue[tuple[int, bool] | str] = _context.Queue()
    arguments = (url, act, opener, barrier, results)
    racers = [_context.Process(target=_race, args=arguments) for _ in range(PROCESSES)]
    for racer in racers:
        racer.start()
    answers = [results.get(timeout=60) for _ in range(PROCESSES * ROUNDS)]
    for racer in racers:
        racer.join(PATIENCE)
    broken = [answer for answer in answers if isinstance(answer, str)]
    assert not broken, broken[0]
    won = Counter(round for round, winner in answers if winner)  # type: ignore[misc]  # strings are gone
    return {round: won[round] for round in range(ROUNDS)}


def _race(
    url: str,
    act: Act,
    opener: Opener,
    barrier: Barrier,
    results: "multiprocessing.Queue[tuple[int, bool] | str]",
) -> None:
    async def run() -> None:
        async with opener(url) as opened:
            for round in range(ROUNDS):
                barrier.wait(PATIENCE)
                try:
                    results.put((round, await act(opened, round)))
                except Exception as error:  # a child's failure must reach the test
                    results.put(f"{type(error).__name__}: {error}")

    asyncio.run(run())


def wall_clock() -> float:
    return time.time()
