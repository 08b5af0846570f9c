"""Answers bytes that could not be read as a request, and says what may be logged of them (security rules 7, 9)."""

import re
from collections.abc import Callable
from http import HTTPStatus

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError, LineTooLong

Page = Callable[[int], web.Response]
"""Makes the page of a status, for people."""

_STATUS = re.compile(r"^\d+, message:\s*")
_QUOTED = re.compile(r"[:'\"\n]|\bb(?=')")


def cause_of(error: BaseException | None) -> str:
    """Return why a request could not be read, without the bytes that parsers quote: they may hold a cookie, a token
    or a password.
    """
    if isinstance(error, LineTooLong):
        return "a line is too long"
    message = _STATUS.sub("", str(error or ""))
    return _QUOTED.split(message, maxsplit=1)[0].strip() or type(error).__name__


def status_of(error: BaseException | None, status: int) -> int:
    """Return 431 for a head that was too large (RFC 6585 §5), else `status`."""
    too_many = isinstance(error, HttpProcessingError) and "too many" in error.message.lower()
    return 431 if too_many or isinstance(error, LineTooLong) else status


def answer(status: int, page: Page | None) -> web.Response:
    """Make the answer. A head that is too large may come from a browser with too many cookies, so it gets a page;
    others one line.
    """
    if status == HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE and page is not None:
        return page(status)
    return web.Response(
        status=status, text=f"{status} {HTTPStatus(status).phrase}\n", headers={"Cache-Control": "no-store"}
    )


def as_bytes(response: web.Response, *, head_only: bool = False) -> bytes:
    """Return the response as it goes over a connection that is closed behind it; `head_only`: to a HEAD request."""
    body = response.body if isinstance(response.body, bytes) else b""
    fields = {**response.headers, "Connection": "close", "Content-Length": str(len(body))}
    lines = [f"HTTP/1.1 {response.status} {response.reason}", *(f"{k}: {v}" for k, v in fields.items())]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + (b"" if head_only else body)
