"""A client that asks for one small page all the time, in a process of its own, and notes how long each answer took.

Clock: CLOCK_MONOTONIC, which all processes of a machine share, so that a run can say which answers fell into which act.
"""

import array
import http.client
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

EVERY = 0.004
"""Seconds between an answer and the next question."""


class Steady:
    """What a client has measured so far. Both files grow while it runs."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def between(self, begin: float, end: float) -> list[float]:
        """Seconds of each answer whose question was under way in that time, shortest first."""
        numbers = array.array("d")
        raw = self._file.read_bytes()
        numbers.frombytes(raw[: len(raw) // 16 * 16])
        pairs = zip(numbers[::2], numbers[1::2], strict=True)
        return sorted(took for at, took in pairs if at + took >= begin and at <= end)


@contextmanager
def asking(port: int, path: str, cookie: str, file: Path) -> Iterator[Steady]:
    """Ask `path` at a port of this machine until left."""
    argv = [sys.executable, "-m", "bench.scale.steady", str(port), path, cookie, str(file)]
    process = subprocess.Popen(argv)
    try:
        while not (file.exists() and file.stat().st_size):
            if process.poll() is not None:
                raise RuntimeError("the client that asks steadily has ended")
            time.sleep(0.02)
        yield Steady(file)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()


def _ask(port: int, path: str, cookie: str, file: Path) -> None:
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    headers = {"Cookie": cookie, "Accept": "text/html"}
    with file.open("ab", buffering=0) as noted:
        while True:
            begin, status = time.monotonic(), 0
            while (
                status != 200
            ):  # a worker that was killed for hanging costs its clients all the time until then
                try:
                    client.request("GET", path, headers=headers)
                    answer = client.getresponse()
                    answer.read()
                    status = answer.status
                except (OSError, http.client.HTTPException):
                    client.close()
            noted.write(array.array("d", (begin, time.monotonic() - begin)).tobytes())
            time.sleep(EVERY)


if __name__ == "__main__":
    _ask(int(sys.argv[1]), sys.argv[2], sys.argv[3], Path(sys.argv[4]))
