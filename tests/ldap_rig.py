"""Entries for a slapd, and small LDAP servers that do what no slapd does: refuse TLS, die, say what they were asked."""

import contextlib
import selectors
import socket
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

from gateway.config.schema import DirectoryLdap
from gateway.directory.ldap import LdapDirectory
from tests.rig import PASSWORD

PEOPLE, GROUPS = "ou=people,dc=example,dc=com", "ou=groups,dc=example,dc=com"
FOLDERS = (
    "dn: dc=example,dc=com\nobjectClass: dcObject\nobjectClass: organization\no: x\ndc: example\n\n"
    f"dn: {PEOPLE}\nobjectClass: organizationalUnit\nou: people\n\n"
    f"dn: {GROUPS}\nobjectClass: organizationalUnit\nou: groups\n\n"
)


def person(uid: str, *more: str) -> str:
    lines = [f"dn: uid={uid},{PEOPLE}", "objectClass: inetOrgPerson", "objectClass: adUser"]
    return "\n".join([*lines, f"uid: {uid}", "sn: X", f"userPassword: {PASSWORD}", *more]) + "\n\n"


def group(name: str, *members: str) -> str:
    """Members are users, or groups as "cn=NAME"."""
    lines = [f"dn: cn={name},{GROUPS}", "objectClass: groupOfNames", f"cn: {name}"]
    dns = (f"{m},{GROUPS}" if m.startswith("cn=") else f"uid={m},{PEOPLE}" for m in members)
    return "\n".join([*lines, *(f"member: {dn}" for dn in dns)]) + "\n\n"


class Located(Protocol):
    """A server at an URL."""

    @property
    def url(self) -> str: ...


def settings(ldap: Located, **more: Any) -> dict[str, Any]:
    return {
        "kind": "ldap",
        "urls": [ldap.url],
        "bind_dn": "cn=admin,dc=example,dc=com",
        "bind_password": "admin-password",
        "base_dn": PEOPLE,
        **more,
    }


@asynccontextmanager
async def opened(ldap: Located, country: str = "", **more: Any) -> AsyncIterator[LdapDirectory]:
    directory = LdapDirectory(DirectoryLdap.model_validate(settings(ldap, **more)), country=country)
    yield directory
    await directory.close()


def tlv(tag: int, *parts: bytes) -> bytes:
    """A BER element (X.690 §8.1)."""
    content = b"".join(parts)
    if len(content) < 128:
        return bytes([tag, len(content)]) + content
    return bytes([tag, 0x82]) + len(content).to_bytes(2, "big") + content


BIND, SEARCH, EXTENDED = 0x60, 0x63, 0x77
_ANSWERS = {BIND: 0x61, SEARCH: 0x65, EXTENDED: 0x78}


@dataclass
class FakeServer:
    """Says yes to every bind and finds `entries` once, whatever is asked; notes what it was asked.

    `codes` are the results of other kinds of requests than success (RFC 4511 §4.1.9).
    """

    codes: dict[int, int] = field(default_factory=dict)
    entries: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    asked: list[tuple[int, bytes]] = field(default_factory=list)
    url: str = ""

    def kinds(self) -> list[int]:
        return [kind for kind, _ in self.asked]

    def answer(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError), connection.makefile("rb") as stream:
            while message := _element(stream):
                length = message[1]
                number, operation = message[: 2 + length], message[2 + length :]
                kind = operation[0]
                if kind not in _ANSWERS:
                    return
                self.asked.append((kind, operation))
                if kind == SEARCH:
                    for dn, values in self.entries:
                        connection.sendall(tlv(0x30, number, _entry(dn, values)))
                    self.entries = []
                code = bytes([self.codes.get(kind, 0)])
                result = tlv(_ANSWERS[kind], tlv(0x0A, code), tlv(4), tlv(4))
                connection.sendall(tlv(0x30, number, result))


def _element(stream: Any) -> bytes:
    """The content of the next message, empty at the end."""
    head = stream.read(2)
    if len(head) < 2:
        return b""
    length = head[1]
    if length & 0x80:
        length = int.from_bytes(stream.read(length & 0x7F), "big")
    found: bytes = stream.read(length)
    return found


def _entry(dn: str, values: dict[str, str]) -> bytes:
    each = (tlv(0x30, tlv(4, key.encode()), tlv(0x31, tlv(4, text.encode()))) for key, text in values.items())
    return tlv(0x64, tlv(4, dn.encode()), tlv(0x30, *each))


@contextmanager
def serving(fake: FakeServer) -> Iterator[FakeServer]:
    with _listening(fake.answer) as port:
        fake.url = f"ldap://127.0.0.1:{port}"
        yield fake


@dataclass
class Wire:
    """Leads to a server, unless it is cut."""

    target: int
    cut: bool = False
    connections: int = 0
    url: str = ""

    def carry(self, near: socket.socket) -> None:
        self.connections += 1
        with near:
            if self.cut:
                return
            with (
                socket.create_connection(("127.0.0.1", self.target)) as far,
                selectors.DefaultSelector() as ready,
            ):
                ready.register(near, selectors.EVENT_READ, far)
                ready.register(far, selectors.EVENT_READ, near)
                while True:
                    for key, _ in ready.select():
                        data = key.fileobj.recv(65536)  # type: ignore[union-attr]
                        if not data or self.cut:
                            return
                        key.data.sendall(data)


@contextmanager
def wired(target: int) -> Iterator[Wire]:
    wire = Wire(target)
    with _listening(wire.carry) as port:
        wire.url = f"ldap://127.0.0.1:{port}"
        yield wire


@contextmanager
def _listening(answer: Any) -> Iterator[int]:
    """Each connection in a thread of its own."""
    listener = socket.create_server(("127.0.0.1", 0))

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listener.accept()
                threading.Thread(target=_quietly, args=(answer, connection), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()


def _quietly(answer: Any, connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        answer(connection)
