"""A loop whose time jumps, and transports that remember, for the connection's model: no socket, no waiting."""

import asyncio
import selectors
from collections.abc import Callable
from typing import Any

PEER = ("203.0.113.9", 5000)


class _Jump(selectors.SelectSelector):
    """Never waits: time goes on instead."""

    loop: "JumpingLoop"

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise AssertionError("everything waits for nothing")
        self.loop.now += max(timeout, 0)
        return []


class JumpingLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self.now = 1000.0
        selector = _Jump()
        selector.loop = self
        super().__init__(selector)
        self.errors: list[str] = []
        """What nobody caught."""
        self.set_exception_handler(lambda _, context: self.errors.append(f"{context}"))

    def time(self) -> float:
        return self.now

    def end(self) -> None:
        """Close, whatever still runs."""
        for task in asyncio.all_tasks(self):
            task.cancel()
        for _ in range(3):
            self.call_soon(self.stop)
            self.run_forever()
        self.close()


class Pipe(asyncio.Transport):
    """One end of a connection: what is written here goes to `on_data` at once, what it `receive`s to `protocol`."""

    def __init__(self, loop: JumpingLoop, protocol: Any, on_data: Callable[[bytes], None]) -> None:
        super().__init__()
        self.loop, self.protocol, self.on_data = loop, protocol, on_data
        self.closing = self.aborted = self.lost = self.ended = self.reading_paused = False
        self.peer_left = False
        self.waiting: list[bytes] = []
        self.delivered = 0
        """Bytes that `protocol` has received."""
        self.closed_at = self.lost_at = 0.0

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return PEER if name == "peername" else default

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None: ...
    def get_write_buffer_size(self) -> int:
        return 0

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if not self.closing and not self.ended:
            self.on_data(bytes(data))

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        self.ended = True

    def pause_reading(self) -> None:
        self.reading_paused = True

    def resume_reading(self) -> None:
        self.reading_paused = False
        self.loop.call_soon(self._deliver)

    def receive(self, data: bytes) -> None:
        self.waiting.append(data)
        self._deliver()

    def _deliver(self) -> None:
        while self.waiting and not self.reading_paused and not self.lost and not self.closing:
            data = self.waiting.pop(0)
            self.delivered += len(data)
            self.protocol.data_received(data)
        if self.peer_left and not self.waiting and not self.reading_paused:
            self.lose(None)

    def leave(self) -> None:
        """The other end hangs up: that is seen behind all that it sent."""
        self.peer_left = True
        self._deliver()

    def is_closing(self) -> bool:
        return self.closing

    def close(self) -> None:
        if not self.closing:
            self.closing, self.closed_at = True, self.loop.now
            self.loop.call_soon(self.lose, None)

    def abort(self) -> None:
        self.aborted = True
        self.closing = True
        self.loop.call_soon(self.lose, ConnectionResetError())

    def lose(self, exc: Exception | None) -> None:
        self.closing = True
        if not self.lost:
            self.lost, self.lost_at = True, self.loop.now
            self.protocol.connection_lost(exc)
