"""Reads a request head that has nothing unusual about it. Whatever is unusual is not refused here: it is not ours.

Stricter than RFC 9112 on purpose: an empty answer only means that the ordinary path looks at the bytes.
"""

import re
from collections.abc import Sequence

from gateway.proxy.client_headers import Pair, Pairs

# A path that has one spelling and one reading (see gateway.target): no escapes, no empty or dotted segments, no ";".
# An empty query is not plain either: a Target does not tell "/?" from "/".
_LINE = re.compile(
    rb"(GET|HEAD) ((?:/(?!\.)[A-Za-z0-9\-._~!$&'()*+,=:@]+)*/?)(?:\?([!-\"$-~]+))? HTTP/1\.1", re.ASCII
)
_FIELD = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[ \t]*([^\x00-\x08\x0a-\x1f\x7f]*)")
# Framing, switching and negotiation of the connection: the ordinary path's business.
_ELSEWHERE = frozenset(
    {
        b"content-length",
        b"transfer-encoding",
        b"expect",
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


def split_head(data: bytes) -> tuple[re.Match[bytes], bytes] | None:
    """The matched request line (method, path, query) and the header block, if `data` is exactly one plain head."""
    end = data.find(b"\r\n")
    if end < 0 or data.find(b"\r\n\r\n") != len(data) - 4:
        return None
    line = _LINE.fullmatch(data, 0, end)
    return None if line is None or not line[2] else (line, data[end + 2 : -4])


def read_block(block: bytes, most: int) -> Pairs | None:
    """The header pairs of a plain request with at most `most` headers; None if it is not plain."""
    lines = block.split(b"\r\n")
    if len(lines) > most:
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
    if names.count(b"host") != 1 or not _ELSEWHERE.isdisjoint(names):
        return False
    connection = [value for name, value in pairs if name.lower() == b"connection"]
    return all(value.lower() == b"keep-alive" for value in connection)
