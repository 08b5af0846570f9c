"""A connection that closes lets a slow client take what is buffered, and nobody hold it for ever."""

import asyncio
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from gateway.server.closing_connection import FLUSH_TIME, ClosingConnection


class ManualLoop:
    """Time that a test moves."""

    def __init__(self) -> None:
        self.now = 0.0
        self.timers: list[tuple[float, Callable[[], None]]] = []

    def time(self) -> float:
        return self.now

    def call_at(self, when: float, call: Callable[[], None]) -> Any:
        timer = (when, call)
        self.timers.append(timer)
        return SimpleNamespace(cancel=lambda: self.timers.remove(timer) if timer in self.timers else None)

    def advance(self, seconds: float) -> None:
        self.now += seconds
        due = [timer for timer in self.timers if timer[0] <= self.now]
        self.timers = [timer for timer in self.timers if timer not in due]
        for _, call in due:
            call()


class SlowTransport(asyncio.Transport):
    def __init__(self, buffered: int) -> None:
        super().__init__()
        self.buffered, self.closed, self.aborted = buffered, False, False

    def get_write_buffer_size(self) -> int:
        return self.buffered

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.aborted = True


def closing(buffered: int) -> tuple[ManualLoop, SlowTransport]:
    loop, transport = ManualLoop(), SlowTransport(buffered)
    server = SimpleNamespace(limits=SimpleNamespace(head_size=1024), draining=False)
    connection = ClosingConnection(server, loop)  # type: ignore[arg-type]
    connection.transport = transport
    connection._close()
    return loop, transport


def test_a_client_that_takes_its_answer_slowly_gets_all_of_it() -> None:
    loop, transport = closing(800_000)
    for _ in range(6):
        transport.buffered -= 100_000
        loop.advance(FLUSH_TIME)
        assert (transport.closed, transport.aborted) == (True, False)


def test_a_client_that_takes_nothing_more_is_cut_off() -> None:
    loop, transport = closing(800_000)
    transport.buffered -= 1
    loop.advance(FLUSH_TIME)
    assert not transport.aborted
    loop.advance(FLUSH_TIME)
    assert transport.aborted


def test_where_nothing_is_buffered_nothing_is_waited_for() -> None:
    loop, transport = closing(0)
    assert transport.closed
    assert loop.timers == []
