"""What a view of the portal is asked, read once (the request, and who reads), and the redirect that most answer."""

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

from aiohttp import web
from multidict import CIMultiDictProxy

from gateway.authn.login_origin import LoginOrigin
from gateway.config.schema import Branding
from gateway.model import Target
from gateway.request.target import agent_of, cookie_header, cookie_value
from gateway.session import Visit
from gateway.session.cookie import cookie_flags

LANGUAGE_COOKIE = "auth_lang"
_KEPT = 365 * 86400
_MOST_RANGES = 20
"""Of Accept-Language that are looked at; a header may hold thousands."""
_WRITTEN = {
    "zh": "zh-Hans",
    "zh-hk": "zh-Hant",
    "zh-mo": "zh-Hant",
    "zh-tw": "zh-Hant",
    "yue": "zh-Hant",
    "pt": "pt-BR",
}
"""Ranges as browsers send them -> the catalogue that their readers read. Browsers name the place, not the script; by
lookup alone `zh-TW` would become `zh`, and that is written in the other one. For `pt-PT` the Brazilian is the nearest.
"""


@dataclass(frozen=True, slots=True)
class Reader:
    """Who reads a page, and in which language. `switch` is the query that shows the same page again, to which a
    language is added.

    None where there is no such page: the answer to a form can't be asked for a second time.
    """

    lang: str
    switch: str | None = None


PROGRAM = Reader("en")
"""What is not read by people is in English."""


class Readers:
    """Finds the language of a reader. `path` is where our pages are, and so where the cookie is sent."""

    def __init__(self, branding: Branding, *, path: str, secure: bool) -> None:
        self.offered: Sequence[str] = tuple(dict.fromkeys((*branding.languages, branding.language)))
        self._otherwise, self._path, self._secure = branding.language, path, secure

    def of(self, request: web.BaseRequest) -> Reader:
        """For an answer at any address."""
        return self.of_headers(request.headers)

    def of_headers(self, headers: CIMultiDictProxy[str]) -> Reader:
        """Return who reads the answer: by the language chosen, else by Accept-Language (RFC 9110 §12.5.4)."""
        cookies = cookie_header(headers)
        chosen = cookie_value(cookies, LANGUAGE_COOKIE)
        if chosen in self.offered:
            return Reader(chosen)
        accepted = ",".join(headers.getall("Accept-Language", ()))
        return Reader(preferred(accepted, self.offered) or self._otherwise)

    def here(self, request: web.BaseRequest) -> Reader:
        """For a page of ours, whose address may ask for a language."""
        lang = self._asked(request) or self.of(request).lang
        if request.method not in ("GET", "HEAD"):
            return Reader(lang)
        kept = [(name, value) for name, value in request.query.items() if name != "lang"]
        return Reader(lang, urlencode(kept))

    def remember(self, request: web.BaseRequest, response: web.StreamResponse) -> None:
        """Keep what the address asked for."""
        lang = self._asked(request)
        if lang is not None:
            flags = cookie_flags(secure=self._secure, path=self._path)
            response.set_cookie(LANGUAGE_COOKIE, lang, max_age=_KEPT, **flags)

    def _asked(self, request: web.BaseRequest) -> str | None:
        lang = request.query.get("lang")
        return lang if lang in self.offered else None


def preferred(accept_language: str, offered: Sequence[str]) -> str | None:
    """The language of `offered` that Accept-Language (RFC 9110 §12.5.4) wants most, by lookup (RFC 4647 §3.4).

    None if none of them is wanted.
    """
    known = {tag.casefold(): tag for tag in offered}
    ranges = sorted(_ranges(accept_language), key=lambda one: -one[1])
    for wanted, _quality in ranges:
        for tag in _shorter_and_shorter(wanted):
            for found in (tag, _WRITTEN.get(tag, "").casefold()):
                if found in known:
                    return known[found]
    return None


def _ranges(header: str) -> Iterator[tuple[str, float]]:
    """Language ranges and how much each is wanted; what is refused (q=0) or unreadable is left out."""
    for part in header.split(",")[:_MOST_RANGES]:
        tag, _, parameter = part.strip().casefold().partition(";")
        name, _, value = parameter.strip().partition("=")
        try:
            quality = float(value) if name.strip() == "q" else 1.0
        except ValueError:
            continue
        if 0 < quality <= 1:
            yield tag.strip(), quality


def _shorter_and_shorter(tag: str) -> Iterator[str]:
    """zh-Hant-TW, zh-Hant, zh. A single letter goes together with what follows it."""
    parts = tag.split("-")
    while parts:
        yield "-".join(parts)
        parts.pop()
        if parts and len(parts[-1]) == 1:
            parts.pop()


@dataclass(frozen=True, slots=True)
class PortalRequest:
    """A request to the portal, read once."""

    http: web.BaseRequest
    """aiohttp's, for headers, query and body."""
    target: Target
    visit: Visit
    request_id: str
    reader: Reader
    public_url: str
    """`server.public_url`: the portal's own address, whatever host the request is for."""

    @property
    def client(self) -> LoginOrigin:
        """Where the request comes from, as sign-in and audit need it."""
        headers = self.http.headers
        cookies = cookie_header(headers)
        here = self.target
        origin = f"{here.scheme}://{here.authority}"
        return LoginOrigin(
            address=here.client,
            user_agent=agent_of(headers),
            host=here.host,
            cookies=cookies,
            origin=origin,
            lang=self.reader.lang,
        )


View = Callable[[PortalRequest], Awaitable[web.StreamResponse]]
Views = Mapping[str, Mapping[str, View]]
"""Path below the prefix -> method -> view."""


def see_other(location: str) -> web.Response:
    """Answer 303: the browser goes on with GET (RFC 9110 §15.4.4). Not cached, since it depends on the session."""
    return web.Response(status=303, headers={"Location": location, "Cache-Control": "no-store"})
