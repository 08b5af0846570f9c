"""The head of an upstream's response as the fast path sends it on, read and rewritten as on the ordinary path."""

from dataclasses import dataclass

from gateway.proxy.client_response import framed, has_date
from gateway.proxy.http_date import http_date
from gateway.proxy.response_headers import Rewriter
from gateway.proxy.upstream_connection import serialize
from gateway.proxy.upstream_head import ResponseHead, keeps_alive, read_response_head


@dataclass(frozen=True, slots=True)
class FastResponseHead:
    """A head that was read, and the bytes that a client gets of it.

    `start` is ready for the client but for Date, Connection and the empty line; `dated` says that it holds the app's
    Date. `reusable`: the upstream connection may serve another request (RFC 9112 §9.3).
    """

    head: ResponseHead
    start: bytes
    dated: bool
    reusable: bool
    whole: int
    """Bytes of the body, -1 if the head does not tell how many, and for 1xx, behind which another head comes."""

    @property
    def chunked(self) -> bool:
        """Whether the client gets chunks: for a body that comes in such, or ends with the connection."""
        return not self.head.bodiless and self.head.length is None

    def public(self, *, closes: bool) -> bytes:
        """The head for the client; `closes` says that no other request is served behind it."""
        out = self.start if self.dated else self.start + b"Date: " + http_date() + b"\r\n"
        return out + (b"Connection: close\r\n\r\n" if closes else b"\r\n")


def read_answer(data: bytes, method: str, rewriter: Rewriter, *, lenient: bool = False) -> FastResponseHead:
    """What a response head (without its empty line) means. Raises OddResponse."""
    head = read_response_head(data, method, lenient=lenient)
    # Clients of the fast path speak HTTP/1.1, so a body that has no length can always go in chunks (RFC 9112 §7.1). 1xx
    # heads have no body and so no framing.
    pairs = rewriter.headers(head.headers)
    if head.status >= 200:
        pairs = framed(head, pairs, chunked=not head.bodiless and head.length is None)
    start = serialize(b"HTTP/1.1 %d %b" % (head.status, head.reason), pairs)[:-2]
    told = head.status >= 200 and (head.bodiless or (head.length is not None and not head.chunked))
    return FastResponseHead(
        head=head,
        start=start,
        dated=has_date(pairs),
        reusable=keeps_alive(head) and not head.until_close,
        whole=(0 if head.bodiless else head.length or 0) if told else -1,
    )


def chunk(data: bytes) -> bytes:
    """One chunk of a chunked body (RFC 9112 §7.1). Empty data would make the last one."""
    return b"%x\r\n%b\r\n" % (len(data), data)
