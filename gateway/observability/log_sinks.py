"""Where log lines go, without ever waiting: a pipe, the journal's socket, a file.

Workers share it. Each chunk is written as a whole or not at all, and a line that is too long for that is written while
the other processes wait for their turn, so lines never mix.
"""

import fcntl
import os
import select
import socket
import stat
import tempfile
from collections.abc import Callable
from functools import partial
from typing import Protocol, TextIO

_FILE_CHUNK = 64 * 1024


class Sink(Protocol):
    """Where lines go."""

    chunk: int
    """Bytes that one `send` writes as a whole or not at all, so that workers who share a pipe never mix their lines."""

    def send(self, data: bytes) -> int:
        """Write without waiting; returns how many bytes were taken. Raises OSError."""
        ...

    def wait(self, seconds: float) -> None:
        """Wait until something can be written again, `seconds` at most."""
        ...

    def close(self) -> None: ...


class Turn:
    """Whose line is being written, among the processes that share a pipe; made before they fork.

    A chunk of at most PIPE_BUF bytes is written whole or not at all. A longer line is not, so while one is under way
    the others wait: a client must not be able to cut another worker's line in two with a long address. A process that
    dies gives its turn up (POSIX record locks belong to the process).
    """

    def __init__(self) -> None:
        self._fd = os.memfd_create("auth-gateway-log") if hasattr(os, "memfd_create") else _unnamed_file()
        self._midway = 0
        """The process that is in the middle of a line, 0 for none; a fork may copy it, so it is compared."""

    def write(self, data: bytes, write: Callable[[bytes], int]) -> int:
        """Write what is taken at once, nothing while another process is in the middle of a line. Raises OSError."""
        try:
            fcntl.lockf(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return 0
        taken, keeps = 0, False
        try:
            taken = write(data)
            keeps = 0 < taken < len(data)
        except BlockingIOError:
            keeps = self._midway == os.getpid()
        finally:
            self._midway = os.getpid() if keeps else 0
            if not keeps:
                fcntl.lockf(self._fd, fcntl.LOCK_UN)
        return taken

    def close(self) -> None:
        os.close(self._fd)


def _unnamed_file() -> int:
    """Where the system has no memfd (macOS)."""
    with tempfile.TemporaryFile(prefix="auth-gateway-log-") as file:
        return os.dup(file.fileno())


class PipeSink:
    """A pipe or a terminal.

    Opened anew through /proc, so that O_NONBLOCK is ours alone and not also our parent's, whose terminal it may be.
    Where that is not allowed, the pipe is asked before each write.
    """

    chunk = select.PIPE_BUF

    def __init__(self, fd: int) -> None:
        self._turn = Turn()
        try:
            self._fd, self._own = (
                os.open(f"/proc/self/fd/{fd}", os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY),
                True,
            )
        except OSError:
            self._fd, self._own = fd, False

    def send(self, data: bytes) -> int:
        if not self._own and not select.select((), (self._fd,), (), 0)[1]:
            return 0
        return self._turn.write(data, partial(os.write, self._fd))

    def wait(self, seconds: float) -> None:
        poll = select.poll()
        poll.register(self._fd, select.POLLOUT)
        poll.poll(seconds * 1000)

    def close(self) -> None:
        self._turn.close()
        if self._own:
            os.close(self._fd)


class SocketSink:
    """A stream socket: systemd connects a service's standard output to its journal with one."""

    chunk = select.PIPE_BUF

    def __init__(self, fd: int) -> None:
        self._turn = Turn()
        self._socket = socket.socket(fileno=os.dup(fd))

    def send(self, data: bytes) -> int:
        return self._turn.write(data, lambda data: self._socket.send(data, socket.MSG_DONTWAIT))

    def wait(self, seconds: float) -> None:
        poll = select.poll()
        poll.register(self._socket, select.POLLOUT)
        poll.poll(seconds * 1000)

    def close(self) -> None:
        self._turn.close()
        self._socket.close()


class FileSink:
    """A file on a disk. It is not opened anew: workers share one position in it, and so append."""

    chunk = _FILE_CHUNK

    def __init__(self, fd: int) -> None:
        self._fd = fd

    def send(self, data: bytes) -> int:
        return os.write(self._fd, data)

    def wait(self, seconds: float) -> None:
        """A disk keeps nobody waiting for a reader."""

    def close(self) -> None:
        """The file belongs to whoever opened it."""


class StreamSink:
    """A stream without a file descriptor, in tests. Each line is there at once."""

    chunk = 0

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def send(self, data: bytes) -> int:
        self._stream.write(data.decode())
        self._stream.flush()
        return len(data)

    def wait(self, seconds: float) -> None:
        """Never full."""

    def close(self) -> None:
        """The stream belongs to whoever opened it."""


def sink_of(stream: TextIO) -> Sink:
    """The way to write to `stream` without waiting."""
    try:
        fd = stream.fileno()
        mode = os.fstat(fd).st_mode
    except (AttributeError, OSError, ValueError):
        return StreamSink(stream)
    if stat.S_ISFIFO(mode) or os.isatty(fd):
        return PipeSink(fd)
    return SocketSink(fd) if stat.S_ISSOCK(mode) else FileSink(fd)
