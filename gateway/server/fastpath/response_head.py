"""The head of an upstream's response: read strictly, rewritten by the ordinary path's rules, with its framing known."""

import re
from dataclasses import dataclass
from enum import Enum, auto
from functools import lru_cache

import httptools

from gateway.proxy.client_headers import HOP_BY_HOP, Pairs, canonical
from gateway.proxy.response_headers import Rewriter
from gateway.proxy.shared_caches import OVERRULING

HEAD_LIMIT = 256 * 1024
_STATUS = re.compile(rb"HTTP/1\.([01]) ([2-5]\d\d)(?: ([\t\x20-\x7e\x80-\xff]*))?")
_FIELD = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[ \t]*([^\x00-\x08\x0a-\x1f\x7f]*)")


class Framing(Enum):
    NOTHING = auto()
    LENGTH = auto()
    CHUNKED = auto()
    UNTIL_CLOSE = auto()


@dataclass(frozen=True, slots=True)
class FastResponseHead:
    """`head` is ready for the client; `length` counts for LENGTH; `reusable` is the upstream connection's future."""

    status: int
    head: bytes
    framing: Framing
    length: int
    reusable: bool


class _Kind(Enum):
    PLAIN = auto()
    HOP = auto()
    VALUE = auto()
    LENGTH = auto()
    CODING = auto()
    CONNECTION = auto()


_KINDS = {
    b"content-length": _Kind.LENGTH,
    b"transfer-encoding": _Kind.CODING,
    b"connection": _Kind.CONNECTION,
    b"set-cookie": _Kind.VALUE,
    b"clear-site-data": _Kind.VALUE,
    b"location": _Kind.VALUE,
    b"content-location": _Kind.VALUE,
    b"refresh": _Kind.VALUE,
    b"cache-control": _Kind.VALUE,
    **dict.fromkeys(OVERRULING, _Kind.VALUE),
}


@lru_cache(maxsize=2048)
def _kind(name: bytes) -> _Kind:
    kind = _KINDS.get(name.lower())
    if kind is None:
        kind = _Kind.HOP if canonical(name) in HOP_BY_HOP else _Kind.PLAIN
    return kind


def read_answer(head: bytes, method: str, rewriter: Rewriter) -> FastResponseHead | None:
    """What a response head (without its empty line) means; None if it is unusual: the ordinary path should ask again.

    Unusual are 1xx, options in Connection beyond keep-alive and close, trailers announced, and any odd framing.
    """
    line, *fields = head.split(b"\r\n")
    status_line = _STATUS.fullmatch(line)
    if status_line is None:
        return None
    status = int(status_line[2])
    lines = [b"HTTP/1.1 %d %b" % (status, status_line[3] or b"")]
    names: set[bytes] = set()
    length, chunked, closes = -1, False, status_line[1] == b"0"
    for text in fields:
        field = _FIELD.fullmatch(text)
        if field is None:
            return None
        name, value = field[1], field[2].rstrip(b" \t")
        kind = _kind(name)
        if kind is _Kind.PLAIN:
            lines.append(name + b": " + value)
        elif kind is _Kind.LENGTH:
            if length >= 0 or not value.isdigit():
                return None
            length = int(value)
            if status != 204:
                lines.append(name + b": " + value)
        elif kind is _Kind.VALUE:
            changed = rewriter.value(name.lower(), value)
            names.add(name.lower())
            if changed is not None:
                lines.append(name + b": " + changed)
        elif kind is _Kind.CODING:
            if chunked or value.lower() != b"chunked":
                return None
            chunked = True
        elif kind is _Kind.CONNECTION:
            if value.lower() not in (b"keep-alive", b"close"):
                return None
            closes = closes or value.lower() == b"close"
        elif name.lower() != b"keep-alive":
            return None
    if chunked and (length >= 0 or status_line[1] == b"0"):
        return None
    lines += [name + b": " + value for name, value in rewriter.added(names)]
    framing = _framing(status, method, length, chunked)
    if framing in (Framing.CHUNKED, Framing.UNTIL_CLOSE):
        lines.append(b"Transfer-Encoding: chunked")
    public = b"\r\n".join(lines) + b"\r\n\r\n"
    return FastResponseHead(
        status=status,
        head=public,
        framing=framing,
        length=max(length, 0),
        reusable=not closes and framing is not Framing.UNTIL_CLOSE,
    )


def _framing(status: int, method: str, length: int, chunked: bool) -> Framing:
    """RFC 9112 §6.3."""
    if method == "HEAD" or status in (204, 304):
        return Framing.NOTHING
    if chunked:
        return Framing.CHUNKED
    return Framing.LENGTH if length >= 0 else Framing.UNTIL_CLOSE


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


class Dechunker:
    """Takes chunked framing apart through httptools, which checks it; keeps the body's pieces and the trailers."""

    def __init__(self) -> None:
        self._in_body = False
        self._pieces: list[bytes] = []
        self._since_body = 0
        self.trailers: Pairs = []
        self.complete = False
        self.excess = False
        self._parser = httptools.HttpResponseParser(self)
        self._parser.feed_data(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        self._in_body = True

    def feed(self, data: bytes) -> bytes:
        """The body's bytes in `data`. Raises httptools.HttpParserError."""
        self._pieces.clear()
        self._since_body += len(data)
        if self._since_body > HEAD_LIMIT:
            raise httptools.HttpParserError("trailers too large")
        self._parser.feed_data(data)
        return self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)

    def on_message_begin(self) -> None:
        self.excess = self.complete

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._in_body:
            self.trailers.append((name, value))

    def on_body(self, body: bytes) -> None:
        self._since_body = 0
        self._pieces.append(body)

    def on_message_complete(self) -> None:
        self.complete = True
