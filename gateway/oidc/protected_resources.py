"""Routes that take access tokens: their metadata (RFC 9728), which tokens are for them, and whom a token stands for.

An access token opens nothing by itself. Its grant has to be alive, it has to name this very route, and the route's
policy is asked as for anybody: about the factors and the times of the sign-in from which the token came.
"""

from collections.abc import Mapping
from typing import Any

from aiohttp import web

from gateway.authn.access_tokens import SESSION, WELL_KNOWN, InsufficientScope, bearer_challenge, resource_of
from gateway.authn.shown_credentials import NotAccepted
from gateway.clock import Clock
from gateway.config import addresses
from gateway.config.schema import Route
from gateway.errors import RequestRefused
from gateway.i18n.text import N_
from gateway.model import Principal, SessionRecord, Target, User
from gateway.observability.access_log import Trace
from gateway.observability.audit import Audit
from gateway.oidc.token_introspection import TokenFacts
from gateway.oidc.tokens import ACCESS, PROVEN, TokenSigner
from gateway.policy.decide import Routes
from gateway.rate_limits import TOKENS_PER_IP, RateLimits, network_of
from gateway.stores.protocols.oidc import Grant


class ProtectedResources:
    """Which addresses are resources in the sense of RFC 8707 §2. `issuer` is `server.public_url`."""

    def __init__(self, routes: Routes, issuer: str) -> None:
        self._routes, self._issuer = routes, issuer
        portal = addresses.split(issuer)
        self._scheme, self._port = (portal.scheme, portal.port) if portal else ("https", None)
        self.any = any(route.oauth for route in routes.all)

    def scopes(self, resource: str) -> tuple[str, ...] | None:
        """Return the scopes of the route that a resource names, None if it names none."""
        parts = addresses.split(resource)
        if (
            parts is None
            or parts.scheme != self._scheme
            or parts.query
            or parts.fragment
            or "@" in parts.netloc
        ):
            return None
        if parts.port not in (None, self._port):
            return None
        route = self._named((parts.hostname or "").lower(), parts.path or "/")
        return route.oauth.scopes if route is not None and route.oauth is not None else None

    def _named(self, host: str, path: str) -> Route | None:
        route = self._routes.match(host, path)
        same = route is not None and route.path.rstrip("/") == path.rstrip("/")
        return route if route is not None and route.oauth is not None and same else None

    # -- metadata --------------------------------------------------------------------------------------------------

    def takes(self, target: Target) -> bool:
        """Whether this is the address of the metadata of a route that takes tokens."""
        return self._described(target) is not None

    def _described(self, target: Target) -> Route | None:
        suffix = target.path.removeprefix(WELL_KNOWN)
        if suffix == target.path or (suffix and not suffix.startswith("/")):
            return None
        return self._named(target.host, suffix or "/")

    async def answer(
        self, request: web.BaseRequest, target: Target, trace: Trace, *, trusted_peer: bool
    ) -> web.StreamResponse:
        """Answer what `takes` takes (RFC 9728 §3.2). Raises RequestRefused (404, 405)."""
        route = self._described(target)
        trace.route = "portal"
        if route is None or route.oauth is None:
            raise RequestRefused("no such resource", status=404, public=N_("There is nothing here."))
        if request.method not in ("GET", "HEAD", "OPTIONS"):
            raise RequestRefused("metadata are only read", status=405)
        body = {
            "resource": resource_of(route, target),
            "authorization_servers": [self._issuer],
            "bearer_methods_supported": ["header"],
            "resource_name": route.oauth.name or route.label,
            **({"scopes_supported": list(route.oauth.scopes)} if route.oauth.scopes else {}),
        }
        # Public, and the same for everybody: programs in browsers of any origin may read it.
        headers = {"Cache-Control": "public, max-age=300", "Access-Control-Allow-Origin": "*"}
        return web.json_response(body, headers=headers)


class AccessTokenReader:
    """Reads access tokens that are shown at routes (`ReadsAccessTokens`)."""

    def __init__(
        self, tokens: TokenSigner, facts: TokenFacts, limits: RateLimits, audit: Audit, clock: Clock
    ) -> None:
        self._tokens, self._facts = tokens, facts
        self._limits, self._audit, self._clock = limits, audit, clock

    async def read(self, route: Route, target: Target, text: str) -> Principal:
        """Return whom a token stands for on a route.

        Raises NotAccepted, InsufficientScope, TooManyAttempts and StoreUnavailable.
        """
        challenge = bearer_challenge(route, target, error="invalid_token")
        claims = self._tokens.read(text, ACCESS, expired=True)
        if claims is None:
            address = str(target.client)
            self._audit.record("token_failed", "", address, token="")
            await self._limits.spend(TOKENS_PER_IP, network_of(address))
            raise NotAccepted("not an access token of ours", challenge)
        # RFC 9068 §4: a token for one API must not open another one.
        if resource_of(route, target) not in [str(name).rstrip("/") for name in claims["aud"]]:
            raise NotAccepted("an access token for something else", challenge)
        active = await self._facts.active(text)
        if active is None or active.user is None or active.grant is None:
            raise NotAccepted("an access token that is expired or revoked, or stands for no user", challenge)
        missing = set(route.oauth.scopes if route.oauth else ()) - set(str(claims["scope"]).split())
        if missing:
            lacking = bearer_challenge(route, target, error="insufficient_scope")
            raise InsufficientScope("an access token without the route's scopes", lacking)
        return _principal(active.user, active.grant, claims, str(target.client), self._clock())


def _principal(user: User, grant: Grant, claims: Mapping[str, Any], ip: str, now: float) -> Principal:
    """Who signed in to the app, with what was proven then: nothing is proven by the token itself."""
    noted = grant.facts.get(PROVEN)
    proven = {str(name): float(when) for name, when in noted.items()} if isinstance(noted, dict) else {}
    record = SessionRecord(
        sid=f"{SESSION}{grant.id[:16]}",
        username=user.username,
        amr=tuple(proven),
        proven_at=proven,
        created_at=now,
        last_seen=now,
        expires_at=float(claims["exp"]),
        ip=ip,
    )
    return Principal(user, record)
