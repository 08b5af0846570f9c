"""Whole log lines on their way to standard output: gathered, written with few calls, and never waited for.

Whoever reads the log may be slow or stand still. Lines then wait here up to a bound; those above it are lost, counted,
and the log says how many as soon as it is read again. Requests go on meanwhile.
"""

import asyncio
import math
import threading
import time
from collections import deque
from collections.abc import Callable

from gateway.observability.log_sinks import Sink

GATHER = 0.1
"""Seconds that a line of the access log may wait for others."""
RETRY = 0.05
"""Seconds until a reader that was too slow is tried again."""
MOST_WAITING = 1024 * 1024
"""Bytes that may wait for the reader."""
FAREWELL = 2.0
"""Seconds that a process which ends waits for the reader."""


class LogOutput:
    """Writes lines without ever waiting; what there is no room for is lost, and counted. `report` makes the line that
    tells how many were lost.
    """

    def __init__(self, sink: Sink, report: Callable[[int], bytes], most: int = MOST_WAITING) -> None:
        """`report` makes the line that tells of so many lost ones; at most `most` bytes wait."""
        self.on_loss: Callable[[int], object] = lambda count: None
        """Told how many lines were lost, as it happens."""
        self._sink, self._report, self._most = sink, report, most
        self._lines: deque[bytes] = deque()
        self._sources: list[Callable[[], None]] = []
        """Who has lines that are not made yet."""
        self._size = 0
        self._rest = b""
        """A chunk that was not taken, or what was not taken of it."""
        self._cut = False
        """Whether what was taken last ends in the middle of a line."""
        self._unreported = 0
        self._stuck = False
        self._awaited: asyncio.AbstractEventLoop | None = None
        """The loop that flushes soon. Its timer is never cancelled: other threads log, too, and may not touch it."""
        self._lock = threading.RLock()  # a finaliser may log while we hold it

    def write(self, line: bytes) -> None:
        """Write a line, and what waits before it, now."""
        with self._lock:
            self._gather()
            self._keep(line)
            self._flush()

    def later(self, *lines: bytes) -> None:
        """Write lines soon, with others; needs a running event loop, else they are written now."""
        with self._lock:
            for line in lines:
                if not self._stuck and self._size + len(line) > self._sink.chunk:
                    self._flush()
                self._keep(line)
            if not self._stuck and self._size >= self._sink.chunk:
                self._flush()
            elif self._size and (self._awaited is None or self._awaited.is_closed()):
                self._flush_in(GATHER)

    def ask_later(self, source: Callable[[], None]) -> bool:
        """Have `source` called before anything else is written: it hands its lines to `later` then. That is soon; False
        if it can't be, or if nobody reads, so that what is lost is counted when it is: then it is to be called now.
        """
        with self._lock:
            if self._stuck or not self._sink.chunk:
                return False
            if self._awaited is None or self._awaited.is_closed():
                self._flush_in(GATHER)
            if self._awaited is None:
                return False
            self._sources.append(source)
            return True

    def ask(self, source: Callable[[], None]) -> None:
        """Call `source` now; no other thread's lines come between those that it hands to `later`."""
        with self._lock:
            source()

    def flush(self) -> None:
        """Write what can be written without waiting."""
        with self._lock:
            self._flush()

    def retry(self) -> float:
        """Write what had to wait for the reader, or for another process's turn; returns the seconds until that is to be
        tried again, infinity if nothing waits. For a process without an event loop, where nobody else tries it.
        """
        with self._lock:
            if self._stuck:
                self._flush()
            return RETRY if self._stuck else math.inf

    def finish(self, seconds: float = FAREWELL) -> None:
        """Write everything; a reader that stands still is waited for `seconds` at most."""
        deadline = time.monotonic() + seconds
        with self._lock:
            self._flush()
            while self._stuck and (left := deadline - time.monotonic()) > 0:
                self._sink.wait(left)
                self._flush()

    def close(self) -> None:
        self._sink.close()

    def forget(self) -> None:
        """After a fork: what waited in the parent is the parent's to write."""
        self._lock = threading.RLock()
        self._lines.clear()
        self._sources.clear()
        self._size, self._rest, self._unreported, self._stuck, self._awaited = 0, b"", 0, False, None
        self._cut = False

    def _keep(self, line: bytes) -> bool:
        if self._size + len(line) > self._most:
            self._lose(1)
            return False
        self._lines.append(line)
        self._size += len(line)
        return True

    def _lose(self, lines: int) -> None:
        self._unreported += lines
        self.on_loss(lines)

    def _gather(self) -> None:
        while self._sources:
            self._sources.pop()()

    def _flush(self) -> None:
        self._gather()
        try:
            self._stuck = not self._send_all()
        except OSError:  # nobody will ever read it, or the disk is full
            self._lose(self._rest.count(b"\n") - self._rest.startswith(b"\n") + len(self._lines))
            self._lines.clear()
            # The half of a line that was taken must not become one with the next.
            self._rest = b"\n" if self._cut else b""
            self._size, self._stuck = len(self._rest), False
        if self._stuck:
            self._flush_in(RETRY)

    def _send_all(self) -> bool:
        while True:
            self._rest = self._rest or self._next_chunk()
            while self._rest:
                taken = self._sink.send(self._rest)
                self._size -= taken
                if taken:
                    self._cut = self._rest[taken - 1 : taken] != b"\n"
                self._rest = self._rest[taken:]
                if self._rest:
                    return False
                self._rest = self._next_chunk()
            if not self._unreported:
                return True
            line, self._unreported = self._report(self._unreported), 0
            self._lines.append(line)
            self._size += len(line)

    def _next_chunk(self) -> bytes:
        """As many whole lines as the sink takes at once."""
        lines, limit = self._lines, self._sink.chunk
        if self._size <= limit:
            chunk = b"".join(lines)
            lines.clear()
            return chunk
        taken: list[bytes] = []
        size = 0
        while lines and (not taken or size + len(lines[0]) <= limit):
            taken.append(lines.popleft())
            size += len(taken[-1])
        return b"".join(taken)

    def _flush_in(self, seconds: float) -> None:
        if self._awaited is not None and not self._awaited.is_closed():
            return
        try:
            self._awaited = asyncio.get_running_loop()
        except RuntimeError:  # no event loop here: `retry`, the next line and the end try again
            self._awaited = None
            if not self._stuck:
                self._flush()
        else:
            self._awaited.call_later(seconds, self._on_time)

    def _on_time(self) -> None:
        with self._lock:
            self._awaited = None
            self._flush()
