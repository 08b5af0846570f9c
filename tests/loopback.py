"""No test speaks with anybody but this machine: a socket or a look-up that goes beyond loopback fails it.

Programs that a test starts are not watched; they get loopback addresses in their configurations.
"""

import ipaddress
import socket
from typing import Any

beyond: list[str] = []
"""What has been tried since this was last emptied."""


def is_ours(host: object) -> bool:
    """Whether an address or a name is one of loopback. "" and None stand for this machine."""
    text = host.decode("ascii", "replace") if isinstance(host, bytes) else str(host or "localhost")
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
        return (getattr(address, "ipv4_mapped", None) or address).is_loopback
    except ValueError:
        return text == "localhost" or text.endswith(".localhost")


def watch() -> None:
    """From now on, in this process, nothing goes beyond loopback."""
    connect, connect_ex, sendto = socket.socket.connect, socket.socket.connect_ex, socket.socket.sendto
    look_up = socket.getaddrinfo

    def check(sock: socket.socket, address: Any) -> None:
        if sock.family in (socket.AF_INET, socket.AF_INET6) and not is_ours(address[0]):
            beyond.append(f"a socket to {address[0]}")
            raise OSError(f"tests stay on loopback: {address[0]}")

    def watched_connect(self: socket.socket, address: Any) -> None:
        check(self, address)
        connect(self, address)

    def watched_connect_ex(self: socket.socket, address: Any) -> int:
        check(self, address)
        return connect_ex(self, address)

    def watched_sendto(self: socket.socket, data: Any, *rest: Any) -> int:
        check(self, rest[-1])
        return sendto(self, data, *rest)

    def watched_look_up(host: Any, *rest: Any, **more: Any) -> Any:
        if not is_ours(host):
            if not str(host).endswith(".invalid"):  # never there (RFC 6761 §6.4), and no question for anybody
                beyond.append(f"a look-up of {host}")
            raise socket.gaierror(socket.EAI_NONAME, f"tests stay on loopback: {host}")
        return look_up(host, *rest, **more)

    socket.socket.connect = watched_connect  # type: ignore[method-assign]
    socket.socket.connect_ex = watched_connect_ex  # type: ignore[method-assign]
    socket.socket.sendto = watched_sendto  # type: ignore[method-assign, assignment]
    socket.getaddrinfo = watched_look_up
