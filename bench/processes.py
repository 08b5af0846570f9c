"""Starts servers pinned to a core, waits until they listen, weighs them and ends them by pid."""

import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

START_TIMEOUT = 30.0
STOP_TIMEOUT = 8.0
SETTLE = 0.5


class NotStarted(Exception):
    """A server that did not listen in time; the message holds the end of its log."""


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


class Processes:
    """Everything started by one run. `cores` are as taskset wants them: "0" or "0,1"."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._running: list[subprocess.Popen[bytes]] = []
        self.start_seconds: dict[int, float] = {}
        """pid -> from the start of the program until it listened."""
        self.start_kib: dict[int, int] = {}
        """pid -> what it and its children held then (`memory_kib`)."""

    def start(self, name: str, argv: Sequence[str], *, cores: str, port: int, ready: str = "") -> int:
        """Start a server and wait for its port; returns its pid. Its output is in NAME.log.

        `ready` is what it says there once it answers, for a port that is open before.
        """
        log = self.log_of(name)
        begun = time.monotonic()
        with log.open("ab") as output:  # appending: see `empty_logs`
            process = subprocess.Popen(
                ["taskset", "-c", cores, *argv],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C is ours; we end them ourselves
                cwd=self.folder,
            )
        self._running.append(process)
        deadline = time.monotonic() + START_TIMEOUT
        while not listens(port) or ready not in log.read_text(errors="replace"):
            if process.poll() is not None or time.monotonic() > deadline:
                raise NotStarted(f"{name}: {log.read_text(errors='replace')[-1500:]}")
            time.sleep(0.01)
        self.start_seconds[process.pid] = time.monotonic() - begun
        time.sleep(SETTLE)
        self.start_kib[process.pid] = memory_kib(process.pid)
        return process.pid

    def log_of(self, name: str) -> Path:
        return self.folder / f"{name}.log"

    def empty_logs(self) -> None:
        """Each request of a load leaves a line; all servers append, so their logs can be cut while they write."""
        for log in self.folder.glob("*.log"):
            os.truncate(log, 0)

    def stop(self, pid: int) -> None:
        for process in [p for p in self._running if p.pid == pid]:
            end(process)
            self._running.remove(process)

    def stop_all(self) -> None:
        for process in reversed(self._running):
            end(process)
        self._running.clear()


def end(process: subprocess.Popen[bytes]) -> None:
    family = list(descendants(process.pid))
    process.terminate()
    try:
        process.wait(STOP_TIMEOUT)
    except subprocess.TimeoutExpired:
        for pid in [*family, process.pid]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        process.wait()


def listens(port: int) -> bool:
    with socket.socket() as sock:
        sock.settimeout(0.5)
        return sock.connect_ex(("127.0.0.1", port)) == 0


def descendants(pid: int) -> Iterator[int]:
    for tasks in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            for child in map(int, tasks.read_text().split()):
                yield child
                yield from descendants(child)


def cpu_seconds(pid: int) -> float:
    """Processor time that a process and all below it have used so far, in user and kernel mode (proc(5), stat)."""
    stats = (Path(f"/proc/{p}/stat").read_text().rpartition(")")[2].split() for p in [pid, *descendants(pid)])
    return sum(int(fields[11]) + int(fields[12]) for fields in stats) / os.sysconf("SC_CLK_TCK")


def worker_kib(pid: int) -> int:
    """The proportional set size of the largest process below `pid`: pages shared with others are shared out."""
    return max(pss_kib(Path(f"/proc/{p}/smaps_rollup").read_text()) for p in descendants(pid))


def memory_kib(pid: int) -> int:
    """The proportional set size of a process and all below it, in KiB."""
    return sum(pss_kib(Path(f"/proc/{p}/smaps_rollup").read_text()) for p in [pid, *descendants(pid)])


def pss_kib(smaps_rollup: str) -> int:
    for line in smaps_rollup.splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1])
    raise ValueError("no Pss in smaps_rollup")
