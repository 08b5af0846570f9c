"""What a view of the portal is asked, read once, and the redirect that most of them answer with."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from aiohttp import web

from gateway.authn.login import LoginOrigin
from gateway.model import Target
from gateway.portal.rendering.reader_language import Reader
from gateway.request.target import agent_of
from gateway.session import Visit
from gateway.session.cookie import cookie_header


@dataclass(frozen=True, slots=True)
class PortalRequest:
    """A request to the portal, read once."""

    request: web.BaseRequest
    here: Target
    visit: Visit
    request_id: str
    reader: Reader
    public_url: str
    """`server.public_url`: the portal's own address, whatever host the request is for."""

    @property
    def client(self) -> LoginOrigin:
        headers = self.request.headers
        cookies = cookie_header(headers)
        here = self.here
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
