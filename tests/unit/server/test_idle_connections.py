"""How long a connection may be idle counts from its last answer, however long that took and whatever was due before."""

import asyncio
from collections.abc import Iterator

import pytest

from tests.connection_pipe_sim import JumpingLoop
from tests.connection_sim import World

GET = b"GET /%d/plain HTTP/1.1\r\nHost: a\r\n\r\n"
KEPT, HEAD = 75, 15
"""`keepalive_timeout` and `head_timeout` of the World, in seconds."""


@pytest.fixture(params=[True, False], ids=["fast", "ordinary"])
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    loop = JumpingLoop()
    asyncio.set_event_loop(loop)
    made = World(loop, clients=1, fast=request.param)
    yield made
    loop.end()
    asyncio.set_event_loop(None)


def slow_upload(world: World, seconds: int, *, drained: bool = False) -> None:
    """A POST that takes so long, since its body comes a byte every five seconds; behind the first one we may drain."""
    (client,) = world.clients
    client.send(b"POST /7/plain HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % (seconds // 5))
    for second in range(0, seconds, 5):
        world.wait(5)
        client.send(b"x")
        if drained and not second:
            world.drain()
    world.wait(0.1)


def closed_after(world: World, most: float) -> bool:
    """Whether the client's only connection closes in the last second of so many."""
    (client,) = world.clients
    world.wait(most - 1)
    assert not client.pipe.closing
    world.wait(1.5)
    return client.pipe.closing


def test_a_connection_that_was_never_used_closes_when_its_time_is_over(world: World) -> None:
    assert closed_after(world, KEPT)


def test_the_time_begins_anew_with_each_answer(world: World) -> None:
    (client,) = world.clients
    for number in range(3):
        world.wait(KEPT - 5)
        client.send(GET % number)
        world.wait(0.1)
    assert client.heard.count(b"HTTP/1.1 200 ") == 3
    assert closed_after(world, KEPT)


@pytest.mark.parametrize("seconds", [KEPT - 15, KEPT + 25])
def test_a_request_that_took_long_leaves_the_whole_time_behind_it(world: World, seconds: int) -> None:
    (client,) = world.clients
    slow_upload(world, seconds)
    assert client.heard.count(b"HTTP/1.1 200 ") == 1
    assert closed_after(world, KEPT)


def test_a_head_that_came_in_pieces_leaves_no_deadline_of_its_own(world: World) -> None:
    (client,) = world.clients
    client.send((GET % 0)[:10])
    world.wait(HEAD - 1)
    client.send((GET % 0)[10:])
    world.wait(0.1)
    assert client.heard.count(b"HTTP/1.1 200 ") == 1
    assert closed_after(world, KEPT)


def test_a_head_may_take_its_own_time_also_where_that_is_longer(world: World) -> None:
    world.limits = world.limits.model_copy(update={"head_timeout": 400.0})
    (client,) = world.clients
    client.send((GET % 0)[:10])
    world.wait(KEPT + 60)
    assert not client.heard
    client.send((GET % 0)[10:])
    world.wait(0.1)
    assert client.heard.count(b"HTTP/1.1 200 ") == 1
    assert closed_after(world, KEPT)


def test_a_head_that_does_not_end_is_refused_in_time_also_behind_an_answer(world: World) -> None:
    (client,) = world.clients
    client.send(GET % 0 + (GET % 1)[:10])
    world.wait(HEAD - 1)
    assert client.heard.count(b"HTTP/1.1") == 1
    world.wait(1.5)
    assert client.heard.count(b"HTTP/1.1 408 ") == 1


def test_a_connection_that_we_drain_closes_soon_after_its_last_answer(world: World) -> None:
    (client,) = world.clients
    client.send(GET % 0)
    slow_upload(world, 30, drained=True)
    assert client.heard.count(b"HTTP/1.1 200 ") == 2
    world.wait(10)
    assert client.pipe.closing
