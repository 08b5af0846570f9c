"""A forked process and the socket pair that ties it to its parent (`channel` has what is said on it).

Only for a parent without threads or event loop: a fork copies locks as they are.
"""

import logging
import math
import os
import signal
import socket
import sys
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from gateway.server.process.channel import READY, send_leave, send_take
from gateway.server.process.signals import default_signals

_SIGNALS = {signal.SIGTERM, signal.SIGINT, signal.SIGHUP}


@dataclass(eq=False)
class Worker:
    """A child process as its parent sees it; the parent kills it at `deadline` if it still lives.

    `heard` is when it last said anything. Times are the supervisor's clock."""

    pid: int
    number: int
    channel: socket.socket
    started: float
    deadline: float = math.inf
    ready: bool = False
    heard: float = 0.0

    def hear(self, now: float) -> bytes:
        """What it has said since the last time; empty if it is gone."""
        try:
            said = self.channel.recv(4096)
        except ConnectionResetError:  # it died before it read what we had told it
            return b""
        self.heard = now
        self.ready = self.ready or READY in said
        return said

    def take(self, number: int, sockets: Sequence[socket.socket]) -> bool:
        """Let it read the sockets of another worker, too; False if it can't be told."""
        return send_take(self.channel, number, sockets)

    def leave(self, number: int) -> None:
        """Let it no longer read the sockets of worker `number`."""
        send_leave(self.channel, number)

    def send(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)

    def wait(self) -> str:
        """Collect a process that has ended and say how."""
        self.channel.close()
        _, status = os.waitpid(self.pid, 0)
        code = os.waitstatus_to_exitcode(status)
        return f"signal {-code}" if code < 0 else f"status {code}"


def fork_worker(number: int, life: Callable[[socket.socket], int], *, now: float) -> Worker:
    """Fork; the child runs `life` with its end of the channel, and exits with what that returns."""
    ours, theirs = socket.socketpair()
    sys.stdout.flush()
    sys.stderr.flush()
    # A signal that meets the child before it has its own handlers would be told to the parent a second time.
    signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    try:
        pid = os.fork()
        if pid == 0:
            ours.close()
            _live(life, theirs)
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
        theirs.close()
    return Worker(pid, number, ours, started=now, heard=now)


def _live(life: Callable[[socket.socket], int], channel: socket.socket) -> None:
    """The child's whole life. It never returns into the parent's code."""
    status = 1
    try:
        default_signals()
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
        status = life(channel)
    except BaseException:
        traceback.print_exc()
    finally:
        logging.shutdown()  # writes the lines that wait; os._exit would not
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
