"""Both doors with client certificates: our own TLS, and Envoy's (`server.engine: envoy`); and who comes to them."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.x509.oid import ExtendedKeyUsageOID

from gateway.config.schema import Tls
from gateway.server.tls.context import server_context
from tests.authorities import DAY, Authority, Pair
from tests.doors.run import RealClock
from tests.engine_rig import behind_envoy
from tests.rig import Rig, running_gateway
from tests.sending import self_signed
from tests.waiting import PATIENCE


def route(path: str, *, door: bool = True, **policy: Any) -> dict[str, Any]:
    return {"path": path, "upstream": "UPSTREAM", "client_cert": door, "policy": policy}


ROUTES = [
    route("/one", require="one_factor"),
    route("/robots", require="one_factor", users=["cert:robot.test"]),
    route("/two"),
    route("/machine", machine_suffices=True),
    route("/open", require="bypass"),
    route("/closed", door=False, require="one_factor"),
    route("/public", door=False, require="bypass"),  # Envoy carries it by itself
]


@dataclass
class Clients:
    """By name: who shows which certificate, with which headers."""

    folder: Path
    ours: Authority
    shown: dict[str, Pair | None] = field(default_factory=dict)
    headers: dict[str, dict[str, str]] = field(default_factory=dict)

    @classmethod
    def made(cls, folder: Path) -> "Clients":
        self_signed(folder)  # the server's own
        ours, other = Authority.new(folder, "ours"), Authority.new(folder, "other")
        below = Authority.new(folder, "below", ours)
        robot = ours.issue("robot", x509.DNSName("robot.test"))
        stranger = other.issue("robot", x509.DNSName("robot.test"))
        both = (
            x509.DNSName("a.test"),
            x509.RFC822Name("robot@a.test"),
            x509.UniformResourceIdentifier("spiffe://a"),
        )
        pem = robot[0].read_text().partition("-----END")[0] + "-----END CERTIFICATE-----\n"
        forged = {"X-Gateway-Certificate": quote(pem, safe="")}
        found = cls(folder, ours)
        found.shown = {
            "nobody": None,
            "robot": robot,
            "by an authority below": below.issue("robot", x509.DNSName("robot.test")),
            "several names": ours.issue("c", *both),
            "a common name alone": ours.issue("robot.test"),
            "two common names": ours.issue("x", common_names=("robot.test", "b")),
            "a name with a comma": ours.issue("robot.test,admin"),
            "a name beyond ASCII": ours.issue("röbot"),
            "another authority": stranger,
            "expired": ours.issue("robot", x509.DNSName("robot.test"), since=-2 * DAY, until=-DAY),
            "not valid yet": ours.issue("robot", x509.DNSName("robot.test"), since=DAY, until=2 * DAY),
            "for servers": ours.issue(
                "robot", x509.DNSName("robot.test"), usage=ExtendedKeyUsageOID.SERVER_AUTH
            ),
            "an Ed25519 key": ours.issue("robot.test", key=ed25519.Ed25519PrivateKey.generate()),
            "forged header": None,
            "forged twice": None,
            "forged beside another": ours.issue("mallory", x509.DNSName("mallory.test")),
        }
        found.headers = {
            "forged header": forged,
            "forged twice": {**forged, "X_Gateway_Certificate": forged["X-Gateway-Certificate"]},
            "forged beside another": {**forged, "X-Gateway-Hop": "https HTTP/1.1 127.0.0.1 127.0.0.1 len=,"},
        }
        return found


def trusting(folder: Path, pair: Pair | None) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(folder / "cert.pem"))
    if pair:
        context.load_cert_chain(*pair)
    return context


@asynccontextmanager
async def both_doors(
    folder: Path, monkeypatch: pytest.MonkeyPatch, clients: Clients
) -> AsyncIterator[tuple[Rig, Rig]]:
    tls = {"cert_file": str(folder / "cert.pem"), "key_file": str(folder / "key.pem")}
    tls["client_ca_file"] = str(clients.ours.file)
    (folder / "ours").mkdir()
    (folder / "inside").mkdir()
    async with (
        running_gateway(
            folder / "ours",
            clock=RealClock(),
            routes=ROUTES,
            ssl_context=server_context(Tls.model_validate(tls)),
        ) as ours,
        behind_envoy(
            folder / "inside", monkeypatch, clock=RealClock(), routes=ROUTES, server={"tls": tls}
        ) as inside,
    ):
        yield ours, inside


@dataclass
class Spoken:
    """What came of one connection: the status of /one, and whether its TLS session went on from another's."""

    status: int
    resumed: bool
    session: ssl.SSLSession | None
    socket: socket.socket

    async def ask(self, port: int) -> int:
        """Ask once more on it; 0: it has ended."""
        try:
            self.status = await asyncio.to_thread(_ask, self.socket, port)
        except (OSError, IndexError):
            return 0
        return self.status


def _ask(sock: socket.socket, port: int) -> int:
    sock.sendall(f"GET /one HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAccept: */*\r\n\r\n".encode())
    answer = b""
    while b"\r\n\r\n" not in answer:
        piece = sock.recv(65536)
        if not piece:
            break
        answer += piece
    head, _, body = answer.partition(b"\r\n\r\n")
    fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:])
    left = int(fields.get(b"content-length", 0)) - len(body)
    while left > 0:
        left -= len(sock.recv(left))
    return int(head.split()[1])


class Speaker:
    """Opens connections, and closes them at the end."""

    def __init__(self) -> None:
        self._opened = ExitStack()

    def __enter__(self) -> "Speaker":
        return self

    def __exit__(self, *_: object) -> None:
        self._opened.close()

    async def speak(
        self, port: int, context: ssl.SSLContext, session: ssl.SSLSession | None = None
    ) -> Spoken:
        """Open a connection and ask; status 0 where the handshake, or what follows it in TLS 1.3, is refused."""
        return await asyncio.to_thread(self._speak, port, context, session)

    def _speak(self, port: int, context: ssl.SSLContext, session: ssl.SSLSession | None) -> Spoken:
        plain = self._opened.enter_context(socket.create_connection(("127.0.0.1", port), timeout=PATIENCE))
        sock = self._opened.enter_context(
            context.wrap_socket(
                plain, server_hostname="127.0.0.1", session=session, do_handshake_on_connect=False
            )
        )
        try:
            sock.do_handshake()
            return Spoken(_ask(sock, port), bool(sock.session_reused), sock.session, sock)
        except (OSError, IndexError):
            return Spoken(0, False, None, sock)
