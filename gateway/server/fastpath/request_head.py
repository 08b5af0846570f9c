"""Reads a request head that has nothing unusual about it. Whatever is unusual is not refused here: it is not ours.

Stricter than RFC 9112 on purpose: an empty answer only means that the ordinary path looks at the bytes.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from gateway.proxy.client_headers import Pair, Pairs
from gateway.proxy.upstreams import PreparedRoute

# A path with one spelling and one reading (gateway.request.target): no escapes, no empty or dotted segments, no ";".
# An empty query is not plain either: a Target does not tell "/?" from "/".
PLAIN_PATH = rb"(?:/(?!\.)[A-Za-z0-9\-._~!$&'()*+,=:@]+)*/?"
PLAIN_QUERY = rb"[!-\"$-~]+"
# RFC 9112 §3: a method, one blank, the target in origin-form (§3.2.1), one blank, the version.
_LINE = re.compile(
    rb"(GET|HEAD|POST|PUT|PATCH|DELETE) (" + PLAIN_PATH + rb")(?:\?(" + PLAIN_QUERY + rb"))? HTTP/1\.1",
    re.ASCII,
)
_FIELD = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[ \t]*([^\x00-\x08\x0a-\x1f\x7f]*)")
# Taken out before the block is looked up, since its other headers come again and these don't. In another spelling they
# stay where they are, and the request is not plain: a search that knows all spellings costs as much as the rest.
_LENGTH = re.compile(rb"([0-9]{1,18})[ \t]*(?=\r\n|\Z)")
_CHUNKED = re.compile(rb"(?i:chunked)[ \t]*(?=\r\n|\Z)")
_ID = re.compile(rb"([A-Za-z0-9._:=+/@-]{1,128})(?=\r\n|\Z)")
# Framing, switching and negotiation of the connection: the ordinary path's business.
_ELSEWHERE = frozenset(
    {
        b"content-length",
        b"transfer-encoding",
        b"upgrade",
        b"te",
        b"trailer",
        b"keep-alive",
        b"proxy-connection",
        b"proxy-authorization",
        b"http2-settings",
        b"destination",
        b"if",
    }
)
# Twice, they are for the ordinary path to refuse (see gateway.request.framing).
_ONCE = (
    b"host",
    b"content-type",
    b"content-range",
    b"content-location",
    b"etag",
    b"max-forwards",
    b"server",
    b"user-agent",
    b"expect",
    b"authorization",
)
# A body in them has no meaning, and is a way to smuggle requests (RFC 9110 §9.3.1): with framing they are not plain.
_BODILESS = ("GET", "HEAD")
_LINES, _LONGEST_LINE = 2048, 256


@dataclass(frozen=True, slots=True)
class RequestLine:
    """A plain request line. `asked` is it without the version."""

    asked: bytes
    method: str
    path: str
    query: str
    is_ours: bool
    """Whether the path is the gateway's own, or looks like it."""
    sites: dict[str, PreparedRoute | None] = field(default_factory=dict)
    """By host, the route with an app behind us that serves it; None where there is none that may be taken."""


class RequestLines:
    """Request lines as they were read: of an app the same things are asked for again and again."""

    def __init__(self, is_ours: Callable[[str], bool]) -> None:
        """`is_ours` says whether a path is the gateway's own."""
        self._is_ours = is_ours
        self._known: dict[bytes, RequestLine] = {}

    def read(self, line: bytes) -> RequestLine | None:
        """Return what a line asks for, if it is plain."""
        known = self._known.get(line)
        if known is None and (known := self._read(line)) is not None and len(line) <= _LONGEST_LINE:
            # They come from outside: few are kept, and none that are long.
            if len(self._known) >= _LINES:
                self._known.clear()
            self._known[line] = known
        return known

    def _read(self, line: bytes) -> RequestLine | None:
        match = _LINE.fullmatch(line)
        if match is None or not match[2]:
            return None
        path = match[2].decode()
        return RequestLine(
            asked=line[: -len(" HTTP/1.1")],
            method=match[1].decode(),
            path=path,
            query=(match[3] or b"").decode(),
            is_ours=self._is_ours(path),
        )


@dataclass(slots=True)
class FastRequestHead:
    """A plain request: its line, and `block`, its headers without framing and without `named`, what X-Request-Id says,
    "" if it stands in the block or nowhere.

    `length` is None where no Content-Length stands; neither that nor `chunked` means that it has no body.
    """

    line: RequestLine
    block: bytes
    """It begins with the end of the request line."""
    named: str = ""
    length: int | None = None
    chunked: bool = False

    def find(self, name: str, value: re.Pattern[bytes]) -> re.Match[bytes] | None:
        """Find a header's value, if the header is there in one of its two usual spellings and the value fits."""
        for start in _SPELLINGS[name]:
            at = self.block.find(start)
            if at >= 0:
                return value.match(self.block, at + len(start))
        return None

    def take_out(self, name: str, value: re.Pattern[bytes]) -> re.Match[bytes] | None:
        """The same, and without the header afterwards."""
        found = self.find(name, value)
        if found is not None:
            self.block = self.block[: found.start() - len(name) - 4] + self.block[found.end() :]
        return found


_SPELLINGS = {
    name: (f"\r\n{name}: ".encode(), f"\r\n{name.lower()}: ".encode())
    for name in ("X-Request-Id", "Content-Length", "Transfer-Encoding", "X-Original-URL", "X-Forwarded-Uri")
}


def split_head(data: bytes, lines: RequestLines) -> FastRequestHead | None:
    """What `data`, exactly one head with its empty line, asks for, if it is plain; `lines` knows request lines."""
    end = data.find(b"\r\n")
    line = lines.read(data[:end])
    if line is None:
        return None
    head = FastRequestHead(line, data[end:-4])
    # A proxy's name for the request: another one each time, and no app gets it from a client.
    if b"equest-" in head.block and (name := head.take_out("X-Request-Id", _ID)):
        head.named = name[1].decode()
    # A second framing header is still in the block, which is not plain then (RFC 9112 §6.3).
    if line.method not in _BODILESS:
        if length := head.take_out("Content-Length", _LENGTH):
            head.length = int(length[1])
        elif head.take_out("Transfer-Encoding", _CHUNKED):
            head.chunked = True
    return head


def read_block(block: bytes, most: int) -> Pairs | None:
    """The header pairs of a plain request with at most `most` headers; None if it is not plain."""
    lines = block.split(b"\r\n")[1:]
    if len(lines) > most - 2:  # the framing header and the name may have stood there, too
        return None
    pairs: Pairs = []
    for text in lines:
        match = _FIELD.fullmatch(text)
        if match is None:
            return None
        pairs.append((match[1], match[2].rstrip(b" \t")))
    return pairs if _is_plain(pairs) else None


def _is_plain(pairs: Sequence[Pair]) -> bool:
    names = [name.lower() for name, _ in pairs]
    if b"host" not in names or any(names.count(name) > 1 for name in _ONCE):
        return False
    if not _ELSEWHERE.isdisjoint(names):
        return False
    expect = [value for name, value in pairs if name.lower() == b"expect"]
    if any(value.lower() != b"100-continue" for value in expect):
        return False
    # Connection may also name headers to be removed (RFC 9110 §7.6.1): the ordinary path does that.
    connection = [value for name, value in pairs if name.lower() == b"connection"]
    return all(value.lower() in (b"keep-alive", b"close") for value in connection)
