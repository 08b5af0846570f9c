"""What Envoy, as our own front door, says of the hop before it: one header, on a socket that nobody else reaches.

With it a worker sees the connection that the client made: its address, whether it is TLS, and the X-Forwarded-Proto
that came with it. `engines.front_envoy` has Envoy write the header over whatever a client sends under its name.
"""

import re
import secrets
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from http import HTTPStatus
from ipaddress import ip_address

from gateway.config.schema import Network
from gateway.model import IPAddress
from gateway.request.forwarded import is_trusted
from gateway.request.framing import Malformed

HOP = "x-gateway-hop"
ASKS = "x-gateway-asks"
"""Marks a request that Envoy only asks about (`engines.front_carried`), and says which routes it knows."""
CARRY = "x-gateway-carry"
"""By which name Envoy carries it, if it may; no name: a worker does."""
CERTIFICATE = "x-gateway-certificate"
"""The client's certificate, which Envoy has checked, behind a number that says by whom."""
TOLD_TO_ENVOY = "x-gateway-m-"
"""What begins so is told to Envoy's own filters and to no app."""
NOTE, AGAIN, PUBLIC, PRIVATE, NAME, KEEP, FAILED = (
    f"{TOLD_TO_ENVOY}{what}" for what in ("note", "again", "public", "private", "name", "keep", "failed")
)
"""For the log; to ask whether an answer may go on; the public origin; whether the answer is somebody's; the request's
id; for which other requests the same holds, and how their headers are changed (`engines.front_known`);
that an app has failed (`engines.front_failed`).
"""
FORBIDDEN = (HOP, CERTIFICATE, ASKS, CARRY, NOTE, AGAIN, PUBLIC, PRIVATE, NAME, KEEP, FAILED)
"""What no client can say."""
# Envoy's words for why an answer is not whole, or none was had (%RESPONSE_FLAGS%).
_FLAGS = {
    "DC": "the client went away",
    "UC": "the upstream broke off",
    "UF": "the upstream could not be reached",
    "UH": "the upstream could not be reached",
    "DF": "the upstream's name leads nowhere",
    "UPE": "what the upstream answered was not HTTP",
    "UT": "the upstream took too long",
    "SI": "nothing came for too long",
    "UR": "the upstream broke off",
}
NOT_REACHED = frozenset({"UF", "UH", "DF"})
"""Those of them that say that the upstream has got nothing of the request."""
_LINE = re.compile(
    rb"\r\n"
    + HOP.encode()
    + rb": (?P<scheme>https?) (?P<protocol>HTTP/[\d.]+) (?P<direct>\S+) (?P<remote>\S+) len=(?P<framing>\S*)"
    rb"(?: (?P<proto>[^\r\n]*))?(?=\r\n)"
)
# Envoy writes these whatever the client has sent.
_OF_ENVOY = re.compile(rb"\r\n(?:x-forwarded-proto|x-envoy-external-address):[^\r\n]*")
_ASKS = re.compile(rb"\r\n" + ASKS.encode() + rb": ([0-9a-f]+)(?=\r\n)")
_SHOWN = b"\r\n" + CERTIFICATE.encode() + b": "
_EMPTY = re.compile(rb"\r\ncontent-length: 0(?=\r\n)")
_AGAIN, _FAILED = (re.compile(rb"\r\n" + name.encode() + rb": ([^\r\n]*)\r\n") for name in (AGAIN, FAILED))
_KEY = b"\r\nsec-websocket-key:"


@dataclass(frozen=True, slots=True)
class Hop:
    """Who made the connection that a request came on.

    Attributes:
        peer: None for a unix socket.
        secure: whether it is TLS.
        asks: of which routes Envoy knows, if it only asks whether it may carry the request: the head has no framing
            then; "" if it does not ask.
        framed: whether the request has a body's framing.
        certificate: of the client, as PEM in percent-encoding; "" for none.
        authorities: the number of those that it was checked by (`server.process.engine_authorities`).
    """

    peer: IPAddress | None
    secure: bool
    asks: str = ""
    framed: bool = False
    certificate: str = ""
    authorities: int = 0


def read_hop(head: bytes, announced: Sequence[Network]) -> tuple[bytes, Hop]:
    """Take the hop out of a request's head; returns the head as the client sent it.

    Args:
        head: request line and headers, with the empty line.
        announced: networks whose PROXY protocol header says who the client is (`server.proxy_protocol`).

    Raises:
        Malformed: there is no hop, or a connection from elsewhere began with such a header.
    """
    found = _LINE.search(head)
    if found is None or len(_LINE.findall(head)) != 1:
        raise Malformed(HTTPStatus.BAD_REQUEST, "the engine did not say where the request comes from")
    head = head[: found.start()] + head[found.end() :]
    head = _OF_ENVOY.sub(b"", head)
    head, authorities, certificate = _without_certificate(head)
    if found["proto"]:
        head = _with(head, b"x-forwarded-proto: " + found["proto"])
    if found["protocol"] != b"HTTP/1.1" and b"\r\nupgrade: websocket\r\n" in head and _KEY not in head:
        # Over HTTP/2 a handshake has no key (RFC 8441 §5); what Envoy makes of it for HTTP/1.1 needs one.
        head = _with(head, _KEY[2:] + b" " + b64encode(secrets.token_bytes(16)))
    peer = _peer(found["direct"], found["remote"], announced)
    if asks := _ASKS.search(head):
        head = _EMPTY.sub(b"", _ASKS.sub(b"", head))  # the question itself has no body
    framed = found["framing"] != b","
    hop = Hop(
        peer,
        found["scheme"] == b"https",
        asks=asks[1].decode() if asks else "",
        framed=framed,
        certificate=certificate,
        authorities=authorities,
    )
    return head, hop


def _without_certificate(head: bytes) -> tuple[bytes, int, str]:
    at = head.find(_SHOWN)
    if at < 0:
        return head, 0, ""
    end = head.index(b"\r\n", at + 2)
    number, _, shown = head[at + len(_SHOWN) : end].partition(b" ")
    head = head[:at] + head[end:]
    if _SHOWN in head or not number.isdigit():
        raise Malformed(HTTPStatus.BAD_REQUEST, "the engine does not show one certificate of the client")
    return head, int(number), shown.decode("latin-1").strip()


def asked_again(head: bytes) -> str:
    """Return what Envoy asks about an answer under way; "" if the head is anything else."""
    found = _AGAIN.search(head)
    return found[1].decode("latin-1") if found else ""


def asked_for_page(head: bytes) -> str:
    """Return what Envoy says of an app that has failed, whose page it asks for; "" if the head is anything else."""
    found = _FAILED.search(head)
    return found[1].decode("latin-1") if found else ""


def reason_of(flags: str) -> str:
    """Return our words for Envoy's flags, "" for none."""
    said = flags.split(",")
    return next((words for flag, words in _FLAGS.items() if flag in said), "")


def _with(head: bytes, line: bytes) -> bytes:
    return head[:-2] + line + b"\r\n\r\n"


@lru_cache(maxsize=4096)
def _address(text: bytes) -> IPAddress:
    """The same few clients ask again and again."""
    return ip_address(text.decode().partition("%")[0])


def _peer(direct: bytes, remote: bytes, announced: Sequence[Network]) -> IPAddress | None:
    if direct == b"unix":
        return None
    try:
        address = _address(direct)
        if remote == direct:
            return address
        client = _address(remote)
    except ValueError:
        raise Malformed(HTTPStatus.BAD_REQUEST, "the engine names no address") from None
    if not is_trusted(address, announced):
        raise Malformed(
            HTTPStatus.BAD_REQUEST, "a PROXY protocol header from outside of server.proxy_protocol"
        )
    return client
