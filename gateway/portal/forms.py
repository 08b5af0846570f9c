"""The one way to a form: `await posted(request)`. A form of ours is small, has no field twice, and says who sent it.

It counts if a page of ours, in this browser, sent it (security rule 6): by its origin, and by its csrf token.
Sign-in forms have a token that we can recognise as ours, even when the cookie beside it is another. Several tabs that
open at once each get a cookie, of which the browser keeps the last, and signing in or out in one tab changes the cookie
under all forms that stand open. Such a form is no attack. It is taken when its token is one that we made not long ago
*and* the browser itself says that our own page sent it: no other site can make a browser say so.
"""

import hmac
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from aiohttp import web

from gateway.clock import Clock
from gateway.errors import RequestRefused
from gateway.i18n.text import N_
from gateway.portal.rendering.render import Pages
from gateway.portal.rendering.texts import STALE_FORM
from gateway.portal.request import PortalRequest
from gateway.request.small_body import read_small
from gateway.session import Sessions

GOOD_FOR = 12 * 3600.0
"""Seconds for which an old form is taken."""


class ForeignForm(RequestRefused):
    """The form was sent by a page that is not ours."""

    status = 403
    public = N_("This form was not sent from our own page. Please go back and try again.")


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
    request: PortalRequest, encoding: Encoding | None = None, *, tokens: "SignInTokens | None" = None
) -> PostedForm:
    """The form of a page of ours. Every view that takes one begins with this, and nothing else reads a form.

    `tokens` are given by sign-in pages, whose forms may be older than the cookie.

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


def _judged(request: PortalRequest, fields: Mapping[str, str], tokens: "SignInTokens | None") -> PostedForm:
    of_session = token_matches(fields.get("csrf_token", ""), request.visit.csrf)
    genuine = of_session if tokens is None else tokens.accepts(request, fields)
    return PostedForm(fields, genuine=genuine, of_session=of_session)


def _urlencoded(body: bytes) -> Mapping[str, str]:
    pairs = parse_qsl(body.decode("utf-8"), keep_blank_values=True, max_num_fields=40, errors="strict")
    form = dict(pairs)
    if len(form) != len(pairs):
        raise RequestRefused("form has duplicate fields")
    return form


URLENCODED = Encoding("application/x-www-form-urlencoded", 64 * 1024, _urlencoded)
"""A long address to come back to, with all its letters encoded, still fits."""


def check_origin(request: PortalRequest) -> None:
    """Browsers say where a request comes from (Origin, Sec-Fetch-Site); it must be us. Raises ForeignForm."""
    headers, own = request.http.headers, _origin_of_host(request)
    origin = headers.get("Origin")
    if origin == "null":
        # A policy of no referrers, often set by a proxy before us, hides the origin; the browser still says who sent
        # this (Fetch Standard, "append a request Origin header"), unless it is too old to.
        if headers.get("Sec-Fetch-Site") != "same-origin":
            raise ForeignForm("Origin is null, and Sec-Fetch-Site does not say same-origin")
        return
    if origin is not None:
        if origin not in (own, _origin_of_url(request.public_url)):
            raise ForeignForm(
                f"Origin {origin[:100]!r} is not {own}; behind a proxy, "
                "list it in server.trusted_proxies so that X-Forwarded-Proto and -Host count"
            )
        return
    if headers.get("Sec-Fetch-Site", "same-origin") not in ("same-origin", "none"):
        raise ForeignForm("Sec-Fetch-Site says cross-site")


def token_matches(token: str, csrf: str) -> bool:
    """Whether this is the csrf token of the cookie; a browser without one has none that matches."""
    return bool(csrf) and hmac.compare_digest(token.encode(), csrf.encode())


class SignInTokens:
    """Makes and recognises the tokens of sign-in forms. `keys` are those of the ring for this purpose, newest first."""

    def __init__(
        self,
        keys: Callable[[], Sequence[bytes]],
        clock: Clock,
        token: Callable[[int], str] = secrets.token_urlsafe,
    ) -> None:
        self._keys, self._clock, self._token = keys, clock, token

    def new(self) -> str:
        text = f"{self._token(16)}.{int(self._clock())}"
        return f"{text}.{_signed(self._keys()[0], text)}"

    def is_recent(self, token: str) -> bool:
        """Whether we made this token within GOOD_FOR."""
        text, _, signature = token.rpartition(".")
        issued = text.rpartition(".")[2]
        if not issued.isdecimal() or not issued.isascii() or len(token) > 200:
            return False
        given = signature.encode(errors="surrogatepass")
        ours = any(hmac.compare_digest(_signed(key, text).encode(), given) for key in self._keys())
        return ours and 0 <= self._clock() - int(issued) <= GOOD_FOR

    def accepts(self, request: PortalRequest, fields: Mapping[str, str]) -> bool:
        """Whether a sign-in form counts: its token is the cookie's, or an old one of ours that our own page sent.

        Without any cookie of ours it does not: signing in would lead nowhere.
        """
        token = fields.get("csrf_token", "")
        if token_matches(token, request.visit.csrf):
            return True
        return bool(request.visit.csrf) and self.is_recent(token) and sent_by_our_page(request)


def sent_by_our_page(request: PortalRequest) -> bool:
    """Whether the browser vouches for it. Stricter than `check_origin`: silence is not enough."""
    headers = request.http.headers
    site, origin = headers.get("Sec-Fetch-Site"), headers.get("Origin")
    if origin == "null":
        return site == "same-origin"
    return site in (None, "same-origin") and origin == _origin_of_host(request)


def _origin_of_host(request: PortalRequest) -> str:
    return f"{request.target.scheme}://{request.target.authority}"


def _origin_of_url(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def _signed(key: bytes, text: str) -> str:
    return hmac.new(key, text.encode(errors="surrogatepass"), sha256).hexdigest()[:32]


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
