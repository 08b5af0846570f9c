"""Pushed authorization requests (RFC 9126): an app sends its request itself, and the browser carries a name of it.

What is in the request can't be read or changed on the way, and an app with a secret has shown it before any page.
"""

import secrets
from collections.abc import Callable, Mapping

from aiohttp import web

from gateway.clock import Clock
from gateway.errors import RequestRefused
from gateway.keyring import KeyRing
from gateway.oidc.authorization_request import TOO_OLD, SignInRequest, seal, unseal
from gateway.oidc.client_authentication import Authentication
from gateway.oidc.clients import Client
from gateway.oidc.endpoint import answer
from gateway.oidc.errors import OAuthError, UnknownApp
from gateway.oidc.grants import token_digest
from gateway.portal.forms import posted_by_anyone
from gateway.portal.request import PortalRequest
from gateway.stores.protocols.ledger import Ledger

PAR = "/oidc/par"
_URN = "urn:ietf:params:oauth:request_uri:"
LIFE = 90.0
"""Seconds in which the browser has to arrive."""
Judge = Callable[[Mapping[str, str]], SignInRequest]


class PushedRequests:
    """Takes requests and gives them back, each once."""

    def __init__(
        self, ledger: Ledger, ring: KeyRing, clock: Clock, *, token: Callable[[], str] = secrets.token_urlsafe
    ) -> None:
        self._ledger, self._ring, self._clock, self._token = ledger, ring, clock, token

    async def keep(self, wanted: SignInRequest) -> str:
        """Return the `request_uri` under which a request that was judged can be had."""
        name = self._token()
        await self._ledger.put(_slot(name), seal(wanted, self._ring.seal).encode(), LIFE)
        return f"{_URN}{name}"

    async def take(self, request_uri: str, client_id: str) -> SignInRequest:
        """Return the request of a `request_uri`, once. Raises RequestRefused for one that is none of this client's."""
        name = request_uri.removeprefix(_URN)
        sealed = await self._ledger.take(_slot(name)) if name != request_uri else None
        if sealed is None:
            raise RequestRefused("a pushed request that is unknown, used or too old", public=TOO_OLD)
        wanted = unseal(sealed.decode(), self._ring.open, self._clock())
        if wanted.back.client_id != client_id:
            raise RequestRefused("a pushed request of another client", public=TOO_OLD)
        return wanted


class PushedRequestView:
    """The endpoint. `judge` reads a request as the authorization endpoint does."""

    def __init__(self, authentication: Authentication, requests: PushedRequests, judge: Judge) -> None:
        self._authentication, self._requests, self._judge = authentication, requests, judge

    async def push(self, request: PortalRequest) -> web.StreamResponse:
        """Answer one call (RFC 9126 §2). Raises OAuthError, TooManyAttempts and RequestRefused."""
        form = await posted_by_anyone(request)
        app = await self._authentication.app(request, form)
        wanted = self._read(app, form)
        return answer({"request_uri": await self._requests.keep(wanted), "expires_in": int(LIFE)}, 201)

    def _read(self, app: Client, form: Mapping[str, str]) -> SignInRequest:
        if "request_uri" in form:  # RFC 9126 §2.1
            raise OAuthError("invalid_request", "request_uri has no place in a pushed request")
        if form.get("client_id", app.id) != app.id:
            raise OAuthError("invalid_request", "client_id is another client's")
        try:
            return self._judge({**form, "client_id": app.id})
        except UnknownApp as unknown:
            raise OAuthError("invalid_request", unknown.detail) from None


def is_pushed(params: Mapping[str, str]) -> bool:
    """Whether a request at the authorization endpoint names a pushed one."""
    return params.get("request_uri", "").startswith(_URN)


def _slot(name: str) -> str:
    return f"oidc:pushed:{token_digest(name)}"
