"""Races between real processes: each opens its own engine, waits for the others and then acts once per round."""

import asyncio
import multiprocessing
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from multiprocessing.synchronize import Barrier

from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.stores.engine import open_engine

PROCESSES = 4
ROUNDS = 15
Act = Callable[[AsyncEngine, int], Awaitable[bool]]
_context = multiprocessing.get_context("fork")


def winners(url: str, act: Act) -> dict[int, int]:
    """How many processes won each round (act(engine, round) was true)."""
    barrier = _context.Barrier(PROCESSES)
    results: multiprocessing.Queue[tuple[int, bool] | str] = _context.Queue()
    racers = [_context.Process(target=_race, args=(url, act, barrier, results)) for _ in range(PROCESSES)]
    for racer in racers:
        racer.start()
    answers = [results.get(timeout=60) for _ in range(PROCESSES * ROUNDS)]
    for racer in racers:
        racer.join(20)
    broken = [answer for answer in answers if isinstance(answer, str)]
    assert not broken, broken[0]
    won = Counter(round for round, winner in answers if winner)  # type: ignore[misc]  # strings are gone
    return {round: won[round] for round in range(ROUNDS)}


def _race(
    url: str, act: Act, barrier: Barrier, results: "multiprocessing.Queue[tuple[int, bool] | str]"
) -> None:
    async def run() -> None:
        engine = open_engine(url)
        for round in range(ROUNDS):
            barrier.wait(30)
            try:
                results.put((round, await act(engine, round)))
            except Exception as error:  # a child's failure must reach the test
                results.put(f"{type(error).__name__}: {error}")
        await engine.dispose()

    asyncio.run(run())


def wall_clock() -> float:
    return time.time()
