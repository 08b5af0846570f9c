"""An access token opens the route that it was made for, to whom the route's policy lets in, and nothing else."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.oidc_rig import CALLBACK, SPA, AppCalls, authorize_path, pkce, provider, tokens_for
from tests.rig import Rig

ROUTES: list[dict[str, Any]] = [
    {"path": "/mcp", "upstream": "UPSTREAM", "oauth": {"scopes": ["numbers"]}},
    {"path": "/other", "upstream": "UPSTREAM", "oauth": {"scopes": ["numbers"]}},
    {"path": "/staff", "upstream": "UPSTREAM", "oauth": {}, "policy": {"groups": ["staff"]}},
    {"path": "/fresh", "upstream": "UPSTREAM", "oauth": {}, "policy": {"max_age": "5m"}},
    {"path": "/open", "upstream": "UPSTREAM", "oauth": {}, "policy": {"require": "bypass"}},
    {"path": "/plain", "upstream": "UPSTREAM"},
]
WELL_KNOWN = "/.well-known/oauth-protected-resource"


def client() -> dict[str, Any]:
    paths = ("/mcp", "/staff", "/fresh", "/open", "/plain")
    return {
        **SPA,
        "redirect_uris": [CALLBACK],
        "scopes": ["openid", "numbers", "offline_access"],
        "audience": [f"http://gate.test{path}" for path in paths],
    }


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    server = {"public_url": "http://gate.test", "allow_plain_http": True}
    async with provider(tmp_path, client(), routes=ROUTES, server=server) as rig:
        await rig.add_user("alice")
        yield rig


async def asked(rig: Rig, path: str, token: str, **more: str) -> aiohttp.ClientResponse:
    headers = {"Host": "gate.test", "Accept": "application/json", "Authorization": f"Bearer {token}", **more}
    async with aiohttp.ClientSession() as web, web.get(rig.url + path, headers=headers) as response:
        await response.read()
        return response


async def token(rig: Rig, path: str, scope: str = "openid numbers", *, second: bool = True) -> str:
    """An access token for the route at `path`."""
    async with AtHome(rig) as browser:
        await browser.password()
        if second:
            await browser.code(rd="/mcp")
        tokens = await tokens_for(
            browser, HomeCalls(rig, "spa", None), scope=scope, resource=f"http://gate.test{path}"
        )
        return str(tokens["access_token"])


class HomeCalls(AppCalls):
    """Calls the provider by the name in its public_url."""

    async def post(self, path: str, **form: str | None) -> tuple[int, dict[str, Any]]:
        kept = {name: value for name, value in form.items() if value is not None} | {"client_id": self.id}
        async with (
            aiohttp.ClientSession(headers={"Host": "gate.test"}) as web,
            web.post(f"{self.rig.url}/_auth/oidc/{path}", data=kept) as response,
        ):
            return response.status, await response.json()


class AtHome:
    """A browser that calls the gateway by the name in its public_url."""

    def __init__(self, rig: Rig) -> None:
        self.browser = rig.browser()
        self.browser.session.headers["Host"] = "gate.test"
        self.browser.session.headers["Origin"] = "http://gate.test"

    async def __aenter__(self) -> Any:
        real = self.browser.post

        async def post(path: str, form: dict[str, str], **headers: str) -> aiohttp.ClientResponse:
            return await real(path, form, **{"Origin": "http://gate.test", **headers})

        self.browser.post = post  # type: ignore[method-assign]
        return await self.browser.__aenter__()

    async def __aexit__(self, *_: object) -> None:
        await self.browser.session.close()


async def test_a_program_without_a_token_is_told_where_to_get_one(rig: Rig) -> None:
    refused = await asked(rig, "/mcp/sse", "")
    async with aiohttp.ClientSession(headers={"Host": "gate.test", "Accept": "application/json"}) as web:
        async with web.post(f"{rig.url}/mcp") as nothing:
            challenge = nothing.headers["WWW-Authenticate"]
            assert nothing.status == 401
        assert refused.status == 401
        place = f"http://gate.test{WELL_KNOWN}/mcp"
        assert f'Bearer resource_metadata="{place}", scope="numbers"' in challenge
        async with web.get(f"{rig.url}{WELL_KNOWN}/mcp") as answer:
            assert await answer.json() == {
                "resource": "http://gate.test/mcp",
                "authorization_servers": ["http://gate.test"],
                "bearer_methods_supported": ["header"],
                "resource_name": "*/mcp",
                "scopes_supported": ["numbers"],
            }
        for path in (WELL_KNOWN, f"{WELL_KNOWN}/plain", f"{WELL_KNOWN}/mcp/x", f"{WELL_KNOWN}x/mcp"):
            async with web.get(rig.url + path) as answer:
                assert answer.status in (401, 404), path
        async with web.post(f"{rig.url}{WELL_KNOWN}/mcp") as answer:
            assert answer.status == 405
    assert rig.upstream.requests == []


async def test_a_token_opens_its_own_route_and_never_reaches_the_app(rig: Rig) -> None:
    good = await token(rig, "/mcp")
    answer = await asked(rig, "/mcp", good)
    assert answer.status == 200
    seen = dict((await answer.json())["headers"])
    assert seen["Remote-User"] == "alice"
    assert "Authorization" not in seen
    for path in ("/other", "/staff", "/plain"):
        assert (await asked(rig, path, good)).status == 401, path
    assert "/mcp" in rig.upstream.requests[0]
    assert len(rig.upstream.requests) == 1


async def test_what_is_no_good_access_token_opens_nothing(rig: Rig) -> None:
    good = await token(rig, "/mcp")
    head, body, signature = good.split(".")
    async with AtHome(rig) as browser:
        await browser.password()
        await browser.code(rd="/mcp")
        without = await tokens_for(browser, HomeCalls(rig, "spa", None), scope="openid numbers")
        for text in (
            without[
                "access_token"
            ],  # for no resource, so for all of the client's: they are named, "/other" is not
            without["id_token"],
        ):
            assert (await asked(rig, "/other", text)).status == 401
        cookie = "; ".join(f"{one.key}={one.value}" for one in browser.session.cookie_jar)
    for text in (
        f"{head}.{body}.",
        f"{head}.{body}.{signature[:-4]}AAAA",
        f"eyJhbGciOiJub25lIn0.{body}.",
        "x",
        "ü",
    ):
        refused = await asked(rig, "/mcp", text)
        assert refused.status == 401
        assert 'error="invalid_token"' in refused.headers["WWW-Authenticate"]
        # Wrong credentials are refused also where a session would do: they were meant to count.
        assert (await asked(rig, "/mcp", text, Cookie=cookie)).status == 401
    rig.clock.advance(3601)
    assert (await asked(rig, "/mcp", good)).status == 401
    assert rig.upstream.requests == []


async def test_a_token_without_the_routes_scopes_is_told_which(rig: Rig) -> None:
    refused = await asked(rig, "/mcp", await token(rig, "/mcp", "openid"))
    assert refused.status == 403
    assert 'error="insufficient_scope"' in refused.headers["WWW-Authenticate"]
    assert 'scope="numbers"' in refused.headers["WWW-Authenticate"]


async def test_the_routes_policy_is_asked_of_the_sign_in_behind_the_token(rig: Rig) -> None:
    assert (await asked(rig, "/staff", await token(rig, "/staff"))).status == 403
    fresh = await token(rig, "/fresh")
    assert (await asked(rig, "/fresh", fresh)).status == 200
    rig.clock.advance(301)
    old = await asked(rig, "/fresh", fresh)  # RFC 9470
    assert old.status == 401
    assert 'error="insufficient_user_authentication"' in old.headers["WWW-Authenticate"]
    assert 'max_age="300"' in old.headers["WWW-Authenticate"]


async def test_a_token_ends_with_its_session_and_with_its_user(rig: Rig) -> None:
    good = await token(rig, "/mcp", "openid numbers")
    kept = await token(rig, "/mcp", "openid numbers offline_access")
    assert (await asked(rig, "/mcp", good)).status == 200
    await rig.gateway.stores.sessions.delete_for_user("alice")
    for text in (good, kept):
        assert (await asked(rig, "/mcp", text)).status == 401


async def test_only_resources_of_the_client_are_granted(rig: Rig) -> None:
    async with AtHome(rig) as browser:
        await browser.password()
        await browser.code(rd="/mcp")
        path = authorize_path(pkce(), client_id="spa", scope="openid", resource="http://gate.test/other")
        assert "error=invalid_target" in (await browser.get(path)).headers["Location"]
