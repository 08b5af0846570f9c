"""Whether a form was sent by a page of ours, in this browser (security rule 6): its origin, and its csrf token.

Sign-in forms have a token that we can recognise as ours, even when the cookie beside it is another. Several tabs that
open at once each get a cookie, of which the browser keeps the last, and signing in or out in one tab changes the cookie
under all forms that stand open. Such a form is no attack. It is taken when its token is one that we made not long ago
*and* the browser itself says that our own page sent it: no other site can make a browser say so.
"""

import hmac
import secrets
from collections.abc import Callable, Mapping, Sequence
from hashlib import sha256
from urllib.parse import urlsplit

from gateway.clock import Clock
from gateway.errors import RequestRefused
from gateway.i18n.text import N_
from gateway.portal.request import PortalRequest

GOOD_FOR = 12 * 3600.0
"""Seconds for which an old form is taken."""


class ForeignForm(RequestRefused):
    """The form was sent by a page that is not ours."""

    status = 403
    public = N_("This form was not sent from our own page. Please go back and try again.")


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
