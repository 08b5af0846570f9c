"""Reads the head of an app's answer. Strict by default; `upstream_http: lenient` takes what old apps get wrong.

What can be read in two ways is 502, never guessed: a client would take another body for the answer than the app
meant. The log says what was odd and, where a switch would take it, which.
"""

import re
from dataclasses import dataclass

from gateway.errors import UpstreamUnreachable
from gateway.proxy.client_headers import Pairs
from gateway.request.chunked_body import BrokenBody, ChunkedBody
from gateway.request.framing import Body, LengthBody
from gateway.request.hop import FAILED, NOT_REACHED, reason_of

HEAD_LIMIT = 256 * 1024
"""Bytes of heads before one body, and of a body's trailers."""
# RFC 9112 §4. The reason phrase may hold anything printable, and the blank before it may be missing, as many apps do.
_STATUS = re.compile(rb"HTTP/(1\.\d) ([1-9]\d\d)(?: ([\t\x20-\x7e\x80-\xff]*))?")
# RFC 9110 §5.1, §5.5 and RFC 9112 §5.1: no blank between name and colon, which some parsers take for part of the name;
# no control character in the value.
_FIELD = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[ \t]*([^\x00-\x08\x0a-\x1f\x7f]*)")
# Digits alone (RFC 9110 §8.6): int() would also take "+5", "1_0" and digits of other scripts.
_LENGTH = re.compile(rb"\d{1,18}")
_LENIENT_END = re.compile(rb"\r?\n\r?\n")
_BARE_LF = re.compile(rb"(?<!\r)\n")
_FAILED = FAILED.encode()
_MEND = "; `upstream_http: lenient` on the route takes that"


class BrokenConnection(UpstreamUnreachable):
    """The connection ended, or spoke something else than HTTP, before the response was complete."""


class NotReached(BrokenConnection):
    """Envoy, which stands between us and the app, has made no connection to it: the app has got nothing."""


class OddResponse(ValueError):
    """An answer that can't be read as HTTP/1.1. Its text is for the operator; `failure` is what it amounts to."""

    failure: type[BrokenConnection] = BrokenConnection

    def __init__(self, why: str) -> None:
        super().__init__(f"not HTTP: {why}")


class NoAnswer(OddResponse):
    """What Envoy, between us and an app that speaks HTTP/2, says in place of an answer (`engines.front_bridges`)."""

    def __init__(self, told: str) -> None:
        flags, _, url = told.partition(" ")
        ValueError.__init__(self, f"{url}: {reason_of(flags) or flags}")
        if not NOT_REACHED.isdisjoint(flags.split(",")):
            self.failure = NotReached


@dataclass(frozen=True, slots=True)
class ResponseHead:
    """A head, and how long its body is (RFC 9112 §6.3).

    Attributes:
        version: "1.0" or "1.1".
        bodiless: no body follows, whatever the headers say: the answer to HEAD, 1xx, 204, 304.
        length: bytes of the body; None if it ends with its last chunk or, where it is not `chunked`, with the
            connection.
    """

    version: str
    status: int
    reason: bytes
    headers: Pairs
    bodiless: bool
    chunked: bool
    length: int | None

    def body(self, *, lenient: bool = False) -> "ResponseBody | None":
        """A reader of the body; None if it has none, or ends with the connection."""
        if self.bodiless or self.length == 0:
            return None
        if self.chunked:
            return LenientChunks(HEAD_LIMIT) if lenient else ChunkedBody(HEAD_LIMIT)
        return LengthBody(self.length) if self.length is not None else None

    @property
    def until_close(self) -> bool:
        """RFC 9112 §6.3: this body ends with the connection."""
        return not self.bodiless and not self.chunked and self.length is None


def split_head(data: bytes, *, lenient: bool) -> tuple[bytes, bytes] | None:
    """A head without its empty line, and what stands behind it; None if it is not whole yet."""
    if lenient:
        end = _LENIENT_END.search(data)
        return (data[: end.start()], data[end.end() :]) if end else None
    at = data.find(b"\r\n\r\n")
    return (data[:at], data[at + 4 :]) if at >= 0 else None


def has_bare_lf(data: bytes) -> bool:
    """Whether a head that is not whole yet has lines that end with LF alone: its end would never be found."""
    return _BARE_LF.search(data) is not None


def read_response_head(head: bytes, method: str, *, lenient: bool = False) -> ResponseHead:
    """What the head of an answer to a request with this method means. Raises OddResponse, of which NoAnswer is one."""
    # RFC 9112 §2.2 lets a recipient take LF for a line's end. With us the client or a cache may read CRLF only, and
    # then sees other headers than we did. So it must be wanted, and goes on as CRLF.
    if lenient:
        head = head.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    start, *lines = head.split(b"\r\n")
    line = _STATUS.fullmatch(start)
    if line is None:
        raise OddResponse("bare LF in the head" + _MEND if b"\n" in start else "bad status line")
    pairs: Pairs = []
    for text in lines:
        field = _FIELD.fullmatch(text)
        if field is None:  # a folded line among them (RFC 9112 §5.2): it may hide a header from us
            raise OddResponse("bare LF in the head" + _MEND if b"\n" in text else "bad header line")
        pairs.append((field[1], field[2].rstrip(b" \t")))
        if field[1].lower() == _FAILED:
            raise NoAnswer(field[2].decode("latin-1"))
    version, status = line[1].decode(), int(line[2])
    lengths = [value for name, value in pairs if name.lower() == b"content-length"]
    codings = [value.lower() for name, value in pairs if name.lower() == b"transfer-encoding"]
    # RFC 9112 §6.3, rule 1: what HEAD answers has the headers of a GET, Content-Length too, and no body.
    bodiless = method == "HEAD" or status < 200 or status in (204, 304)
    if codings not in ([], [b"chunked"]):
        raise OddResponse("a transfer coding beside chunked")  # would be lost on the way (RFC 9112 §6.1)
    length, pairs = _length(lengths, pairs, chunked=bool(codings), lenient=lenient)
    return ResponseHead(
        version=version,
        status=status,
        reason=line[3] or b"",
        headers=pairs,
        bodiless=bodiless,
        chunked=bool(codings),
        length=length,
    )


def _length(lengths: list[bytes], pairs: Pairs, *, chunked: bool, lenient: bool) -> tuple[int | None, Pairs]:
    # The table of RFC 9112 §6.3, rules 3 to 6. Two different lengths, or a length beside chunks, are how responses are
    # split (§11.1): the next answer on the connection would begin where the app's user wants it to.
    if not lengths:
        return None, pairs
    if not all(map(_LENGTH.fullmatch, lengths)) or len(set(lengths)) > 1:
        raise OddResponse("Content-Length that is no number, or several")
    if len(lengths) > 1 and not lenient:
        raise OddResponse("Content-Length twice" + _MEND)
    if chunked and not lenient:
        raise OddResponse("Content-Length beside Transfer-Encoding" + _MEND)
    others = [pair for pair in pairs if pair[0].lower() != b"content-length"]
    if chunked:
        return None, others  # RFC 9112 §6.3: Transfer-Encoding overrides, and Content-Length is not passed on
    return int(lengths[0]), pairs if len(lengths) == 1 else [*others, (b"Content-Length", lengths[0])]


def keeps_alive(head: ResponseHead) -> bool:
    """Whether the sender leaves the connection open behind this answer (RFC 9112 §9.3): HTTP/1.1 unless it says
    "close", HTTP/1.0 only if it says "keep-alive".
    """
    options = b",".join(value for name, value in head.headers if name.lower() == b"connection").lower()
    tokens = {option.strip() for option in options.split(b",")}
    return b"close" not in tokens and (head.version != "1.0" or b"keep-alive" in tokens)


class LenientChunks:
    """Chunked framing (RFC 9112 §7.1) as old apps write it: blanks behind the size, lines that end with LF alone.

    `most` limits the bytes of a size line and of all trailers. What is read leniently is written strictly again: the
    client gets chunks of ours.
    """

    _SIZE = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;[^\r\n]*)?\r?\n")
    _LINE = re.compile(rb"([^\r\n]*)\r?\n")
    _BETWEEN = re.compile(rb"\r?\n")

    def __init__(self, most: int) -> None:
        self._most = most
        self._data = b""
        self._left = 0
        self._state = "size"
        self.trailers: Pairs = []
        self.complete = False

    def feed(self, data: bytes) -> tuple[bytes, bytes]:
        """As ChunkedBody.feed. Raises BrokenBody."""
        data, self._data = self._data + data, b""
        pieces: list[bytes] = []
        at = 0
        while at < len(data) and not self.complete:
            at, enough = self._step(data, at, pieces)
            if not enough:
                break
        if self.complete:
            return b"".join(pieces), data[at:]
        self._data = data[at:]
        if len(self._data) > self._most:
            raise BrokenBody("chunk size or trailer too large")
        return b"".join(pieces), b""

    def _step(self, data: bytes, at: int, pieces: list[bytes]) -> tuple[int, bool]:
        """Read on from `at`; False if more must come first."""
        if self._state == "data":
            piece = data[at : at + self._left]
            pieces.append(piece)
            self._left -= len(piece)
            self._state = "data" if self._left else "between"
            return at + len(piece), True
        pattern = {"size": self._SIZE, "between": self._BETWEEN, "trailers": self._LINE}[self._state]
        found = pattern.match(data, at)
        if found is None:
            # A whole line that does not fit will not fit when more has come. Without one, wait, up to the limit.
            if b"\n" in data[at:] or (self._state == "between" and len(data) - at > 1):
                raise BrokenBody("bad chunk")
            return at, False
        if self._state == "size":
            self._left = int(found[1], 16)
            self._state = "data" if self._left else "trailers"
        elif self._state == "between":
            self._state = "size"
        elif not found[1]:
            self.complete = True
        else:
            self._trailer(found[1])
        return found.end(), True

    def _trailer(self, line: bytes) -> None:
        field = _FIELD.fullmatch(line)
        self.trailers += [(field[1], field[2].rstrip(b" \t"))] if field else []
        if sum(len(name) + len(value) for name, value in self.trailers) > self._most:
            raise BrokenBody("trailers too large")


ResponseBody = Body | LenientChunks
