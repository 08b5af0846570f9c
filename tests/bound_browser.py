"""A browser with Device Bound Session Credentials, by script: it makes a key, registers it and signs challenges.

It writes the fields as Chromium 156 does, without the quotes of RFC 9651.
"""

import base64
import json
import re
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

from tests.rig import HTML, Browser, Rig

REGISTER, REFRESH = "/_auth/device-key", "/_auth/device-key/refresh"
NAMES = ("auth_session", "auth_session_bound")


def encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _number(value: int, size: int) -> str:
    return encoded(value.to_bytes(size, "big"))


@dataclass
class SigningKey:
    """A key pair as a browser has it. `alg` is what its tokens say."""

    private: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey = field(
        default_factory=lambda: ec.generate_private_key(ec.SECP256R1())
    )
    alg: str = ""

    @property
    def jwk(self) -> dict[str, str]:
        if isinstance(self.private, rsa.RSAPrivateKey):
            numbers = self.private.public_key().public_numbers()
            size = (numbers.n.bit_length() + 7) // 8
            return {"kty": "RSA", "n": _number(numbers.n, size), "e": _number(numbers.e, 4)}
        point = self.private.public_key().public_numbers()
        size = (self.private.key_size + 7) // 8
        curve = {256: "P-256", 384: "P-384"}[self.private.key_size]
        return {"kty": "EC", "crv": curve, "x": _number(point.x, size), "y": _number(point.y, size)}

    def sign(self, data: bytes) -> bytes:
        if isinstance(self.private, rsa.RSAPrivateKey):
            return self.private.sign(data, padding.PKCS1v15(), SHA256())
        r, s = decode_dss_signature(self.private.sign(data, ec.ECDSA(SHA256())))
        size = (self.private.key_size + 7) // 8
        return r.to_bytes(size, "big") + s.to_bytes(size, "big")

    def proof(self, challenge: object, *, show: bool = False, **changes: Any) -> str:
        """The token; `changes` go into header and claims by their name, None takes one out."""
        alg = self.alg or ("RS256" if isinstance(self.private, rsa.RSAPrivateKey) else "ES256")
        header: dict[str, Any] = {"alg": alg, "typ": "dbsc+jwt", **({"jwk": self.jwk} if show else {})}
        claims: dict[str, Any] = {"jti": challenge}
        for name, value in changes.items():
            (header if name in ("alg", "typ", "jwk", "kid") else claims)[name] = value
        parts = [{k: v for k, v in one.items() if v is not None} for one in (header, claims)]
        signed = ".".join(encoded(json.dumps(part).encode()) for part in parts)
        return f"{signed}.{encoded(self.sign(signed.encode()))}"


def offered(response: aiohttp.ClientResponse) -> tuple[str, str]:
    """Where a key is asked for, and the challenge."""
    said = response.headers.get("Secure-Session-Registration", "")
    found = re.fullmatch(r'\(ES256 RS256\);path="([^"]+)";challenge="([^"]+)"', said)
    return (found[1], found[2]) if found else ("", "")


@dataclass
class BoundBrowser:
    """What a thief has not: the key. What a thief may have: `cookies`."""

    rig: Rig
    cookies: dict[str, str]
    key: SigningKey = field(default_factory=SigningKey)
    id: str = ""
    config: dict[str, Any] = field(default_factory=dict)

    @classmethod
    async def signed_in(cls, rig: Rig, browser: Browser, username: str = "alice") -> "BoundBrowser":
        """Sign in, and register a key for the challenge of the last step."""
        await browser.password(username)
        last = await browser.code()
        this = cls(rig, {"auth_session": browser.cookie()})
        await this.register(last)
        return this

    async def register(self, last: aiohttp.ClientResponse) -> None:
        """Register the key that the last answer of the sign-in asks for."""
        path, challenge = offered(last)
        assert path == REGISTER
        shown = {"Secure-Session-Response": f'"{self.key.proof(challenge, show=True)}"'}
        answer = await self.post(path, shown)
        assert answer.status == 200, await answer.text()
        self.config = await answer.json()
        self.id = self.config["session_identifier"]

    def header(self, *names: str) -> str:
        return "; ".join(f"{name}={self.cookies[name]}" for name in names or NAMES if name in self.cookies)

    async def ask(self, path: str = "/", *names: str, **headers: str) -> aiohttp.ClientResponse:
        """GET with the named cookies, or with all."""
        return await self._send("GET", path, {**HTML, "Cookie": self.header(*names), **headers})

    async def post(self, path: str, headers: dict[str, str], *names: str) -> aiohttp.ClientResponse:
        return await self._send("POST", path, {"Cookie": self.header(*names), **headers})

    async def _send(self, method: str, path: str, headers: dict[str, str]) -> aiohttp.ClientResponse:
        async with (
            aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as client,
            client.request(method, self.rig.url + path, headers=headers, allow_redirects=False) as response,
        ):
            await response.read()
            for name, morsel in response.cookies.items():
                if name in NAMES:
                    self.cookies[name] = morsel.value
            return response

    async def challenge(self, id: str = "") -> str:
        """What is to be signed for the next bound cookie."""
        answer = await self.post(REFRESH, {"Sec-Secure-Session-Id": id or self.id})
        assert answer.status == 403
        found = re.fullmatch(r'"([^"]+)";id="([^"]+)"', answer.headers["Secure-Session-Challenge"])
        assert found is not None
        assert found[2] == (id or self.id)
        return found[1]

    async def answers(self, proof: str, id: str = "") -> aiohttp.ClientResponse:
        """Show a proof for a bound cookie."""
        headers = {"Sec-Secure-Session-Id": id or self.id, "Secure-Session-Response": proof}
        return await self.post(REFRESH, headers)

    async def refresh(self) -> aiohttp.ClientResponse:
        return await self.answers(self.key.proof(await self.challenge()))
