"""Requests at a fixed rate, each timed from the moment it was due: a server that stalls pays for all who wait.

wrk waits for the answer before it asks again and so leaves out the requests that a stall delays (coordinated omission).
"""

import asyncio
import re
import selectors
import time
from collections import deque
from collections.abc import Mapping
from typing import cast

CONNECTIONS = 16
_PATIENCE = 5.0


class Line(asyncio.Protocol):
    """A keep-alive connection: one request at a time, of which it knows when it was due."""

    def __init__(self, pacer: "Pacer") -> None:
        self._pacer = pacer
        self._buffer, self._due = b"", 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def ask(self, due: float) -> None:
        self._due = due
        self._transport.write(self._pacer.request)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if answered(self._buffer):
            self._pacer.on_answer(self, time.perf_counter() - self._due, self._buffer)
            self._buffer = b""

    def close(self) -> None:
        self._transport.abort()


def answered(buffer: bytes) -> bool:
    head, end, body = buffer.partition(b"\r\n\r\n")
    length = re.search(rb"(?i)\ncontent-length: *(\d+)", head)
    return bool(end) and length is not None and len(body) >= int(length[1])


class Pacer:
    def __init__(self, request: bytes) -> None:
        self.request = request
        self.latencies: list[float] = []
        self.failed = 0
        self._idle: deque[Line] = deque()
        self._waiting: deque[float] = deque()
        self._lines: list[Line] = []

    async def run(self, port: int, rate: float, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        for _ in range(CONNECTIONS):
            _, line = await loop.create_connection(lambda: Line(self), "127.0.0.1", port)
            self._lines.append(line)
            self._idle.append(line)
        begin, count = time.perf_counter() + 0.05, int(rate * seconds)
        for number in range(count):
            due = begin + number / rate
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            self._ask(due)
        deadline = time.perf_counter() + _PATIENCE
        while len(self.latencies) < count and time.perf_counter() < deadline:
            await asyncio.sleep(0.01)
        self.failed += count - len(self.latencies)
        for line in self._lines:
            line.close()

    def _ask(self, due: float) -> None:
        if self._idle:
            self._idle.popleft().ask(due)
        else:
            self._waiting.append(due)

    def on_answer(self, line: Line, latency: float, answer: bytes) -> None:
        self.latencies.append(latency)
        self.failed += not answer.startswith(b"HTTP/1.1 200")
        if self._waiting:
            line.ask(self._waiting.popleft())
        else:
            self._idle.append(line)


def measure(port: int, headers: Mapping[str, str], rate: float, seconds: float) -> tuple[list[float], int]:
    """Latencies in seconds, and how many requests failed or were never answered."""
    fields = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    pacer = Pacer(f"GET /small HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n{fields}\r\n".encode())
    with asyncio.Runner(loop_factory=precise_loop) as runner:
        runner.run(pacer.run(port, rate, seconds))
    return pacer.latencies, pacer.failed


def precise_loop() -> asyncio.AbstractEventLoop:
    """select() waits to the microsecond; epoll and uvloop round to a whole millisecond."""
    return asyncio.SelectorEventLoop(selectors.SelectSelector())
