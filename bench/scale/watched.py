"""`auth-gateway serve` whose workers note how long their event loops were busy: what no request could be answered in.

Two numbers at each look: processor seconds of the loop's own thread since the last one, and of the whole process. They
grow only while this process computes, so that a machine with other work does not show in them. A wait for the
interpreter's lock shows in the second one alone.
"""

import array
import asyncio
import os
import sys
import time
from collections.abc import Coroutine
from pathlib import Path

from gateway.cli import main
from gateway.server.gateway import Gateway

EVERY = 0.002
"""Seconds between two looks."""
FILE = "SCALE_LOOP_FILE"
"""The variable that names the file which is written."""


async def _watch(file: Path) -> None:
    with file.open("ab", buffering=0) as noted:
        while True:
            thread, process = time.thread_time(), time.process_time()
            await asyncio.sleep(EVERY)
            row = (time.monotonic(), time.thread_time() - thread, time.process_time() - process)
            noted.write(array.array("d", row).tobytes())


class Loop:
    """What a worker has noted."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def longest(self, begin: float, end: float) -> tuple[float, float]:
        """The most processor seconds between two looks in that time: of the loop's thread, and of the process."""
        numbers = array.array("d")
        raw = self._file.read_bytes() if self._file.exists() else b""
        numbers.frombytes(raw[: len(raw) // 24 * 24])
        rows = zip(numbers[::3], numbers[1::3], numbers[2::3], strict=True)
        within = [(thread, process) for at, thread, process in rows if begin <= at <= end]
        return max((one for one, _ in within), default=0.0), max((one for _, one in within), default=0.0)


def watched() -> None:
    """Have each worker watch its loop beside its requests."""
    before = Gateway._beside

    def beside(self: Gateway) -> list[Coroutine[object, object, None]]:
        return [*before(self), _watch(Path(os.environ[FILE]))]

    Gateway._beside = beside  # type: ignore[method-assign]


if __name__ == "__main__":
    watched()
    sys.argv[0] = "auth-gateway"
    main()
