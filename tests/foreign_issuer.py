"""An issuer of tokens for programs, and a gateway whose routes take them."""

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiohttp import web
from joserfc import jwt
from joserfc.jwk import ECKey, RSAKey

from tests.rig import Rig, running_gateway, running_upstream
from tests.service_accounts_rig import get, route, seen_headers

NOW = 1_800_000_000
"""What the gateway's clock shows at the beginning."""
AUDIENCE = "https://deploy.example.com"
KEYS = {name: ECKey.generate_key("P-256", {"kid": name}, auto_kid=False) for name in ("k1", "k2")}
RSA = RSAKey.generate_key(2048, {"kid": "rsa"}, auto_kid=False)
CLAIMS = {"repository": ["acme/*"], "ref": ["refs/heads/main"]}


@dataclass
class Issuer:
    """Publishes `kids`; `fails` makes it answer 500; `asked` counts how often its keys were read."""

    url: str = ""
    kids: tuple[str, ...] = ("k1",)
    fails: bool = False
    asked: int = 0
    discovery: dict[str, Any] = field(default_factory=dict)
    keys: list[dict[str, Any]] | None = None

    async def handle(self, request: web.Request) -> web.StreamResponse:
        if self.fails:
            return web.Response(status=500)
        if request.path == "/jwks":
            self.asked += 1
            known = [KEYS[kid].as_dict(private=False) for kid in self.kids]
            return web.json_response({"keys": known if self.keys is None else self.keys})
        return web.json_response({"issuer": self.url, "jwks_uri": f"{self.url}/jwks", **self.discovery})

    def claims(self, **changes: Any) -> dict[str, Any]:
        """Those of a CI run, a minute old; None takes one away."""
        now = NOW
        all = {
            "iss": self.url,
            "aud": AUDIENCE,
            "sub": "repo:acme/app:ref:refs/heads/main",
            "repository": "acme/App",
            "ref": "refs/heads/main",
            "iat": now - 60,
            "nbf": now - 60,
            "exp": now + 300,
            "jti": "j1",
        } | changes
        return {name: value for name, value in all.items() if value is not None}

    def token(self, kid: str | None = "k1", header: dict[str, Any] | None = None, **changes: Any) -> str:
        """A token of this issuer, signed with the key `kid` of `KEYS`."""
        head = {"alg": "ES256", "kid": kid, **(header or {})}
        return jwt.encode(head, self.claims(**changes), KEYS[kid or "k1"])


def takes(issuer: Issuer, **changes: Any) -> dict[str, Any]:
    """An entry of `jwt`."""
    as_ = {"user": "github:{repository}", "groups": ["ci"]}
    return {"issuer": issuer.url, "audience": [AUDIENCE], "claims": CLAIMS, "as": as_, **changes}


@asynccontextmanager
async def issuer_and_gateway(folder: Path, **entry: Any) -> AsyncIterator[tuple[Rig, Issuer]]:
    """Routes: /one for the group ci, /two needs two factors, /machine too but a machine suffices, /open for all,
    /none takes no tokens.
    """
    issuer = Issuer()
    async with running_upstream(issuer.handle) as upstream:
        issuer.url = upstream.url
        entries = [takes(issuer, **entry)]
        routes = [
            route("/one", "one_factor", policy={"groups": ["ci"]}, jwt=entries),
            route("/two", "two_factor", jwt=entries),
            route("/machine", "two_factor", policy={"machine_suffices": True}, jwt=entries),
            route("/open", "bypass", jwt=entries),
            route("/none", "one_factor"),
        ]
        server = {"trusted_proxies": ["127.0.0.0/8"]}
        async with running_gateway(folder, routes=routes, server=server) as rig:
            yield rig, issuer


async def shown(rig: Rig, token: str, path: str = "/one") -> tuple[int, Any]:
    """Status and, of the app's answer, the headers it got; else the headers of ours."""
    status, body = await get(rig, path, f"Bearer {token}")
    return status, seen_headers(body) if status == 200 else body


def forged(token: str, **claims: Any) -> str:
    """The token with other claims and its old signature."""
    head, body, signature = token.split(".")
    changed = {**json.loads(urlsafe_b64decode(body + "===")), **claims}
    return f"{head}.{urlsafe_b64encode(json.dumps(changed).encode()).rstrip(b'=').decode()}.{signature}"
