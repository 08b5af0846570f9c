"""The one way to a form: `await posted(request)`. A form of ours is small, has no field twice, and says who sent it."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

from aiohttp import web

from gateway.errors import RequestRefused
from gateway.portal.csrf import ForeignForm, SignInTokens, check_origin, token_matches
from gateway.portal.rendering.render import Pages
from gateway.portal.rendering.texts import STALE_FORM
from gateway.portal.request import PortalRequest
from gateway.request.small_body import read_small
from gateway.session import Sessions


class PostedForm(Mapping[str, str]):
    """The fields of a form that a page of ours sent: reading one raises ForeignForm unless the form is genuine.

    So a view that forgets to ask refuses, it does not act. What such a view may look at is `unproven`.
    """

    def __init__(self, fields: Mapping[str, str], *, genuine: bool, of_session: bool) -> None:
        self.unproven = fields
        """The same fields, whoever chose them: to show a page again, never to act on."""
        self.genuine = genuine
        """Whether a page of ours, in this browser, sent the form."""
        self.of_session = of_session
        """Whether it carries the csrf token that the browser's cookie has now. Sign-in forms may have an older one."""

    def __getitem__(self, name: str) -> str:
        return self._proven()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._proven())

    def __len__(self) -> int:
        return len(self._proven())

    def _proven(self) -> Mapping[str, str]:
        if not self.genuine:
            raise ForeignForm("form token does not match", public=STALE_FORM)
        return self.unproven


@dataclass(frozen=True, slots=True)
class Encoding:
    """How a form's fields are written: content type, most bytes, and what reads them (raises ValueError)."""

    content_type: str
    largest: int
    parse: Callable[[bytes], Mapping[str, str]]


async def posted(
    request: PortalRequest, encoding: Encoding | None = None, *, tokens: SignInTokens | None = None
) -> PostedForm:
    """The form of a page of ours. Every view that takes one begins with this, and nothing else reads a form.

    `tokens` are given by sign-in pages, whose forms may be older than the cookie (gateway/portal/csrf.py).

    Raises ForeignForm where the browser says that another site sent it, RequestRefused for what our pages don't send:
    415 another content type, 413 too large, 408 too slow, 400 no UTF-8, too many fields or one that comes twice.
    """
    check_origin(request)
    return _judged(request, await posted_by_anyone(request, encoding), tokens)


async def posted_by_anyone(request: PortalRequest, encoding: Encoding | None = None) -> Mapping[str, str]:
    """The fields of a form that programs or other sites send on purpose; the view knows its sender in another way.

    Raises RequestRefused as `posted` does.
    """
    expected = encoding or URLENCODED
    if request.http.content_type != expected.content_type:
        raise RequestRefused(f"content type {request.http.content_type[:60]!r}", status=415)
    body = await read_small(request.http, expected.largest)
    try:
        return expected.parse(body)
    except ValueError:
        raise RequestRefused("form is not urlencoded UTF-8") from None


def confirmed(request: PortalRequest, fields: Mapping[str, str]) -> PostedForm:
    """The same fields, as the form of a page of ours: where one address takes both. Raises ForeignForm."""
    check_origin(request)
    return _judged(request, fields, None)


def _judged(request: PortalRequest, fields: Mapping[str, str], tokens: SignInTokens | None) -> PostedForm:
    of_session = token_matches(fields.get("csrf_token", ""), request.visit.csrf)
    genuine = of_session if tokens is None else tokens.accepts(request, fields)
    return PostedForm(fields, genuine=genuine, of_session=of_session)


def _urlencoded(body: bytes) -> Mapping[str, str]:
    pairs = parse_qsl(body.decode("utf-8"), keep_blank_values=True, max_num_fields=40, errors="strict")
    form = dict(pairs)
    if len(form) != len(pairs):
        raise RequestRefused("form has duplicate fields")
    return form


URLENCODED = Encoding("application/x-www-form-urlencoded", 32 * 1024, _urlencoded)


class VisitorForms:
    """Pages with a form for people who are not signed in: they get a cookie of ours with the token of the form."""

    def __init__(self, sessions: Sessions, pages: Pages) -> None:
        self._sessions, self._pages = sessions, pages

    async def show(
        self, request: PortalRequest, name: str, status: int = 200, **context: Any
    ) -> web.Response:
        """The page with a csrf token, and a cookie for it if the visitor has none. `context` is the template's."""
        csrf = request.visit.csrf or self._sessions.new_csrf()
        response = self._pages.render(
            name, status, reader=request.reader, request_id=request.request_id, csrf_token=csrf, **context
        )
        # The address of this page may hold a token: no app on the same host may read it from Referer either.
        response.headers["Referrer-Policy"] = "strict-origin"
        if not request.visit.csrf:
            await self._sessions.attach(request.http, response, None, csrf=csrf)
        return response
