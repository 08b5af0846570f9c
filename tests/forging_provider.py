"""An OpenID provider whose ID tokens each test spoils in its own way, and a gateway that asks it."""

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from aiohttp import web
from joserfc import jwt
from joserfc.jwk import RSAKey

from tests.rig import Browser, Rig, running_gateway, running_upstream

KEY, OTHER = RSAKey.generate_key(2048, auto_kid=True), RSAKey.generate_key(2048, auto_kid=True)


@dataclass
class ForgingProvider:
    """An OpenID provider whose ID token each test spoils in its own way."""

    url: str = ""
    nonce: str = ""
    forge: Callable[[dict[str, Any], str], str] = lambda claims, url: sign(claims)
    asked: list[dict[str, str]] = field(default_factory=list)
    iss_supported: bool = False
    userinfo: dict[str, Any] = field(default_factory=dict)
    issuer: str = ""

    async def handle(self, request: web.Request) -> web.StreamResponse:
        if request.path.endswith("openid-configuration"):
            return web.json_response(
                {
                    "issuer": self.issuer or self.url,
                    "authorization_endpoint": f"{self.url}/authorize",
                    "token_endpoint": f"{self.url}/token",
                    "jwks_uri": f"{self.url}/jwks",
                    "authorization_response_iss_parameter_supported": self.iss_supported,
                    **({"userinfo_endpoint": f"{self.url}/userinfo"} if self.userinfo else {}),
                }
            )
        if request.path == "/userinfo":
            return web.json_response(self.userinfo)
        if request.path == "/jwks":
            return web.json_response({"keys": [KEY.as_dict(private=False)]})
        self.asked.append({key: str(value) for key, value in (await request.post()).items()})
        now = int(time.time())
        claims = {
            "iss": self.url,
            "aud": "gateway",
            "sub": "m1",
            "exp": now + 300,
            "iat": now,
            "nonce": self.nonce,
            "email": "mira@example.com",
            "email_verified": True,
            "amr": ["pwd", "otp"],
        }
        return web.json_response(
            {"access_token": "a", "token_type": "Bearer", "id_token": self.forge(claims, self.url)}
        )


def sign(claims: dict[str, Any], key: Any = KEY, **header: Any) -> str:
    return jwt.encode({"alg": "RS256", "kid": KEY.kid, **header}, claims, key, algorithms=["RS256"])


@asynccontextmanager
async def forging_rig(
    folder: Path,
    routes: list[dict[str, Any]] | None = None,
    sections: dict[str, Any] | None = None,
    **settings: Any,
) -> AsyncIterator[tuple[Rig, ForgingProvider]]:
    provider = ForgingProvider()
    async with running_upstream(provider.handle) as server:
        provider.url = server.url
        corp = {
            "kind": "oidc",
            "name": "corp",
            "issuer": server.url,
            "client_id": "gateway",
            "client_secret": "hush",
            **settings,
        }
        partner = {**corp, "name": "partner"}
        more = {**({"routes": routes} if routes else {}), **(sections or {})}
        async with running_gateway(folder, identity_providers=[corp, partner], **more) as rig:
            rig.clock.now = time.time()
            await rig.add_user("mira", email="mira@example.com")
            yield rig, provider


async def leave(browser: Browser, provider: ForgingProvider, more: str = "") -> dict[str, str]:
    location = (await browser.get(f"/_auth/federated/corp?rd=/wiki{more}")).headers["Location"]
    query = {key: values[0] for key, values in parse_qs(urlsplit(location).query).items()}
    provider.nonce = query["nonce"]
    return query


async def come_back(browser: Browser, state: str, more: str = "") -> int:
    return (await browser.get(f"/_auth/federated/corp/callback?code=c&state={state}{more}")).status


async def arrive(browser: Browser, provider: ForgingProvider) -> int:
    return await come_back(browser, (await leave(browser, provider))["state"])
