"""Makes the page where an app failed that Envoy, our front door, had asked by itself (`engines.front_failed`)."""

import json
import logging
from http import HTTPStatus

from gateway.errors import GatewayError, RequestRefused, UpstreamTimeout, UpstreamUnreachable
from gateway.portal.rendering.render import TRY_AGAIN, Pages
from gateway.portal.request import Reader
from gateway.proxy.http_date import http_date
from gateway.proxy.upstream_connection import serialize
from gateway.request.client_kind import wants_html
from gateway.request.hop import FAILED, reason_of
from gateway.server.fastpath.header_plans import HeaderPlan, headers_of

log = logging.getLogger("gateway.engine")
_STALLED = "The upload stopped for too long."  # translated where our own proxy says it


def reader_of(pages: Pages, plan: HeaderPlan) -> str:
    """Return who would read a page in answer to requests with these headers: the language, and "page" for a person."""
    headers = headers_of(plan.pairs)
    return f"{pages.readers.of_headers(headers).lang} {'page' if wants_html('GET', headers) else 'json'}"


def failure_page(pages: Pages, asked: str) -> bytes:
    """Return what Envoy is to answer, whole. `asked` is its word: status, flags, method, the request's id, and what a
    worker has noted of the request.
    """
    try:
        status, flags, method, name, note = asked.split(" ", 4)
        noted = json.loads(note)
        error = _error(int(status), f"{noted['upstream']}: {reason_of(flags) or flags}")
        lang, kind = noted["reader"].split(" ")
    except (ValueError, KeyError, TypeError, AttributeError):
        return b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"
    if error.status >= 500:
        log.warning("request %s: %s", name, error.detail)
    page = pages.of(noted["host"]).error(
        error.status,
        reader=Reader(lang),
        message=error.public,
        request_id=name,
        actions=[TRY_AGAIN] if error.status != 408 and method == "GET" else (),
        accepts_html=kind == "page" and method in ("GET", "HEAD", "POST"),
    )
    body = page.body if isinstance(page.body, bytes) else b""
    fields = [(name.encode(), value.encode()) for name, value in page.headers.items()]
    fields += [(b"Server", b"auth-gateway"), (b"X-Request-Id", name.encode()), (b"Date", http_date())]
    fields += [(FAILED.encode(), b"%d" % error.status), (b"Content-Length", b"%d" % len(body))]
    return serialize(b"HTTP/1.1 200 OK", fields) + body


def _error(status: int, detail: str) -> GatewayError:
    if status == HTTPStatus.GATEWAY_TIMEOUT:
        return UpstreamTimeout(detail)
    if status == HTTPStatus.REQUEST_TIMEOUT:
        return RequestRefused("upload stalled", status=status, public=_STALLED)
    return UpstreamUnreachable(detail)
