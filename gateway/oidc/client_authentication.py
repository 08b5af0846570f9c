"""Authenticates the app that calls: by secret in header or form, by signed assertion, or not at all for public
clients.

One method a call (RFC 6749 §2.3), and only those that the app's configuration names.
"""

import base64
import binascii
import re
from collections.abc import Mapping
from typing import Any, NoReturn
from urllib.parse import unquote_plus

from joserfc import jwt
from joserfc.errors import JoseError

from gateway.clock import Clock
from gateway.observability.audit import Audit
from gateway.oidc.clients import Apps, Client
from gateway.oidc.errors import OAuthError
from gateway.oidc.tokens import unverified_claim
from gateway.portal.request import PortalRequest
from gateway.rate_limits import Budget, RateLimits
from gateway.stores.protocols.ledger import Ledger

_ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
# Of public keys alone. With HS256 among them a published public key could serve as the secret of a forged signature
# (RFC 8725 §2.1).
_ALGORITHMS = ["ES256", "RS256", "PS256", "EdDSA"]
_LONGEST_ASSERTION = 600.0
"""Seconds that an assertion may still be good: for so long its `jti` has to be remembered."""
_SPELLING = re.compile(r"[A-Za-z0-9._-]{1,100}")
CLIENT_PER_IP = Budget(name="oidc-client", limit=60, window=600, about="address")
"""Failures; secrets can't be guessed, so this only keeps the log readable."""


class Authentication:
    """Finds out which app calls. `audiences` are what an app may call us in its assertion: the issuer and the
    endpoints' addresses.
    """

    def __init__(
        self,
        apps: Apps,
        limits: RateLimits,
        ledger: Ledger,
        audit: Audit,
        clock: Clock,
        audiences: frozenset[str],
    ) -> None:
        self._apps, self._limits, self._ledger = apps, limits, ledger
        self._audit, self._clock, self._audiences = audit, clock, audiences

    async def app(self, request: PortalRequest, form: Mapping[str, str]) -> Client:
        """Return the app that calls.

        Raises OAuthError: invalid_client, the same for every cause, so that nobody learns which ids exist (RFC 6749
        §5.2); invalid_request for two ways at once. Raises TooManyAttempts after many failures.
        """
        authorization = request.http.headers.getall("Authorization", ())
        offered = [bool(authorization), "client_secret" in form, "client_assertion" in form]
        if sum(offered) > 1 or len(authorization) > 1:
            raise OAuthError("invalid_request", "more than one way of client authentication")
        if authorization:
            id, secret = _basic(authorization[0])
            return await self._by_secret(request, id, secret, "client_secret_basic")
        if "client_secret" in form:
            id, secret = form.get("client_id", ""), form["client_secret"]
            return await self._by_secret(request, id, secret, "client_secret_post")
        if "client_assertion" in form:
            return await self._by_assertion(request, form)
        app = await self._apps.load(form.get("client_id", ""), request.client.network)
        if app is None or not app.settings.is_public:
            await self._refuse(request, form.get("client_id", ""), "no credentials")
        return app

    async def _by_secret(self, request: PortalRequest, id: str, secret: str, method: str) -> Client:
        app = self._apps.find(id)
        right = app is not None and app.has_secret(secret)
        if app is None or not right or method not in app.settings.auth:
            await self._refuse(request, id, method)
        return app

    async def _by_assertion(self, request: PortalRequest, form: Mapping[str, str]) -> Client:
        """RFC 7523 §3: issued by the app about itself, for us, soon over, and used once."""
        claims = self._claims(form)
        id = str(claims.get("sub", "")) if claims else form.get("client_id", "")
        app = self._apps.find(id)
        if claims is None or app is None or form.get("client_id", id) != id:
            await self._refuse(request, id, "private_key_jwt")
        # RFC 7523 §3, rule 7: whoever has read an assertion on its way can't use it a second time.
        life = float(claims["exp"]) - self._clock()
        if not await self._ledger.claim_once(f"oidc:assertion:{id}:{claims['jti']}", life):
            await self._refuse(request, id, "assertion used before")
        return app

    def _claims(self, form: Mapping[str, str]) -> dict[str, Any] | None:
        if form.get("client_assertion_type") != _ASSERTION:
            return None
        # Whose keys to check the assertion with; nothing of it is believed yet.
        app = self._apps.find(form.get("client_id") or unverified_claim(form["client_assertion"], "iss"))
        if app is None or app.keys is None or "private_key_jwt" not in app.settings.auth:
            return None
        try:
            claims = jwt.decode(form["client_assertion"], app.keys, algorithms=_ALGORITHMS).claims
        except (JoseError, ValueError, TypeError, KeyError, RecursionError):
            return None
        return claims if self._sound(claims, app.id) else None

    def _sound(self, claims: dict[str, Any], id: str) -> bool:
        audience, exp = claims.get("aud"), claims.get("exp")
        named = (
            {audience}
            if isinstance(audience, str)
            else set(audience)
            if isinstance(audience, list)
            else set()
        )
        jti = claims.get("jti")
        return (
            claims.get("iss") == claims.get("sub") == id
            and bool(named & self._audiences)
            and isinstance(jti, str)
            and 0 < len(jti) <= 300
            and isinstance(exp, int | float)
            and 0 < exp - self._clock() <= _LONGEST_ASSERTION
        )

    async def _refuse(self, request: PortalRequest, id: str, how: str) -> NoReturn:
        # The id goes to the log only in harmless characters: here anybody can write anything into it. HTTP Basic gets a
        # challenge, as RFC 6749 §5.2 wants it, in the scheme that was used.
        client = request.client
        name = id if _SPELLING.fullmatch(id) else ""
        self._audit.record("oidc_client_refused", "", client.ip, client=name, how=how)
        await self._limits.spend(CLIENT_PER_IP, client.network)
        challenge = f'Basic realm="{request.target.host}"' if "Authorization" in request.http.headers else ""
        raise OAuthError("invalid_client", "client authentication failed", status=401, challenge=challenge)


def _basic(header: str) -> tuple[str, str]:
    """RFC 6749 §2.3.1: both services are form-encoded inside HTTP Basic."""
    scheme, _, value = header.partition(" ")
    try:
        id, colon, secret = base64.b64decode(value.strip(), validate=True).decode().partition(":")
    except (binascii.Error, ValueError):
        return "", ""
    return (unquote_plus(id), unquote_plus(secret)) if colon and scheme.lower() == "basic" else ("", "")
