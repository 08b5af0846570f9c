"""The csrf token of sign-in forms: one that we can recognise as ours, even when the cookie beside it is another.

Several tabs that open at once each get a cookie, of which the browser keeps the last, and signing in or out in one tab
changes the cookie under all forms that stand open. Such a form is no attack. It is taken when its token is one that we
made not long ago *and* the browser itself says that our own page sent it: no other site can make a browser say so.
"""

import hmac
import secrets
from collections.abc import Callable, Mapping, Sequence
from hashlib import sha256

from aiohttp import web

from gateway.clock import Clock
from gateway.model import Target
from gateway.portal.forms import token_matches
from gateway.portal.request import PortalRequest

GOOD_FOR = 12 * 3600.0
"""Seconds for which an old form is taken."""


class SignInTokens:
    """`keys` are those of the ring for this purpose, newest first."""

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

    def accepts(self, ask: PortalRequest, form: Mapping[str, str]) -> bool:
        """Whether a sign-in form counts: its token is the cookie's, or an old one of ours that our own page sent.

        Without any cookie of ours it does not: signing in would lead nowhere.
        """
        if token_matches(form, ask.visit.csrf):
            return True
        old = self.is_recent(form.get("csrf_token", ""))
        return bool(ask.visit.csrf) and old and sent_by_our_page(ask.request, ask.here)


def sent_by_our_page(request: web.BaseRequest, here: Target) -> bool:
    """Whether the browser vouches for it. Stricter than `check_origin`: silence is not enough."""
    if request.headers.get("Sec-Fetch-Site", "same-origin") != "same-origin":
        return False
    return request.headers.get("Origin") == f"{here.scheme}://{here.authority}"


def _signed(key: bytes, text: str) -> str:
    return hmac.new(key, text.encode(errors="surrogatepass"), sha256).hexdigest()[:32]
