"""Where a client's request begins and ends: finds and reads its head, and says how long its body is. Strictly: what
could be taken for two things is refused (rule 7).

It knows bytes alone: no route, no socket. Whoever owns the connection turns a `Malformed` into an answer and closes.
"""

import re
from dataclasses import dataclass
from http import HTTPStatus

from gateway.request.chunked_body import ChunkedBody

Pair = tuple[bytes, bytes]

# RFC 9112 §3: one space between the three parts, nothing before or behind. RFC 9110 §9.1: any token is a method.
# Small letters are refused as nginx does: a method counts as it stands, and some apps would read "delete" as DELETE.
_LINE = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Z]{1,32}) ([\x21-\x7e\x80-\xff]+) HTTP/(\d)\.(\d)")
# RFC 9110 §5.1 and §5.5: a token, and a value without control characters. No blank before the colon (RFC 9112 §5.1): a
# reader that drops it, and one that makes it part of the name, would see two different headers.
_FIELD = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[ \t]*([^\x00-\x08\x0a-\x1f\x7f]*)")
# A line ends with CR LF and with nothing else (RFC 9112 §2.2 lets us take a bare LF; the next reader may not).
_BARE = re.compile(rb"(?<!\r)\n|\r(?=[^\n])|[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_NOT_ASCII = re.compile(rb"[\x80-\xff]")
_END = b"\r\n\r\n"
# Digits alone (RFC 9110 §8.6). A "+5", "0x5" or "5, 5" is a length to some readers and none to others.
_LENGTH = re.compile(rb"\d{1,18}")
# Said twice, they could mean two things to two readers (RFC 9110 §5.3 allows lists only where the field is one).
_ONCE = frozenset(
    {
        b"content-length",
        b"content-location",
        b"content-range",
        b"content-type",
        b"etag",
        b"host",
        b"max-forwards",
        b"server",
        b"transfer-encoding",
        b"user-agent",
    }
)


class Malformed(Exception):
    """A request that can't be read. `status` is the answer, `cause` the log's word: never the bytes themselves."""

    def __init__(self, status: int, cause: str) -> None:
        super().__init__(cause)
        self.status, self.cause = status, cause


@dataclass(frozen=True, slots=True)
class RequestHead:
    """A request line and its headers, as sent but for the blanks around values.

    Attributes:
        target: the request line's, in whichever form of RFC 9112 §3.2; bytes beyond ASCII are escaped.
        version: (1, 0) or (1, 1).
        length: bytes of the body by Content-Length, None without it.
        stays_open: whether the client wants the connection to go on (RFC 9112 §9.3).
        expects: whether it waits for 100 Continue before it sends the body (RFC 9110 §10.1.1).
    """

    method: str
    target: str
    version: tuple[int, int]
    headers: tuple[Pair, ...]
    length: int | None
    chunked: bool
    stays_open: bool
    expects: bool

    @property
    def has_body(self) -> bool:
        """Whether a body follows. A request without framing has none (RFC 9112 §6.3, rule 7)."""
        return self.chunked or bool(self.length)


def read_head(data: bytes, most: int) -> RequestHead:
    """Read a head, `data` being all of it without its empty line; at most `most` headers are allowed.

    Raises Malformed: 400, 431 for too many headers, 505 for a version that is not 1.x.
    """
    start, *lines = data.split(b"\r\n")
    line = _LINE.fullmatch(start)
    if line is None:
        raise Malformed(400, "bad request line")
    version = (int(line[3]), int(line[4]))
    if version[0] != 1:
        # RFC 9110 §15.6.6. HTTP/2 is never spoken in lines of text: its preface is one of these, too.
        raise Malformed(505, "unknown version of HTTP")
    if len(lines) > most:
        raise Malformed(431, "too many headers")
    pairs = _read_fields(lines)
    if line[2] == b"*" and line[1] != b"OPTIONS":
        raise Malformed(400, "asterisk-form for another method than OPTIONS")  # RFC 9112 §3.2.4
    return _framed(line[1].decode(), _ascii(line[2]), (1, min(version[1], 1)), pairs)


def _read_fields(lines: list[bytes]) -> tuple[Pair, ...]:
    pairs: list[Pair] = []
    for text in lines:
        field = _FIELD.fullmatch(text)
        if field is None:  # among them: a folded line (RFC 9112 §5.2), a blank before the colon (§5.1)
            raise Malformed(400, "bad header line")
        pairs.append((field[1], field[2].rstrip(b" \t")))
    return tuple(pairs)


def _framed(method: str, target: str, version: tuple[int, int], pairs: tuple[Pair, ...]) -> RequestHead:
    """RFC 9112 §6.3, with everything refused that it calls an error or leaves to the reader's taste."""
    length: int | None = None
    chunked = expects = False
    options: set[bytes] = set()
    once: set[bytes] = set()
    for raw, value in pairs:
        name = raw.lower()
        if name in _ONCE:
            if name in once:
                raise Malformed(400, "a header that may stand once stands twice")
            once.add(name)
        if name == b"content-length":
            if not _LENGTH.fullmatch(value):
                raise Malformed(400, "bad Content-Length")
            length = int(value)
        elif name == b"transfer-encoding":
            # A coding below chunked would be lost on the way: we frame the body anew (§6.1). HTTP/1.0 has none.
            if value.lower() != b"chunked" or version == (1, 0):
                raise Malformed(400, "bad Transfer-Encoding")
            chunked = True
        elif name == b"connection":
            options.update(option.strip().lower() for option in value.split(b","))
        elif name == b"expect":
            expects = expects or (value.lower() == b"100-continue" and version >= (1, 1))
    # The classic of request smuggling (RFC 9112 §11.2): one reader goes by the length, the next by the chunks, and what
    # one takes for the body is a request to the other. §6.1 leaves us to refuse it, which is the one safe reading.
    if chunked and length is not None:
        raise Malformed(400, "Content-Length beside Transfer-Encoding")
    open_ = b"close" not in options and (version >= (1, 1) or b"keep-alive" in options)
    return RequestHead(
        method=method,
        target=target,
        version=version,
        headers=pairs,
        length=length,
        chunked=chunked,
        stays_open=open_,
        expects=expects,
    )


def _ascii(target: bytes) -> str:
    """Raw bytes beyond ASCII as escapes: rules and app then see the one spelling that a URI has (RFC 3986 §2.1)."""
    return _NOT_ASCII.sub(lambda found: b"%%%02X" % found[0][0], target).decode("ascii")


class LengthBody:
    """A body of `left` bytes."""

    def __init__(self, left: int) -> None:
        self.left = left

    @property
    def complete(self) -> bool:
        """Whether all of the body has come."""
        return self.left == 0

    def feed(self, data: bytes) -> tuple[bytes, bytes]:
        """Return the part of `data` that belongs to the body, and what stands behind it."""
        if len(data) <= self.left:
            self.left -= len(data)
            return data, b""
        piece, rest = data[: self.left], data[self.left :]
        self.left = 0
        return piece, rest


Body = LengthBody | ChunkedBody


def body_of(head: RequestHead, most: int) -> Body | None:
    """Return the reader of a request's body, None if it has none; `most` is in bytes, as for ChunkedBody."""
    if head.chunked:
        return ChunkedBody(most)
    return LengthBody(head.length) if head.length else None


def check_begun(data: bytes | bytearray, seen: int) -> None:
    """Refuse at once what can't become a head, instead of waiting for its end; `seen` bytes were looked at before.

    Raises Malformed.
    """
    if _BARE.search(data, max(0, seen - 1)):
        raise Malformed(400, "bare CR, LF or a control character in the head")


class Inbox(bytearray):
    """Holds what a client has sent and nobody has taken yet, and finds the head of the next request in it.

    `most` is the size of the largest head, in bytes.
    """

    __slots__ = ("_checked", "_most")

    def __init__(self, most: int) -> None:
        super().__init__()
        self._most = most
        self._checked = 0  # how much was looked at for the end of a head

    @property
    def full(self) -> bool:
        """Whether more waits than the largest head has: nothing further should be read from the client."""
        return len(self) > self._most

    def add(self, data: bytes) -> None:
        self.extend(data)

    def take_all(self) -> bytes:
        """Return all that waits, and forget it."""
        data = bytes(self)
        self.clear()
        return data

    def clear(self) -> None:
        super().clear()
        self._checked = 0

    def begins(self) -> bool:
        """Whether a head has begun since this was last asked."""
        return not self._checked and bool(self)

    def next_head(self) -> bytes | None:
        """Take out the head of the next request, with its empty line; None if it is not whole yet.

        Raises Malformed for what can't become one.
        """
        data, at = self, 0
        while data.startswith(b"\r\n", at):
            at += 2  # RFC 9112 §2.2: empty lines before a request line mean nothing
        if at:
            del data[:at]
            self._checked = 0
        # What was looked at is not searched again, but for three bytes in which the end could have begun: a head that
        # comes byte by byte would else cost the square of its length.
        end = data.find(_END, max(0, self._checked - 3))
        if 0 <= end <= self._most - len(_END):
            head = bytes(data[: end + len(_END)])
            del data[: len(head)]
            self._checked = 0
            return head
        if self.full or end >= 0:
            # 414 is about the request line alone, 431 about the fields (RFC 9112 §3, RFC 6585 §5).
            in_line = data.find(b"\r\n", 0, self._most) < 0
            status = (
                HTTPStatus.REQUEST_URI_TOO_LONG if in_line else HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
            )
            raise Malformed(status, "head is too large")
        check_begun(data, self._checked)
        return None

    def look_no_more(self) -> None:
        """What is here now has been looked at."""
        self._checked = len(self)
