"""Listening sockets: opened once by the parent process and handed to every generation of workers.

A listener that is closed resets the connections that wait in its accept queue. So the parent keeps its
sockets open for as long as the address is in use, and workers only come and go as readers of them. This file
must not know what is served.
"""

import errno
import os
import socket
import stat
from collections.abc import Sequence
from pathlib import Path

from gateway.errors import GatewayError

BACKLOG = 4096
"""Connections that may wait to be accepted; the kernel caps it at net.core.somaxconn."""


class ListenError(GatewayError):
    """The address can't be listened on; the message is one line for the operator."""


class Listeners:
    """The listening sockets of one address: one per worker (SO_REUSEPORT), or a unix socket for all."""

    def __init__(self, listen: str) -> None:
        self.listen = listen
        self._slots: list[list[socket.socket]] = []
        self._addresses = [] if self.is_unix else _resolve(listen)

    @property
    def is_unix(self) -> bool:
        return self.listen.startswith("unix:")

    @property
    def port(self) -> int:
        """The TCP port that was bound (also when 0 asked for any); 0 for unix sockets."""
        return 0 if self.is_unix else int(self._slots[0][0].getsockname()[1])

    def grow(self, count: int) -> None:
        """Have at least `count` slots. There is no shrink: a closed slot would reset what waits in it."""
        if not self._slots:
            self._slots.append(self._first_slot())
        while not self.is_unix and len(self._slots) < count:
            self._slots.append([_bind(s.family, s.getsockname()) for s in self._slots[0]])

    def share(self, number: int, count: int) -> list[socket.socket]:
        """The sockets that worker `number` of `count` reads; together the workers read all."""
        slots = self._slots if self.is_unix else self._slots[number::count]
        return [sock for slot in slots for sock in slot]

    def keep_only(self, wanted: Sequence[socket.socket]) -> None:
        """In a worker: let go of the sockets that other workers read."""
        for slot in self._slots:
            for sock in slot:
                if sock not in wanted:
                    sock.close()

    def close(self) -> None:
        """Close every socket, and remove the file of a unix socket."""
        for slot in self._slots:
            for sock in slot:
                sock.close()
        self._slots = []
        if self.is_unix:
            Path(self.listen.removeprefix("unix:")).unlink(missing_ok=True)

    def _first_slot(self) -> list[socket.socket]:
        try:
            if self.is_unix:
                return [_bind_unix(Path(self.listen.removeprefix("unix:")))]
            for family, address in self._addresses:
                _refuse_if_taken(family, address)
            return [_bind(family, address) for family, address in self._addresses]
        except OSError as error:
            raise ListenError(f"cannot listen on {self.listen}: {_explain(error)}") from error


def addresses_to_listen_on(listen: str, *, probe: bool = False) -> list[tuple[str, int]]:
    """The IP addresses and ports of an address for a program that binds them itself; none for a unix socket.

    `probe` sees whether they can be had. Raises ListenError.
    """
    if listen.startswith("unix:"):
        return []
    found = _resolve(listen)
    if probe:
        try:
            for family, address in found:
                _refuse_if_taken(family, address)
        except OSError as error:
            raise ListenError(f"cannot listen on {listen}: {_explain(error)}") from error
    return [address for _, address in found]


def _resolve(listen: str) -> list[tuple[int, tuple[str, int]]]:
    host, _, port = listen.rpartition(":")
    try:
        # Without a host: all addresses of this machine, of IPv4 and of IPv6.
        found = socket.getaddrinfo(
            host.strip("[]") or None, int(port), type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
    except (OSError, ValueError, OverflowError) as error:
        forms = '"host:port", "[::1]:port" or "unix:/path"'
        raise ListenError(f"cannot listen on {listen}: write {forms}") from error
    addresses = [(int(family), (str(address[0]), int(address[1]))) for family, _, _, _, address in found]
    # A second address would get another free port than the first.
    return addresses[:1] if int(port) == 0 else list(dict.fromkeys(addresses))


def _refuse_if_taken(family: int, address: tuple[str, int]) -> None:
    """SO_REUSEPORT would join another gateway's port without a word; a bind without it tells."""
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        probe.bind(address)


def _bind(family: int, address: tuple[str, int]) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            # IPv4 clients would appear as ::ffff:a.b.c.d and slip past rules that name IPv4 networks.
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind(address)
        sock.listen(BACKLOG)
        sock.setblocking(False)
    except OSError:
        sock.close()
        raise
    return sock


def _bind_unix(path: Path) -> socket.socket:
    _remove_stale(path)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.bind(str(path))
        path.chmod(0o660)
        sock.listen(BACKLOG)
        sock.setblocking(False)
    except OSError:
        sock.close()
        raise
    return sock


def _remove_stale(path: Path) -> None:
    """A socket file outlives a killed process; it is removed only if nobody answers behind it."""
    if not path.exists() or not stat.S_ISSOCK(path.stat().st_mode):
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()
            return
    raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))


def _explain(error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return "another program already listens there (stop it, or change server.listen)"
    if error.errno == errno.EACCES:
        return "permission denied (ports below 1024 need root or CAP_NET_BIND_SERVICE)"
    return error.strerror or str(error)
