"""The page that asks whether a kept form is to be sent now (session/kept_posts.py). Nothing is sent without it."""

from collections.abc import Callable
from urllib.parse import urlsplit

from aiohttp import web

from gateway.authn.login import SignIn
from gateway.i18n.text import N_
from gateway.model import Principal, Verdict
from gateway.portal.forms import Encoding, posted
from gateway.portal.rendering.render import Pages
from gateway.portal.request import PortalRequest, see_other
from gateway.portal.return_url import with_return
from gateway.session.kept_posts import KeptPost, KeptPosts, read_fields

_PLAIN_TEXT = Encoding("text/plain", 1024, read_fields)
"""The form is text/plain (`submit` says why)."""
GONE = N_("What you were sending is no longer kept. Please go back to the page and fill it in again.")


class KeptViews:
    """The page of a form that was kept."""

    def __init__(
        self, posts: KeptPosts, signin: SignIn, pages: Pages, *, prefix: str, front: Callable[[str], str]
    ) -> None:
        """`front` says where a host's front page is."""
        self._posts, self._signin, self._pages = posts, signin, pages
        self._prefix, self._front = prefix, front

    async def page(self, request: PortalRequest) -> web.StreamResponse:
        """GET {prefix}/kept?id=…&at=…: what would be sent, and the question."""
        principal = request.visit.principal
        missing = self._missing(request, principal)
        if principal is None or missing is not None:
            return see_other(with_return(f"{self._prefix}/{missing or 'login'}", request.target.uri))
        id = request.http.query.get("id", "")
        post = await self._posts.find(request.client.cookies, id, principal)
        if post is None:
            return self._gone(request)
        return self._pages.render(
            "kept.html",
            reader=request.reader,
            request_id=request.request_id,
            csrf_token=request.visit.csrf,
            id=id,
            at=request.target.query,
            host=request.target.host,
            path=urlsplit(post.url).path,
            size=len(post.body),
            upload=post.content_type.startswith("multipart/"),
            since=post.at,
        )

    async def submit(self, request: PortalRequest) -> web.StreamResponse:
        """POST: to send, the browser goes to the form's own address, where the gate swaps this body for the form.

        307 keeps the method (RFC 9110 §15.4.8). The body is text/plain, which tells it from the forms of apps.
        """
        form = await posted(request, _PLAIN_TEXT)
        principal = request.visit.principal
        if principal is None or not form.genuine:
            return see_other(request.target.uri)  # the question again, after signing in where that is due
        id = form.get("kept", "") or form.get("discard", "")
        post = await self._posts.find(request.client.cookies, id, principal)
        if post is None:
            return self._gone(request)
        if "discard" in form:
            await self._posts.discard(request.client.cookies, id, post, request.client.ip)
            return see_other(self._front(request.target.host))
        return await self._send(request, principal, id, post)

    async def _send(
        self, request: PortalRequest, principal: Principal, id: str, post: KeptPost
    ) -> web.StreamResponse:
        missing = self._missing(request, principal)
        if missing is not None:
            return see_other(with_return(f"{self._prefix}/{missing}", request.target.uri))
        if not await self._posts.release(request.client.cookies, id, post):
            return self._gone(request)
        parts = urlsplit(post.url)
        where = parts._replace(scheme="", netloc="").geturl() or "/"
        if where.startswith("//"):
            where = post.url
        return web.Response(status=307, headers={"Location": where, "Cache-Control": "no-store"})

    def _missing(self, request: PortalRequest, principal: Principal | None) -> str | None:
        """Which proof is due before the form may be sent: "login", "verify" or None."""
        verdict = self._signin.decision(request.target, principal).verdict
        return {Verdict.SIGN_IN: "login", Verdict.STEP_UP: "verify"}.get(verdict)

    def _gone(self, request: PortalRequest) -> web.Response:
        return self._pages.error(410, reader=request.reader, message=GONE, request_id=request.request_id)
