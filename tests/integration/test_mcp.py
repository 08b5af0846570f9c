"""An MCP server that knows nothing of sign-ins is protected by its route, and the real MCP client finds its way in."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.oidc_rig import events, provider
from tests.rig import Browser, FakeClock, Rig, csrf_of, listening_socket
from tests.waiting import PATIENCE

pytest.importorskip("mcp", reason="the MCP SDK is not installed (pip install mcp)")

import httpx2
import uvicorn
from mcp import ClientSession
from mcp.client.auth import AuthorizationCodeResult, OAuthClientProvider
from mcp.client.streamable_http import streamable_http_client
from mcp.server.mcpserver import Context, MCPServer
from mcp.server.transport_security import TransportSecuritySettings
from mcp.shared.auth import OAuthClientMetadata

BACK = "http://127.0.0.1:53682/callback"


@asynccontextmanager
async def mcp_server() -> AsyncIterator[str]:
    """A server as people write them, without a line about who may call."""
    server = MCPServer("numbers")

    @server.tool()
    def add(a: int, b: int, context: Context) -> str:
        headers = context.headers or {}
        shown = {name: headers.get(name, "") for name in ("remote-user", "authorization")}
        return f"{a + b} for {shown['remote-user']}, authorization {shown['authorization'] or 'none'}"

    security = TransportSecuritySettings(enable_dns_rebinding_protection=False)
    app = server.streamable_http_app(json_response=True, stateless_http=True, transport_security=security)
    sock = listening_socket()
    program = uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="on"))
    running = asyncio.get_running_loop().create_task(program.serve(sockets=[sock]))
    try:
        yield f"http://127.0.0.1:{sock.getsockname()[1]}"
    finally:
        program.should_exit = True
        await asyncio.wait_for(running, PATIENCE)


class Stored:
    """What a client keeps between its runs."""

    def __init__(self) -> None:
        self.tokens: Any = None
        self.client: Any = None

    async def get_tokens(self) -> Any:
        return self.tokens

    async def set_tokens(self, tokens: Any) -> None:
        self.tokens = tokens

    async def get_client_info(self) -> Any:
        return self.client

    async def set_client_info(self, client_info: Any) -> None:
        self.client = client_info


class Person:
    """Follows the client's link in a browser, and says yes."""

    def __init__(self, browser: Browser) -> None:
        self.browser, self.asked, self.back = browser, "", ""

    async def follow(self, url: str) -> None:
        self.asked = url
        parts = urlsplit(url)
        page = await self.browser.get(f"{parts.path}?{parts.query}")
        text = await page.text()
        assert "127.0.0.1:53682" in text, text[:600]
        assert "Numbers client" in text
        form = {"csrf_token": csrf_of(text), "continue": sealed_of(text), "do": "allow"}
        self.back = (await self.browser.post("/_auth/oidc/consent", form)).headers["Location"]

    async def answer(self) -> AuthorizationCodeResult:
        fields = {name: values[0] for name, values in parse_qs(urlsplit(self.back).query).items()}
        return AuthorizationCodeResult(code=fields["code"], state=fields["state"], iss=fields["iss"])


def sealed_of(page: str) -> str:
    return page.partition('name="continue" value="')[2].partition('"')[0]


async def call(rig: Rig, stored: Stored, person: Person) -> str:
    """What a client does that has only been told the server's address."""
    metadata = OAuthClientMetadata(client_name="Numbers client", redirect_uris=[BACK])
    auth = OAuthClientProvider(f"{rig.url}/mcp", metadata, stored, person.follow, person.answer)
    async with (
        httpx2.AsyncClient(auth=auth, timeout=PATIENCE) as web,
        streamable_http_client(f"{rig.url}/mcp", http_client=web) as (read, write, *_),
        ClientSession(read, write) as session,
    ):
        await session.initialize()
        answer = await session.call_tool("add", {"a": 2, "b": 3})
        return str(answer.content[0].text)


@asynccontextmanager
async def protected(folder: Path, **more: Any) -> AsyncIterator[Rig]:
    async with mcp_server() as server:
        routes = [{"path": "/mcp", "upstream": server, "oauth": {"scopes": ["numbers"], "name": "Numbers"}}]
        registration = {"register": True, "loopback": True, "scopes": ["openid", "offline_access"], **more}
        oidc = {"self_registration": registration, "scopes": {"numbers": "Add numbers"}, "clients": []}
        async with provider(folder, clock=FakeClock(time.time()), routes=routes, oidc=oidc) as rig:
            yield rig


async def test_a_client_that_knows_the_address_alone_gets_in_with_its_users_consent(tmp_path: Path) -> None:
    async with protected(tmp_path) as rig, rig.browser() as browser:
        await rig.add_user("alice")
        await browser.sign_in(rd="/mcp")
        stored, person = Stored(), Person(browser)
        said = await asyncio.wait_for(call(rig, stored, person), PATIENCE)
        # The server hears of the user, and never gets the token, with which it could act as the user elsewhere.
        assert said == "5 for alice, authorization none"
        assert "resource=" in person.asked
        assert stored.client.client_id.startswith("dyn-")
        assert stored.client.client_secret is None
        assert stored.tokens.refresh_token
        heard = await events(rig)
        assert [one for one in heard if one.startswith("oidc_client")] == ["oidc_client_registered"]
        # A second run of the same client asks nobody.
        again = Person(browser)
        assert await asyncio.wait_for(call(rig, stored, again), PATIENCE) == said
        assert again.asked == ""
        # What the user takes back is gone at once: the client has to ask again.
        page = await (await browser.get("/_auth/oidc/grants")).text()
        form = {"csrf_token": csrf_of(page), "client": stored.client.client_id}
        await browser.post("/_auth/oidc/grants", form)
        once_more = Person(browser)
        assert await asyncio.wait_for(call(rig, stored, once_more), PATIENCE) == said
        assert once_more.asked != ""
