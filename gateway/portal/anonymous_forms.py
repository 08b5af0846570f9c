"""Forms for people who are not signed in: they get a cookie of ours with the csrf token that the form carries."""

from collections.abc import Mapping
from typing import Any

from aiohttp import web

from gateway.portal.forms import check_origin, read_form, token_matches
from gateway.portal.rendering.render import Pages
from gateway.portal.request import PortalRequest
from gateway.session import Sessions


class VisitorForms:
    def __init__(self, sessions: Sessions, pages: Pages, *, public_url: str) -> None:
        self._sessions, self._pages, self._public_url = sessions, pages, public_url

    async def show(self, ask: PortalRequest, name: str, status: int = 200, **context: Any) -> web.Response:
        """The page with a csrf token, and a cookie for it if the visitor has none. `context` is the template's."""
        csrf = ask.visit.csrf or self._sessions.new_csrf()
        response = self._pages.render(
            name, status, reader=ask.reader, request_id=ask.request_id, csrf_token=csrf, **context
        )
        # The address of this page may hold a token: no app on the same host may read it from Referer either.
        response.headers["Referrer-Policy"] = "strict-origin"
        if not ask.visit.csrf:
            await self._sessions.attach(ask.request, response, None, csrf=csrf)
        return response

    async def read(self, ask: PortalRequest) -> tuple[Mapping[str, str], bool]:
        """The form, and whether it is from a page that we gave to this browser. Raises RequestRefused."""
        check_origin(ask.request, ask.here, self._public_url)
        form = await read_form(ask.request)
        return form, token_matches(form, ask.visit.csrf)
