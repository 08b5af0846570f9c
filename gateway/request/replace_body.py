"""Gives a request another body, byte for byte what handlers downstream then read."""

from aiohttp import web
from aiohttp.base_protocol import BaseProtocol
from aiohttp.streams import StreamReader
from multidict import CIMultiDict, CIMultiDictProxy

_FRAMING = frozenset({b"content-length", b"content-type", b"transfer-encoding", b"expect"})


def with_body(request: web.BaseRequest, body: bytes, content_type: str) -> web.BaseRequest:
    """Return the request with another body. It must have been read to its end, so that its connection is ready for
    the next one.
    """
    # The old body's framing, type and expectation say nothing of the new one. Left beside it they would frame it twice.
    raw = [pair for pair in request.raw_headers if pair[0].lower() not in _FRAMING]
    raw.append((b"Content-Length", b"%d" % len(body)))
    if content_type:
        raw.append((b"Content-Type", content_type.encode("utf-8", "surrogateescape")))
    headers = CIMultiDict(
        (name.decode("utf-8", "surrogateescape"), value.decode("utf-8", "surrogateescape"))
        for name, value in raw
    )
    message = request._message._replace(
        headers=CIMultiDictProxy(headers), raw_headers=tuple(raw), chunked=False
    )
    return request.__class__(
        message,
        _reader(body, request),
        request._protocol,
        request._payload_writer,
        request._task,
        request._loop,
    )


def _reader(body: bytes, request: web.BaseRequest) -> StreamReader:
    """On a protocol of its own: holding back the client's connection would hold back nothing of this body."""
    reader = StreamReader(BaseProtocol(request._loop), limit=2**16, loop=request._loop)
    if body:
        reader.feed_data(body)
    reader.feed_eof()
    return reader
