"""How a connection ends behind an answer that nothing can follow: what was said is heard, and nothing else."""

import asyncio
from collections.abc import Callable, Iterator

import pytest

from tests.connection_pipe_sim import JumpingLoop
from tests.connection_sim import World


@pytest.fixture
def worlds() -> Iterator[Callable[[bool], World]]:
    loop = JumpingLoop()
    asyncio.set_event_loop(loop)
    yield lambda fast: World(loop, clients=1, fast=fast)
    loop.end()
    asyncio.set_event_loop(None)


@pytest.mark.parametrize("fast", [True, False])
def test_a_client_that_goes_on_sending_behind_a_broken_chunk_is_not_reset(
    worlds: Callable[[bool], World], fast: bool
) -> None:
    """RFC 9112 §9.6: a reset would take the 400 along before it is read."""
    world = worlds(fast)
    (client,) = world.clients
    client.send(b"POST /0/plain HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
    world.turns(5)
    client.send(b"1\r\nx\r\nzz\r\n")
    world.turns(5)
    assert client.heard.startswith(b"HTTP/1.1 400 ")
    assert not client.pipe.closing
    client.send(b"1\r\nx\r\n0\r\n\r\nGET /1/plain HTTP/1.1\r\nHost: a\r\n\r\n")
    world.turns(5)
    assert client.pipe.ended
    assert client.heard.count(b"HTTP/1.1") == 1
    world.wait(5)
    assert client.pipe.lost
    assert 1 not in world.app.asked


def test_nobody_is_invited_to_send_a_body_before_there_is_an_app_that_may_want_it(
    worlds: Callable[[bool], World],
) -> None:
    """Else a client whose request goes to another connection is invited twice."""
    world = worlds(True)
    world.app.delay, world.app.refusals = 3.0, 1
    (client,) = world.clients
    client.send(b"PUT /0/plain HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n")
    world.wait(10)
    client.send(b"x")
    world.wait(1)
    assert client.heard.count(b"HTTP/1.1 100 Continue") == 1
    assert client.heard.count(b"HTTP/1.1 200 ") == 1


def test_a_head_request_gets_no_body_even_if_the_handler_fails(worlds: Callable[[bool], World]) -> None:
    world = worlds(False)
    (client,) = world.clients
    client.send(b"HEAD /0/boom HTTP/1.1\r\nHost: a\r\n\r\n")
    world.turns(5)
    assert client.heard.startswith(b"HTTP/1.1 500 ")
    assert client.heard.endswith(b"\r\n\r\n")
