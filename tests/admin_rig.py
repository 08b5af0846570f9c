"""Administrators for tests: a browser that is signed in to the console, and its forms."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

from gateway.authn.api_credentials import token_digest
from gateway.authn.shown_credentials import PREFIX
from gateway.keyring import KeyRing
from gateway.stores.protocols.tokens import ApiToken
from gateway.stores.sql.engine import open_engine
from gateway.stores.sql.tokens import SqlTokens
from tests.rig import Browser, Rig, running_gateway

ADMIN = "/_auth/admin"
API = f"{ADMIN}/api/v1"


@asynccontextmanager
async def administered(folder: Path, **overrides: Any) -> AsyncIterator[tuple[Rig, Browser]]:
    """A gateway with the users alice (an administrator, signed in) and bob."""
    async with running_gateway(folder, **overrides) as rig, rig.browser() as browser:
        await rig.add_user("alice", groups=("admins",))
        await rig.add_user("bob", email="bob@example.test", groups=("staff",))
        await browser.sign_in(rd=ADMIN)
        yield rig, browser


async def shown(browser: Browser, path: str = "") -> str:
    response = await browser.get(ADMIN + path)
    assert response.status == 200, (response.status, response.headers.get("Location"))
    return await response.text()


async def act(browser: Browser, path: str, do: str, **fields: str) -> tuple[int, str]:
    """Post a form of the page at `path`: the status, and where it leads or the page that came back."""
    token = (await (await browser.get(f"{API}/me", Accept="*/*")).json())["csrf_token"]
    response = await browser.post(ADMIN + path, {"csrf_token": token, "do": do, **fields})
    return response.status, response.headers.get("Location") or await response.text()


SECRET = "s" * 43


async def add_token(
    rig: Rig, *scopes: str, name: str = "ci", id: str = "0123456789abcdef", methods: tuple[str, ...] = ()
) -> dict[str, str]:
    """An API token; the header that shows it."""
    ring = KeyRing.load_or_create(rig.config.session.keys_file, rig.clock)
    digest = token_digest(ring.derive(b"tokens"), SECRET)
    token = ApiToken(id, name, digest, (), (), methods, rig.clock(), 0.0, scopes=scopes)
    engine = open_engine(rig.config.storage.url)
    await SqlTokens(engine).add(token)
    await engine.dispose()
    return {"Authorization": f"Bearer {PREFIX}{id}_{SECRET}"}


async def api(
    client: aiohttp.ClientSession, rig: Rig, method: str, path: str, headers: dict[str, str], **more: Any
) -> tuple[int, Any, Any]:
    """Status, body and headers."""
    async with client.request(method, rig.url + API + path, headers=headers, **more) as response:
        body = await response.json() if "json" in response.content_type else await response.text()
        return response.status, body, response.headers
