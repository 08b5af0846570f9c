"""What a worker and its parent say to each other, on a socket pair between them.

The worker says `READY` once it serves and `ALIVE` every second, from its event loop: one that hangs falls silent. The
parent says which sockets of another worker to read meanwhile, and when to leave them again; the sockets come along
(SCM_RIGHTS, unix(7)). End-of-file says, on either side, that the other one is gone.
"""

import socket
import struct
from collections.abc import Sequence
from dataclasses import dataclass, field

READY, ALIVE = b"R", b"."
ALIVE_EVERY = 1.0
"""Seconds between two signs of life."""
_TAKE, _LEAVE = b"T", b"L"
_ORDER = struct.Struct("=cI")
_MOST_SOCKETS = 64


@dataclass(frozen=True, slots=True)
class Order:
    """Read the `sockets` of worker `number`; without any, leave those that were taken for it."""

    number: int
    sockets: list[socket.socket] = field(default_factory=list)


def send_take(channel: socket.socket, number: int, sockets: Sequence[socket.socket]) -> bool:
    """Tell a worker to read these sockets too; False if it can't be told."""
    return _send(channel, _ORDER.pack(_TAKE, number), [sock.fileno() for sock in sockets])


def send_leave(channel: socket.socket, number: int) -> bool:
    """Tell a worker to leave the sockets of `number`; False if it can't be told."""
    return _send(channel, _ORDER.pack(_LEAVE, number), [])


def _send(channel: socket.socket, data: bytes, descriptors: list[int]) -> bool:
    try:
        # Never wait: a worker that hangs does not empty its queue, and the parent has others to look after.
        socket.send_fds(channel, [data], descriptors, socket.MSG_DONTWAIT)
    except OSError:
        return False
    return True


def read_order(channel: socket.socket) -> Order | None:
    """The parent's next order; None at its end. Each is read by itself, so that its sockets come with it.

    Raises BlockingIOError if none waits."""
    data, descriptors, _, _ = socket.recv_fds(channel, _ORDER.size, _MOST_SOCKETS)
    if len(data) < _ORDER.size:
        return None
    kind, number = _ORDER.unpack(data)
    sockets = [socket.socket(fileno=descriptor) for descriptor in descriptors]
    return Order(number, sockets if kind == _TAKE else [])
