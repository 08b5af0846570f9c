"""Keeps a form that was sent after its session had ended, until its user has signed in again and confirms it.

It is kept only for a browser that had a session until lately, and only if the browser says that a page of the same
origin sent it: nobody else can plant a form here that the user then confirms. It is encrypted with the key ring,
bound to the browser by a cookie of its own and to the user whose session it was, and goes out once.
"""

import json
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from urllib.parse import quote

from aiohttp import web

from gateway.clock import Clock
from gateway.config.schema import Config, Route
from gateway.errors import RequestRefused
from gateway.keyring import KeyRing
from gateway.model import Principal, Target
from gateway.observability.audit import Audit
from gateway.request.client_kind import wants_html
from gateway.request.replace_body import with_body
from gateway.request.small_body import read_small
from gateway.request.target import cookie_header
from gateway.session.cookie import AuxiliaryCookie
from gateway.stores.protocols.ledger import Ledger

KEPT_FOR = 600.0
RELEASED_FOR = 60.0
PER_USER = 20
"""Forms that are kept of one user at once."""
_RELEASE_SIZE = 512


class NothingToSend(RequestRefused):
    """A confirmation came for which no form of this browser, user and address is kept."""

    status = 409
    public = (
        "This form has been sent already, or was not kept for so long. Please look whether it has arrived."
    )


@dataclass(frozen=True, slots=True)
class KeptPost:
    """A form as it was sent. `url` is absolute, `at` Unix seconds."""

    username: str
    url: str
    content_type: str
    at: float
    body: bytes


def may_keep(route: Route, target: Target, headers: Mapping[str, str], largest: int) -> bool:
    """Tell whether this is a form that a page on the target's own origin sent, of at most `largest` bytes."""
    length = headers.get("Content-Length", "")
    if not length.isdecimal() or not 0 < int(length) <= min(largest, route.max_body or largest):
        return False
    if "Transfer-Encoding" in headers or "Content-Encoding" in headers or not headers.get("Content-Type"):
        return False
    return (
        target.method == "POST"
        and wants_html("POST", headers)
        and headers.get("Sec-Fetch-Site", "same-origin") == "same-origin"
        and headers.get("Origin") == f"{target.scheme}://{target.authority}"
    )


class KeptPosts:
    """Keeps forms in the ledger, sealed, at most PER_USER for each user and KEPT_FOR seconds long."""

    def __init__(
        self,
        config: Config,
        ring: KeyRing,
        ledger: Ledger,
        audit: Audit,
        clock: Clock,
        token: Callable[[int], str] = secrets.token_urlsafe,
    ) -> None:
        self._largest, self._prefix = config.session.keep_posts, config.server.prefix
        self._cookie = AuxiliaryCookie.of(config, "kept")
        self._ring, self._ledger, self._audit, self._clock, self._token = ring, ledger, audit, clock, token

    # -- keeping ---------------------------------------------------------------------------------------------------

    async def keep(
        self, request: web.BaseRequest, route: Route, target: Target, username: str, page: str
    ) -> web.StreamResponse | None:
        """Keep the form and answer with a redirect to `page`, the sign-in page; None if it is not to be kept.

        `username` is whose session has ended ("" if nobody's).
        """
        if not username or not may_keep(route, target, request.headers, self._largest):
            return None
        if self._is_release(request):
            return None
        if await self._ledger.hit(f"kept-count:{username}", KEPT_FOR) > PER_USER:
            return None
        body = await read_small(request, self._largest)
        content_type = request.headers["Content-Type"]
        post = KeptPost(
            username=username, url=target.url, content_type=content_type, at=self._clock(), body=body
        )
        id, browser = self._token(12), self._cookie.read(cookie_header(request.headers)) or self._token(32)
        await self._ledger.put(_key("kept", browser, id), self._seal(post), KEPT_FOR)
        self._audit.record(
            "post_kept", username, str(target.client), host=target.host, path=target.path, size=len(body)
        )
        where = f"{self._prefix}/kept?id={id}&at={quote(target.uri, safe='/')}"
        response = web.Response(
            status=303,
            headers={"Location": f"{page}?rd={quote(where, safe='/')}", "Cache-Control": "no-store"},
        )
        self._cookie.give(response, browser, KEPT_FOR)
        return response

    # -- between signing in and confirming -----------------------------------------------------------------------------

    async def find(self, cookies: str, id: str, principal: Principal) -> KeptPost | None:
        """Return the form that is kept under `id` for this browser (its Cookie header) and this user."""
        browser = self._cookie.read(cookies)
        sealed = await self._ledger.get(_key("kept", browser, id)) if browser and id else None
        post = self._open(sealed)
        return post if post and post.username == principal.username else None

    async def release(self, cookies: str, id: str, post: KeptPost) -> bool:
        """Let the next request to the form's address carry it, since its user confirmed. True for one caller only."""
        browser = self._cookie.read(cookies)
        if await self._ledger.take(_key("kept", browser, id)) is None:
            return False
        await self._ledger.put(_key("released", browser, id), self._seal(post), RELEASED_FOR)
        return True

    async def discard(self, cookies: str, id: str, post: KeptPost, ip: str) -> None:
        """Delete a form that its user does not want to send, and note it in the audit log."""
        if await self._ledger.take(_key("kept", self._cookie.read(cookies), id)) is not None:
            self._audit.record("post_discarded", post.username, ip)

    # -- sending -----------------------------------------------------------------------------------------------------

    async def resume(
        self, request: web.BaseRequest, target: Target, principal: Principal | None
    ) -> web.BaseRequest:
        """Return the request as it was first sent, if this is a confirmed one; else the request itself.

        Raises NothingToSend.
        """
        if principal is None or not self._is_release(request):
            return request
        body = await read_small(request, _RELEASE_SIZE)
        fields = read_fields(body)
        if "kept" not in fields:
            return with_body(request, body, request.headers["Content-Type"])
        browser = self._cookie.read(cookie_header(request.headers))
        post = self._open(await self._ledger.take(_key("released", browser, fields["kept"])))
        own = request.headers.get("Origin") == f"{target.scheme}://{target.authority}"
        if post is None or post.username != principal.username or post.url != target.url or not own:
            raise NothingToSend("no released form for this browser, user and address")
        self._audit.record(
            "post_replayed", post.username, str(target.client), host=target.host, path=target.path
        )
        return with_body(request, post.body, post.content_type)

    def _is_release(self, request: web.BaseRequest) -> bool:
        """Our confirmation, sent on by the browser (307). Forms of apps are hardly ever text/plain."""
        length = request.content_length
        return (
            request.method == "POST"
            and request.content_type == "text/plain"
            and length is not None
            and length <= _RELEASE_SIZE
            and bool(self._cookie.read(cookie_header(request.headers)))
            and wants_html("POST", request.headers)
        )

    # -- as it is stored -----------------------------------------------------------------------------------------------

    def _seal(self, post: KeptPost) -> bytes:
        head = json.dumps([post.username, post.url, post.content_type, post.at])
        return self._ring.seal(head.encode() + b"\n" + post.body)

    def _open(self, sealed: bytes | None) -> KeptPost | None:
        if sealed is None:
            return None
        try:
            head, _, body = self._ring.open(sealed).partition(b"\n")
        except ValueError:
            return None
        username, url, content_type, at = json.loads(head)
        return KeptPost(username=username, url=url, content_type=content_type, at=at, body=body)


def read_fields(body: bytes) -> dict[str, str]:
    """Return the fields of a text/plain form (HTML standard, "plain text form data"); {} for anything else."""
    lines = body.decode("ascii", "replace").splitlines()
    return {name: value for name, sign, value in (line.partition("=") for line in lines) if sign}


def _key(kind: str, browser: str, id: str) -> str:
    return f"{kind}:{sha256(browser.encode()).hexdigest()}:{id}"
