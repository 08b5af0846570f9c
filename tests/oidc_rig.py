"""What tests of the OpenID provider share: a gateway with apps, and an app that asks as apps do."""

import asyncio
import base64
import hashlib
import json
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import aiohttp

from gateway.oidc.clients import secret_hash
from gateway.oidc.signing_keys import SigningKeys
from tests.rig import Browser, FakeClock, Rig, running_gateway

SECRET = "s3cr3t-with-much-entropy"
CALLBACK = "https://app.example.com/callback"
GOODBYE = "https://app.example.com/bye"
WEB: dict[str, Any] = {
    "id": "web",
    "name": "Web App",
    "secrets": [secret_hash(SECRET)],
    "redirect_uris": [CALLBACK],
    "post_logout_redirect_uris": [GOODBYE],
    "scopes": ["openid", "profile", "email", "groups", "phone", "offline_access", "api"],
    "consent": "none",
}
SPA: dict[str, Any] = {
    "id": "spa",
    "auth": ["none"],
    "redirect_uris": ["http://127.0.0.1/cb", CALLBACK],
    "scopes": ["openid", "offline_access"],
    "grants": ["authorization_code", "refresh_token", "device_code"],
    "origins": ["https://spa.example.com"],
    "consent": "none",
}


@cache
def some_keys() -> str:
    """A file of signing keys, made once: RSA keys take long."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "oidc.keys"
        SigningKeys(path, FakeClock(), announce=0.0)
        return path.read_text()


@asynccontextmanager
async def provider(
    folder: Path, *clients: dict[str, Any], clock: FakeClock | None = None, **overrides: Any
) -> AsyncIterator[Rig]:
    (folder / "oidc.keys").write_text(some_keys())
    (folder / "oidc.keys").chmod(0o600)
    oidc = {"clients": list(clients or (WEB, SPA)), **overrides.pop("oidc", {})}
    async with running_gateway(folder, clock=clock, oidc=oidc, **overrides) as rig:
        yield rig


@dataclass
class Pkce:
    verifier: str
    challenge: str


def pkce() -> Pkce:
    verifier = secrets.token_urlsafe(48)
    digest = hashlib.sha256(verifier.encode()).digest()
    return Pkce(verifier, base64.urlsafe_b64encode(digest).rstrip(b"=").decode())


def authorize_path(proof: Pkce | None, **params: str | None) -> str:
    query: dict[str, str | None] = {
        "client_id": "web",
        "redirect_uri": CALLBACK,
        "response_type": "code",
        "scope": "openid profile email",
        "state": "st4te",
        "nonce": "n0nce",
        **({"code_challenge": proof.challenge, "code_challenge_method": "S256"} if proof else {}),
        **params,
    }
    kept = {name: value for name, value in query.items() if value is not None}
    return f"/_auth/oidc/authorize?{urlencode(kept)}"


def answer_of(response: aiohttp.ClientResponse) -> dict[str, str]:
    """The parameters that a redirect to the app carries."""
    location = response.headers["Location"]
    assert location.startswith(("https://app.example.com/", "http://127.0.0.1")), location
    return {name: values[0] for name, values in parse_qs(urlsplit(location).query).items()}


class AppCalls:
    """The back channel of an app: the calls that it makes without a browser."""

    def __init__(self, rig: Rig, id: str = "web", secret: str | None = SECRET) -> None:
        self.rig, self.id, self.secret = rig, id, secret

    async def post(self, path: str, **form: str | None) -> tuple[int, dict[str, Any]]:
        kept = {name: value for name, value in form.items() if value is not None}
        headers = {}
        if self.secret is None:
            kept.setdefault("client_id", self.id)
        else:
            pair = base64.b64encode(f"{self.id}:{self.secret}".encode()).decode()
            headers["Authorization"] = f"Basic {pair}"
        async with (
            aiohttp.ClientSession() as web,
            web.post(f"{self.rig.url}/_auth/oidc/{path}", data=kept, headers=headers) as response,
        ):
            return response.status, await response.json()

    async def redeem(self, code: str, verifier: str | None, **more: str | None) -> tuple[int, dict[str, Any]]:
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": CALLBACK}
        return await self.post("token", **{**form, "code_verifier": verifier, **more})

    async def refresh(self, token: str, **more: str) -> tuple[int, dict[str, Any]]:
        return await self.post("token", grant_type="refresh_token", refresh_token=token, **more)

    async def userinfo(self, token: str) -> tuple[int, dict[str, Any]]:
        headers = {"Authorization": f"Bearer {token}"}
        async with (
            aiohttp.ClientSession() as web,
            web.get(f"{self.rig.url}/_auth/oidc/userinfo", headers=headers) as response,
        ):
            return response.status, await response.json()


async def code_for(browser: Browser, proof: Pkce | None, **params: str | None) -> str:
    """The code that a browser with a session gets."""
    answer = answer_of(await browser.get(authorize_path(proof, **params)))
    assert "code" in answer, answer
    return answer["code"]


async def tokens_for(browser: Browser, calls: AppCalls, **params: str | None) -> dict[str, Any]:
    proof = pkce()
    code = await code_for(browser, proof, client_id=calls.id, **params)
    status, tokens = await calls.redeem(code, proof.verifier)
    assert status == 200, tokens
    return tokens


def claims_of(token: str) -> dict[str, Any]:
    part = token.split(".")[1]
    claims: dict[str, Any] = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return claims


async def events(rig: Rig) -> list[str]:
    """What the audit trail says, oldest first."""
    while rig.gateway.services.audit._queue:
        await asyncio.sleep(0.01)
    return [row.event for row in await rig.gateway.stores.audit_log.tail(1000)]
