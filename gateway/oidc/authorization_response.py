"""Sends the browser back to the app with the answer: by redirect, or by a form that posts itself."""

from collections.abc import Mapping
from urllib.parse import urlencode

from aiohttp import web

from gateway.oidc.authorization_request import Return
from gateway.portal.rendering.render import Pages
from gateway.portal.request import PortalRequest, see_other


class Answers:
    """Sends answers to apps. `issuer` goes into each answer, so that an app with several providers knows whose it is
    (RFC 9207).
    """

    def __init__(self, pages: Pages, issuer: str) -> None:
        self._pages, self._issuer = pages, issuer

    def code(self, request: PortalRequest, back: Return, code: str) -> web.Response:
        """Answer with an authorization code (RFC 6749 §4.1.2)."""
        return self._send(request, back, {"code": code})

    def error(self, request: PortalRequest, back: Return, code: str, detail: str) -> web.Response:
        """Answer with an error code (RFC 6749 §4.1.2.1); `detail` is for the app's developer."""
        described = {"error_description": detail} if detail and detail != code else {}
        return self._send(request, back, {"error": code, **described})

    def _send(self, request: PortalRequest, back: Return, values: Mapping[str, str]) -> web.Response:
        fields = {**values, **({"state": back.state} if back.state else {}), "iss": self._issuer}
        if back.response_mode == "form_post":
            return self._pages.render(
                "oidc_form_post.html",
                reader=request.reader,
                request_id=request.request_id,
                action=back.redirect_uri,
                fields=fields,
                at_once=True,
            )
        # no-referrer is for the request that follows: the app need not learn on which page its user was before. 303 and
        # not 307, by which a browser would send our form's fields along (RFC 9700 §4.12).
        response = see_other(with_query(back.redirect_uri, fields))
        response.headers["Referrer-Policy"] = "no-referrer"
        return response


def with_query(uri: str, fields: Mapping[str, str]) -> str:
    """Add fields to the query of a registered URI, which keeps its own (RFC 6749 §3.1.2)."""
    return f"{uri}{'&' if '?' in uri else '?'}{urlencode(fields)}"
