"""The page of a request that failed on the fast path, byte for byte that of the ordinary one."""

from http import HTTPStatus

from gateway.errors import GatewayError
from gateway.portal.rendering.render import TRY_AGAIN, Pages
from gateway.proxy.http_date import http_date
from gateway.proxy.upstream_connection import serialize
from gateway.request.client_kind import wants_html
from gateway.server.fastpath.header_plans import headers_of
from gateway.server.fastpath.wanted import Wanted


def error_page(pages: Pages, wanted: Wanted, error: GatewayError, *, closes: bool) -> bytes:
    """Return the whole answer, head and body, to a request that failed. `closes`: no other follows it."""
    headers = headers_of(wanted.allowed.plan.pairs)
    passing = error.status in (502, 503, 504) and wanted.line.method == "GET"
    page = pages.of(wanted.allowed.plan.target.host).error(
        error.status,
        reader=pages.readers.of_headers(headers),
        message=error.public,
        request_id=wanted.name,
        actions=[TRY_AGAIN] if passing else (),
        accepts_html=wants_html(wanted.line.method, headers),
    )
    body = page.body if isinstance(page.body, bytes) else b""
    fields = [(name.encode(), value.encode()) for name, value in page.headers.items()]
    fields += [(b"Server", b"auth-gateway"), (b"X-Request-Id", wanted.name.encode())]
    fields += [(b"Content-Length", b"%d" % len(body)), (b"Date", http_date())]
    if closes:
        fields.append((b"Connection", b"close"))
    reason = HTTPStatus(error.status).phrase.encode()
    head = serialize(b"HTTP/1.1 %d %b" % (error.status, reason), fields)
    return head if wanted.line.method == "HEAD" else head + body
