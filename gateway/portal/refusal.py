"""The refusal of a request for an app: `refuse` is the one way to say no, to the proxied and to the asked about.

Browsers are sent on to what is missing, programs are told what it is and where, and a no is a page.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus

from aiohttp import web

from gateway.config.schema import Route
from gateway.model import Decision, Target, Verdict
from gateway.portal.rendering.render import Action, Pages
from gateway.portal.request import PROGRAM
from gateway.portal.unauthorized import readable_by, tell_program
from gateway.request.client_kind import wants_html


@dataclass(frozen=True, slots=True)
class WayOn:
    """Where the missing proof is given.

    Args:
        location: of the page, with the way back; for browsers.
        page_url: of the page alone, absolute; for programs.
        redirect: status of the answer to a browser. A 401 says `Location` as well, for proxies that can't pass on
            a redirect; any other is one.
    """

    location: str
    page_url: str
    redirect: int = 303


def refuse(
    pages: Pages,
    request: web.BaseRequest,
    route: Route,
    target: Target,
    decision: Decision,
    way_on: WayOn,
    *,
    request_id: str,
    remedies: Sequence[Action] = (),
    offer: str = "",
) -> web.StreamResponse:
    """Send browsers on to what is missing, tell programs what it is (401), and say no (403).

    Args:
        remedies: what people can do about a no.
        offer: one more way to sign in, for WWW-Authenticate.
    """
    html = wants_html(target.method, request.headers)
    if decision.verdict is Verdict.DENY:
        return pages.of(target.host).error(
            403,
            reader=pages.readers.of(request),
            reason=decision.reason,
            request_id=request_id,
            accepts_html=html,
            actions=remedies,
            headers=readable_by(route, request.headers),
        )
    location = {"Location": way_on.location} if html else {}
    if html and way_on.redirect != HTTPStatus.UNAUTHORIZED:
        headers = {**location, "Cache-Control": "no-store", "Vary": "Cookie"}
        return web.Response(status=way_on.redirect, headers=headers)
    told = tell_program(route, target, decision, request.headers, page_url=way_on.page_url, offer=offer)
    return pages.error(
        401,
        reader=PROGRAM,
        reason=told.reason,
        request_id=request_id,
        accepts_html=False,
        headers={**(location if way_on.redirect == HTTPStatus.UNAUTHORIZED else {}), **told.headers},
        fields=told.fields,
    )
