"""Callers wait for a connection to Redis in the order of coming; too many of them are a crowd and no outage."""

import asyncio

from gateway.errors import StoreBusy
from gateway.stores.redis.connection import CONNECT_SECONDS, CONNECTIONS, RedisLink
from tests.waiting import leap, until


class Held:
    """A command that Redis answers when the test says so."""

    def __init__(self) -> None:
        self.asked, self.answer = False, asyncio.Event()

    async def __call__(self) -> str:
        self.asked = True
        await self.answer.wait()
        return "answer"


async def test_a_crowd_shuts_redis_off_for_nobody_else() -> None:
    link = RedisLink("redis://127.0.0.1:1/0")
    held = [Held() for _ in range(CONNECTIONS + 3)]
    calls = [asyncio.create_task(link.run(one)) for one in held[:CONNECTIONS]]
    await until(lambda: all(one.asked for one in held[:CONNECTIONS]), "all connections are in use")
    for number in range(3):
        calls.append(asyncio.create_task(link.run(held[CONNECTIONS + number])))
        late = [asyncio.create_task(link.run(Held())) for _ in range(3)]
        await asyncio.sleep(0)
        held[number].answer.set()  # one is answered; who came next has its connection
        await until(lambda at=number: held[CONNECTIONS + at].asked, "the next has its turn")  # type: ignore[misc]
        leap(CONNECT_SECONDS)
        refused = await asyncio.gather(*late, return_exceptions=True)
        assert [type(one) for one in refused] == [StoreBusy] * 3
    for one in held:
        one.answer.set()
    assert await asyncio.gather(*calls) == ["answer"] * len(calls), "nobody was told that Redis is away"
    await link.close()


async def test_who_goes_away_while_waiting_takes_no_connection_along() -> None:
    link = RedisLink("redis://127.0.0.1:1/0")
    held = [Held() for _ in range(CONNECTIONS)]
    calls = [asyncio.create_task(link.run(one)) for one in held]
    waiting = [asyncio.create_task(link.run(Held())) for _ in range(5)]
    await until(lambda: all(one.asked for one in held), "all connections are in use")
    for one in waiting:
        one.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    for one in held:
        one.answer.set()
    await asyncio.gather(*calls)
    again = [Held() for _ in range(CONNECTIONS)]
    calls = [asyncio.create_task(link.run(one)) for one in again]
    await until(lambda: all(one.asked for one in again), "all connections are free again")
    for one in again:
        one.answer.set()
    await asyncio.gather(*calls)
    await link.close()
