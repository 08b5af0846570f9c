"""Signals as bytes in a socket, so that a plain `select` loop waits for them beside everything else."""

import signal
import socket
from types import TracebackType


class Signals:
    """While entered, the given signals no longer interrupt: `take` returns them in order of arrival."""

    def __init__(self, *numbers: signal.Signals) -> None:
        self._numbers = numbers
        self._reader, self._writer = socket.socketpair()

    def __enter__(self) -> "Signals":
        self._reader.setblocking(False)
        self._writer.setblocking(False)
        signal.set_wakeup_fd(self._writer.fileno(), warn_on_full_buffer=False)
        for number in self._numbers:
            signal.signal(number, lambda *_: None)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        signal.set_wakeup_fd(-1)
        for number in self._numbers:
            signal.signal(number, signal.SIG_DFL)
        self._reader.close()
        self._writer.close()

    def fileno(self) -> int:
        return self._reader.fileno()

    def take(self) -> list[int]:
        """The numbers of the signals that came since the last call."""
        try:
            return list(self._reader.recv(4096))
        except BlockingIOError:
            return []


def default_signals() -> None:
    """What a freshly forked worker needs: none of the parent's handlers.

    Ctrl-C and a closing terminal reach the whole process group; the parent decides what they mean, so a
    worker listens to SIGTERM alone.
    """
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
