"""An OpenID provider that answers as a test wants it to: each of its peculiarities is one that a real provider has.

It checks what a client must send (RFC 6749 §4.1.3, PKCE) and signs with an ES256 key of its own.
"""

import base64
import hashlib
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from aiohttp import web
from joserfc import jwt
from joserfc.jwk import ECKey

from tests.rig import Rig, running_gateway, running_upstream

CLIENT, SECRET = "gateway", "provider-secret"


@dataclass
class ProgrammableProvider:
    """`id_token` and `userinfo` are claims beside those that every token has; `issuer` is in discovery."""

    key: ECKey = field(default_factory=lambda: ECKey.generate_key("P-256", {"kid": "k1"}, auto_kid=False))
    url: str = ""
    issuer: str = ""
    issuer_in_token: str = ""
    id_token: dict[str, Any] = field(default_factory=dict)
    userinfo: dict[str, Any] = field(default_factory=dict)
    userinfo_as_jwt: bool = False
    userinfo_audience: str = CLIENT
    more_discovery: dict[str, Any] = field(default_factory=dict)
    now: Callable[[], float] = time.time
    asked: dict[str, str] = field(default_factory=dict)
    """The parameters of the last authorization request."""

    async def handle(self, request: web.Request) -> web.StreamResponse:
        answers = {
            "/.well-known/openid-configuration": self.discovery,
            "/jwks": self.jwks,
            "/token": self.token,
            "/userinfo": self.user,
        }
        return await answers[request.path](request)

    async def discovery(self, request: web.Request) -> web.Response:
        base = {
            "issuer": self.issuer or self.url,
            "authorization_endpoint": f"{self.url}/authorize",
            "token_endpoint": f"{self.url}/token",
            "userinfo_endpoint": f"{self.url}/userinfo",
            "jwks_uri": f"{self.url}/jwks",
        }
        return web.json_response({**base, **self.more_discovery})

    async def jwks(self, request: web.Request) -> web.Response:
        return web.json_response({"keys": [self.key.as_dict(private=False)]})

    async def token(self, request: web.Request) -> web.Response:
        form = await request.post()
        verifier = str(form.get("code_verifier", ""))
        digest = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
        if form.get("code") != "the-code" or digest != self.asked["code_challenge"]:
            return web.json_response({"error": "invalid_grant"}, status=400)
        now = int(self.now())
        claims = {
            "iss": self.issuer_in_token or self.issuer or self.url,
            "aud": CLIENT,
            "sub": "s1",
            "iat": now,
            "exp": now + 300,
            "nonce": self.asked["nonce"],
            **self.id_token,
        }
        token = jwt.encode({"alg": "ES256", "kid": "k1"}, claims, self.key)
        return web.json_response({"access_token": "at", "token_type": "Bearer", "id_token": token})

    async def user(self, request: web.Request) -> web.Response:
        if request.headers.get("Authorization") != "Bearer at":
            return web.json_response({"error": "invalid_token"}, status=401)
        claims = {"sub": "s1", **self.userinfo}
        if not self.userinfo_as_jwt:
            return web.json_response(claims)
        signed = jwt.encode(
            {"alg": "ES256", "kid": "k1"},
            {**claims, "iss": self.issuer or self.url, "aud": self.userinfo_audience},
            self.key,
        )
        return web.Response(text=signed, content_type="application/jwt")

    def logout_token(
        self, *, key: ECKey | None = None, header: dict[str, Any] | None = None, **changed: Any
    ) -> str:
        """A logout token (OpenID Connect Back-Channel Logout 1.0 §2.4) of the account `s1`; None leaves a claim out."""
        now = int(self.now())
        claims = {
            "iss": self.issuer_in_token or self.issuer or self.url,
            "aud": CLIENT,
            "iat": now,
            "exp": now + 120,
            "jti": secrets.token_urlsafe(),
            "sub": "s1",
            "events": {"http://schemas.openid.net/event/backchannel-logout": {}},
            **changed,
        }
        kept = {name: value for name, value in claims.items() if value is not None}
        return jwt.encode(
            {"alg": "ES256", "kid": "k1", "typ": "logout+jwt", **(header or {})}, kept, key or self.key
        )

    def begun(self, location: str) -> dict[str, str]:
        """Take note of an authorization request, as the page at the provider does."""
        self.asked = {name: values[0] for name, values in parse_qs(urlsplit(location).query).items()}
        return self.asked


@asynccontextmanager
async def provider_and_gateway(
    folder: Path,
    provider: ProgrammableProvider | None = None,
    *,
    sections: Mapping[str, Any] | None = None,
    handler: Callable[[web.Request], Awaitable[web.StreamResponse]] | None = None,
    **settings: Any,
) -> AsyncIterator[tuple[Rig, ProgrammableProvider]]:
    """A gateway that knows the provider as `corp`; `settings` are those of the provider in its configuration,
    `sections` what else there is in it. `handler` answers in the provider's place, for more pages of it.
    """
    provider = provider or ProgrammableProvider()
    async with running_upstream(handler or provider.handle) as upstream:
        provider.url = upstream.url
        corp = {
            "kind": "oidc",
            "name": "corp",
            "issuer": upstream.url,
            "client_id": CLIENT,
            "client_secret": SECRET,
            **settings,
        }
        async with running_gateway(folder, identity_providers=[corp], **(sections or {})) as rig:
            rig.clock.now = time.time()
            provider.now = rig.clock
            yield rig, provider
