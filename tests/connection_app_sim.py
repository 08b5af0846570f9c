"""An app without a socket for the connection's model: it does what the request's path says, and notes who asked.

`/number/kind`: number says which request it is, kind what becomes of it.
"""

import asyncio
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from gateway.request.chunked_body import ChunkedBody
from gateway.request.framing import LengthBody
from tests.connection_pipe_sim import JumpingLoop, Pipe

GOOD = ["plain", "hints", "continue", "chunks", "more", "close", "until", "upgrade", "worn"]
EARLY = ["early", "earlyclose"]
"""Answered as soon as the head of the request is there, whatever comes of its body."""
CUTS = {"half", "halfchunks", "badchunks", "stalls"}
"""Answers that begin and never end as they should."""
DIES = {"odd", "dies", "earlydies"}
"""No answer that anybody could read."""
BAD = [*sorted(CUTS), *sorted(DIES), "silent"]
_HANGS_UP = {"close", "until", "half", "halfchunks", "badchunks", "dies", "earlydies", "earlyclose"}


@dataclass
class App:
    """`asked` has who asked for each number, whether on a worn connection, and how much of a body had come with it."""

    loop: JumpingLoop
    asked: dict[int, list[tuple[str, bool]]] = field(default_factory=lambda: defaultdict(list))
    bodies: dict[int, bytes] = field(default_factory=dict)
    whole: set[int] = field(default_factory=set)
    order: list[int] = field(default_factory=list)
    servings: "list[Serving]" = field(default_factory=list)
    piece: int = 1000
    delay: float = 0.0
    refusals: int = 0
    """So many of the next connections are refused."""
    refused: bool = False
    faults: list[str] = field(default_factory=list)

    async def open(self, factory: Callable[[], Any]) -> Any:
        if self.delay:
            await asyncio.sleep(self.delay)
        if self.refusals:
            self.refusals -= 1
            self.refused = True
            raise ConnectionRefusedError
        protocol = factory()
        serving = Serving(self)
        serving.pipe = Pipe(self.loop, protocol, serving.received)
        self.servings.append(serving)
        protocol.connection_made(serving.pipe)
        return protocol

    def hang_up_idle(self) -> None:
        """As apps do that keep connections for less time than we do."""
        for serving in self.servings:
            if serving.idle and not serving.pipe.closing:
                serving.pipe.leave()


class Serving:
    """The app's end of one connection."""

    pipe: Pipe

    def __init__(self, app: App) -> None:
        self._app, self._data, self._worn = app, b"", False
        self._number, self._kind, self._method = -1, "", ""
        self._body: LengthBody | ChunkedBody | None = None
        self._owed = 0

    @property
    def idle(self) -> bool:
        """Whether nothing is under way on this connection, neither a request nor an answer."""
        return not self._data and self._body is None and not self._owed

    def received(self, data: bytes) -> None:
        self._data += data
        while self._data:
            if self._body is not None:
                piece, self._data = self._body.feed(self._data)
                self._app.bodies[self._number] += piece
                if not self._body.complete:
                    return
                self._body = None
                self._app.whole.add(self._number)
                if self._kind not in (*EARLY, "earlydies"):
                    self._answer()
            elif b"\r\n\r\n" not in self._data:
                return
            else:
                self._begin()

    def _begin(self) -> None:
        if self._owed:
            self._app.faults.append(f"asked {self._data!r} before its last answer was out")
        head, _, self._data = self._data.partition(b"\r\n\r\n")
        line, *lines = head.decode().split("\r\n")
        headers = {name.lower(): value for name, _, value in (one.partition(": ") for one in lines)}
        self._method, target, _ = line.split(" ")
        _, number, self._kind = target.split("/")
        if self._method == "HEAD" and self._kind in (*CUTS, "until"):
            self._kind = "plain"  # an answer without a body lacks nothing and needs no end
        self._number = int(number)
        self._app.order.append(self._number)
        self._app.asked[self._number].append((headers.get("remote-user", ""), self._worn))
        self._app.bodies[self._number] = b""
        if "transfer-encoding" in headers:
            self._body = ChunkedBody(1000)
        elif int(headers.get("content-length", "0")):
            self._body = LengthBody(int(headers["content-length"]))
        else:
            self._app.whole.add(self._number)
        if self._kind == "continue" and self._body is not None:
            self._app.loop.call_soon(self.pipe.receive, b"HTTP/1.1 100 Continue\r\n\r\n")
        if self._kind in (*EARLY, "earlydies") or self._body is None:
            self._answer()

    def _answer(self) -> None:
        worn, self._worn = self._worn, True
        out = self._bytes(worn)
        # What comes behind an answer in a later packet can't be told from the next answer, by nobody.
        size = len(out) if self._kind == "more" else self._app.piece
        pieces = [out[at : at + size] for at in range(0, len(out), size or 1)]
        self._owed += len(pieces)
        for piece in pieces:
            self._app.loop.call_soon(self._send, piece)
        if self._kind in ("silent", "stalls", "more"):  # never to be asked again
            self._owed += 1
        if self._kind in _HANGS_UP or (self._kind == "worn" and worn):
            self._owed += 1
            self._later(len(out) // self._app.piece + 2, self.pipe.leave)

    def _bytes(self, worn: bool) -> bytes:
        user = self._app.asked[self._number][-1][0]
        text = f"{self._number} {user}".encode()
        ok = b"HTTP/1.1 200 OK\r\nX-Who: " + text + b"\r\n"
        bodiless = self._method == "HEAD"
        chunked = b"Transfer-Encoding: chunked\r\n\r\n"
        chunks = b"" if bodiless else b"".join(b"1\r\n%c\r\n" % one for one in text)
        last = b"" if bodiless else b"0\r\n\r\n"
        plain = ok + b"Content-Length: %d\r\n\r\n" % len(text) + (b"" if bodiless else text)
        match self._kind:
            case "hints":
                return b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + plain
            case "chunks":
                return ok + chunked + chunks + last
            case "more":
                return ok + chunked + chunks + last + b"HTTP/1.1 200 OK\r\n\r\n"
            case "close" | "earlyclose":
                return ok.replace(b"\r\n", b"\r\nConnection: close\r\n", 1) + plain[len(ok) :]
            case "until":
                return ok + b"\r\n" + (b"" if bodiless else text)
            case "upgrade":
                return ok + b"Connection: Upgrade\r\nUpgrade: h2c\r\n" + plain[len(ok) :]
            case "half" | "stalls":
                return plain[:-1]
            case "halfchunks":
                return ok + chunked + chunks[:-3]
            case "badchunks":
                return ok + chunked + chunks + b"zz\r\n"
            case "odd":
                return ok + b"Content-Length: x\r\n\r\n"
            case "dies" | "earlydies" | "silent":
                return b""
            case "worn":
                return b"" if worn else plain
        return plain

    def _send(self, piece: bytes) -> None:
        self._owed -= 1
        self.pipe.receive(piece)

    def _later(self, turns: int, what: Callable[[], None]) -> None:
        if turns:
            self._app.loop.call_soon(self._later, turns - 1, what)
        else:
            what()
