"""Routes for programs, a token, and requests that show credentials."""

import base64
from dataclasses import replace
from typing import Any

import aiohttp

from gateway.authn.api_credentials import token_digest
from gateway.authn.shown_credentials import PREFIX
from gateway.keyring import KeyRing
from gateway.stores.protocols.tokens import ApiToken
from gateway.stores.sql.engine import open_engine
from gateway.stores.sql.tokens import SqlTokens
from tests.rig import Rig

SECRET = "s" * 43
TOKEN = f"{PREFIX}0123456789abcdef_{SECRET}"


def route(path: str, require: str, **more: Any) -> dict[str, Any]:
    policy = {"require": require, **more.pop("policy", {})}
    return {"host": "*", "path": path, "upstream": "UPSTREAM", "policy": policy, **more}


ROUTES = [
    route("/one", "one_factor", tokens=True, basic=True),
    route("/machine", "two_factor", tokens=True, basic=True, policy={"machine_suffices": True}),
    route("/two", "two_factor", tokens=True, basic=True),
    route("/closed", "one_factor"),
    route("/cors", "two_factor", cors_preflight=True),
    route("/denied", "deny", cors_preflight=True),
    route("/members", "one_factor", tokens=True, policy={"groups": ["robots"]}),
]


async def add_token(rig: Rig, **changes: Any) -> None:
    ring = KeyRing.load_or_create(rig.config.session.keys_file, rig.clock)
    token = ApiToken(
        "0123456789abcdef",
        "ci",
        token_digest(ring.derive(b"tokens"), SECRET),
        (),
        ("*/one", "*/two", "*/machine", "*/members"),
        (),
        rig.clock(),
        0.0,
    )
    engine = open_engine(rig.config.storage.url)
    await SqlTokens(engine).add(replace(token, **changes))
    await engine.dispose()


async def revoke(rig: Rig) -> None:
    engine = open_engine(rig.config.storage.url)
    assert await SqlTokens(engine).revoke("ci", rig.clock())
    await engine.dispose()


async def get(
    rig: Rig, path: str, authorization: str, method: str = "GET", **headers: str
) -> tuple[int, Any]:
    async with aiohttp.ClientSession() as client:
        sent = {"Authorization": authorization, "Accept": "*/*", **headers}
        async with client.request(method, rig.url + path, headers=sent, allow_redirects=False) as response:
            body = await response.json() if response.status == 200 else response.headers
            return response.status, body


def basic(username: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{username}:{password}".encode()).decode()


def seen_headers(body: dict[str, Any]) -> dict[str, str]:
    return {name.lower(): value for name, value in body["headers"]}
