"""What clients send on a connection of the model, and in which pieces and with what else it arrives."""

from dataclasses import dataclass, field
from itertools import accumulate

from hypothesis import strategies as st

from gateway.server.closing_connection import DISCARD_BYTES
from tests.connection_app_sim import BAD, EARLY, GOOD
from tests.connection_sim import MAX_BODY

BIG = [DISCARD_BYTES - 100, DISCARD_BYTES + 100, MAX_BODY + 100]
ACTIONS = ["pause", "resume", "wait", "idle", "refuse", "forget", "drain", "abort", "leave", "signout"]
PLENTY = sum(BIG) * 10
END = -1  # up to the end of the next head or body


@dataclass(frozen=True)
class Asked:
    """One request as the client sends it."""

    kind: str = "plain"
    user: str = ""
    method: str = "GET"
    size: int = 0
    chunked: bool = False
    fast: bool = True
    wish: str = ""
    fault: str = ""

    @property
    def body(self) -> bytes:
        if not self.uploads:
            return b""
        return bytes(range(33, 128)) * (self.size // 95) + bytes(range(33, 33 + self.size % 95))

    @property
    def uploads(self) -> bool:
        return self.method in ("POST", "PUT")

    @property
    def in_chunks(self) -> bool:
        return self.uploads and self.chunked

    @property
    def broken(self) -> bool:
        return self.in_chunks and self.fault == "chunk"

    @property
    def malformed(self) -> bool:
        return self.fault == "head"

    @property
    def too_large(self) -> bool:
        return self.uploads and self.size > MAX_BODY

    @property
    def bodiless(self) -> bool:
        """Whether it has no body that is still to come when its head is there."""
        return not self.uploads or not (self.size or self.chunked)

    @property
    def expects(self) -> bool:
        return self.wish == "expect" and not self.bodiless

    def head(self, number: int) -> bytes:
        version = "1.0" if self.wish == "1.0" else "1.1"
        lines = [f"{self.method} /{number}/{self.kind} HTTP/{version}", "Host: app.test"]
        lines += [f"Cookie: auth_session={self.user}"] * bool(self.user)
        lines += ["TE: trailers"] * (not self.fast)  # which only the ordinary path knows
        lines += ["Connection: close"] * (self.wish == "close")
        lines += ["Expect: 100-continue"] * self.expects
        lines += ["Bad Name: x"] * self.malformed
        if self.in_chunks:
            lines.append("Transfer-Encoding: chunked")
        elif self.uploads:
            lines.append(f"Content-Length: {self.size}")
        return "\r\n".join(lines).encode() + b"\r\n\r\n"

    def sent(self) -> bytes:
        """The body with its framing."""
        body, size = self.body, max(1, self.size // 20)
        if not self.in_chunks:
            return body
        chunks = [body[at : at + size] for at in range(0, len(body), size)]
        framed = [b"%x\r\n%b\r\n" % (len(one), one) for one in chunks]
        if self.fault == "chunk":
            framed.insert(len(framed) // 2, b"zz\r\n")
        return b"".join(framed) + b"0\r\n\r\n"


@dataclass
class Sent:
    """All that one client sends, with the places at which heads and bodies end."""

    asked: list[Asked]
    first: int
    heads: list[int] = field(default_factory=list)
    ends: list[int] = field(default_factory=list)
    wire: bytes = b""
    at: int = 0

    def next(self, size: int) -> bytes:
        """The next segment; END is the end of the next part."""
        if size == END:
            size = next((end for end in sorted(self.heads + self.ends) if end > self.at), self.at) - self.at
        before, self.at = self.at, min(self.at + size, len(self.wire))
        return self.wire[before : self.at]

    def __post_init__(self) -> None:
        parts = [part for n, one in enumerate(self.asked, self.first) for part in (one.head(n), one.sent())]
        places = list(accumulate(map(len, parts)))
        self.heads, self.ends, self.wire = places[::2], places[1::2], b"".join(parts)


def _possible(one: Asked) -> Asked:
    """HTTP/1.0 has no chunks (RFC 9112 §6.1)."""
    return Asked(**{**vars(one), "chunked": one.chunked and one.wish != "1.0"})


requests = st.builds(
    Asked,
    kind=st.sampled_from([*GOOD, *GOOD, *EARLY, *EARLY, *BAD, "earlydies", "earlydies", "boom"]),
    user=st.sampled_from(["", "alice", "bob"]),
    method=st.sampled_from(["GET", "GET", "GET", "HEAD", "POST", "POST", "PUT"]),
    size=st.sampled_from([0, 1, 5, 20, 20, *BIG]),
    chunked=st.booleans(),
    fast=st.booleans(),
    wish=st.sampled_from(["", "", "", "", "", "", "expect", "expect", "close", "1.0"]),
    fault=st.sampled_from(["", "", "", "", "", "", "", "", "", "chunk", "chunk", "head"]),
).map(_possible)
steps = st.tuples(
    st.integers(0, 1),  # whose
    st.sampled_from([0, 1, 3, 30, 100, 150, 400, PLENTY, END, END, END]),  # bytes arrive next
    st.integers(0, 12),  # turns of the loop behind them
    st.sampled_from([*[""] * 6, *ACTIONS]),
)
plans = st.lists(steps, max_size=30)
