"""`auth-gateway serve` as a fork of a process that has imported all of it, for tests of what a gateway does.

Python's start and the imports take more than two seconds of a processor, which was most of many a test. So each process
of pytest has one that imports once what `serve` and its workers do, and forks for each gateway; in the fork the command
runs from its first line, with the directory, environment and output that it is given.

How a gateway starts is not proven so: which module is imported when, what the interpreter takes from its environment.
Tests of that run the real command (`fresh=True` in tests.integration.serving).
"""

import asyncio
import atexit
import gc
import importlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
_METRICS = "PROMETHEUS_MULTIPROC_DIR"
_MODULES = ("gateway.cli", "gateway.cli.serve", "gateway.server.gateway", "gateway.stores.sql.migrate")
_control: list[socket.socket] = []
"""The way to the process that forks, once there is one."""


class ForkedProcess:
    """What tests use of `asyncio.subprocess.Process`. Its output has standard error, too."""

    def __init__(self, pid: int, pidfd: int, stdout: asyncio.StreamReader, told: socket.socket) -> None:
        self.pid, self.stdout = pid, stdout
        self.returncode: int | None = None
        self._pidfd = pidfd
        self._end = asyncio.create_task(self._ended(told))

    async def _ended(self, told: socket.socket) -> int:
        with told:
            status = await asyncio.get_running_loop().sock_recv(told, 64)
        os.close(self._pidfd)
        self.returncode = int(status)
        return self.returncode

    async def wait(self) -> int:
        """The exit status, or minus the signal that ended it."""
        return await asyncio.shield(self._end)

    def send_signal(self, number: int) -> None:
        """Raises ProcessLookupError when it has ended."""
        if self.returncode is not None:
            raise ProcessLookupError
        signal.pidfd_send_signal(self._pidfd, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


async def fork_serve(config: Path, folder: Path, environment: Mapping[str, str]) -> ForkedProcess:
    """Run `serve --config CONFIG` in a folder, with this environment."""
    if not _control:
        _control.append(_started())
    reader, output = os.pipe()
    told, tells = socket.socketpair()
    order = {"words": ["serve", "--config", str(config)], "folder": str(folder), "environ": dict(environment)}
    socket.send_fds(_control[0], [json.dumps(order).encode()], [tells.fileno(), output])
    tells.close()
    os.close(output)
    told.setblocking(False)
    loop = asyncio.get_running_loop()
    stdout = asyncio.StreamReader()
    readable = os.fdopen(reader, "rb", 0)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(stdout), readable)
    come = asyncio.Event()
    loop.add_reader(told, come.set)
    await come.wait()
    loop.remove_reader(told)
    message, (pidfd,), _, _ = socket.recv_fds(told, 64, 1)
    return ForkedProcess(int(message), pidfd, stdout, told)


def _started() -> socket.socket:
    """Start the process that forks. It ends when nobody holds our end any more."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    # Its output is a pipe, as that of each fork: what Python makes of a file would be wrong for them.
    with theirs:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.forked_serve", str(theirs.fileno())],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            pass_fds=[theirs.fileno()],
        )

    def end() -> None:
        ours.close()
        process.communicate()

    atexit.register(end)
    return ours


# -- in the process that forks -------------------------------------------------------------------------------------


def _import_all() -> None:
    """As `serve` does before its workers are forked. Metrics choose their storage when they are imported: the one that
    workers share, which follows the environment of each fork (prometheus_client.values).
    """
    with tempfile.TemporaryDirectory() as folder:
        os.environ[_METRICS] = folder
        for module in _MODULES:
            importlib.import_module(module)
        del os.environ[_METRICS]
    tempfile.tempdir = None
    gc.collect()
    gc.freeze()


def _fork_on_demand(control: socket.socket) -> list[str]:
    """Fork whenever that is ordered; returns in a fork alone, with the words of its command."""
    living: dict[int, socket.socket] = {}
    heard, wakes = socket.socketpair()
    for one in (heard, wakes):
        one.setblocking(False)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(wakes.fileno(), warn_on_full_buffer=False)
    while True:
        ready = select.select((control, heard), (), ())[0]
        if heard in ready:
            heard.recv(4096)
            _bury(living)
        if control in ready:
            order, descriptors, _, _ = socket.recv_fds(control, 1 << 20, 2)
            if not order:  # pytest has gone
                for pid in living:
                    os.kill(pid, signal.SIGKILL)
                os._exit(0)
            pid = os.fork()
            if pid == 0:
                for one in (control, heard, wakes, *living.values()):
                    one.close()
                return _become(json.loads(order), *descriptors)
            living[pid] = socket.socket(fileno=descriptors[0])
            os.close(descriptors[1])
            pidfd = os.pidfd_open(pid)
            socket.send_fds(living[pid], [str(pid).encode()], [pidfd])
            os.close(pidfd)


def _bury(living: dict[int, socket.socket]) -> None:
    while living:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid == 0:
            return
        with living.pop(pid) as told:
            told.send(b"%d\n" % os.waitstatus_to_exitcode(status))


def _become(order: dict[str, object], told: int, output: int) -> list[str]:
    """Be what a new process would be; returns the words of its command."""
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.close(told)
    for descriptor in (1, 2):
        os.dup2(output, descriptor)
    os.close(output)
    os.chdir(str(order["folder"]))
    os.environ.clear()
    os.environ.update(order["environ"])  # type: ignore[call-overload]
    words: list[str] = order["words"]  # type: ignore[assignment]
    return words


if __name__ == "__main__":
    _import_all()
    words = _fork_on_demand(socket.socket(fileno=int(sys.argv[1])))
    from gateway.cli import main

    main(words)
