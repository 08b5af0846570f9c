"""Real relying parties sign in through the gateway: authlib, openid-client, Apache's mod_auth_openidc."""

import asyncio
import re
import time
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import aiohttp
from authlib.integrations.requests_client import OAuth2Session  # type: ignore[import-untyped]
from authlib.oidc.core import CodeIDToken  # type: ignore[import-untyped]
from joserfc import jwt
from joserfc.jwk import KeySet

from gateway.oidc.clients import secret_hash
from tests.oidc_rig import CALLBACK, SECRET, WEB, provider
from tests.relying_parties.programs import apache, node_app, until_it_answers
from tests.rig import Browser, FakeClock
from tests.waiting import free_port


def real_time() -> FakeClock:
    """Relying parties have the machine's clock."""
    return FakeClock(time.time())


async def fetched(url: str) -> Any:
    async with aiohttp.ClientSession() as web, web.get(url) as response:
        return await response.json()


async def get(browser: Browser, url: str, *, hops: int = 12) -> aiohttp.ClientResponse:
    """Follow redirects from site to site as a browser does."""
    for _ in range(hops):
        response = await browser.session.get(url, headers={"Accept": "text/html"}, allow_redirects=False)
        await response.read()
        if response.status not in (302, 303):
            return response
        url = urljoin(url, response.headers["Location"])
    raise AssertionError(f"too many redirects, the last one to {url}")


async def test_authlib_signs_in_refreshes_and_checks_the_id_token(tmp_path: Path) -> None:
    async with provider(tmp_path, clock=real_time()) as rig, rig.browser() as browser:
        await rig.add_user(email="alice@example.com")
        await browser.sign_in()
        scope = "openid email offline_access"
        client = OAuth2Session(
            "web", SECRET, scope=scope, redirect_uri=CALLBACK, code_challenge_method="S256"
        )
        found = await fetched(f"{rig.url}/.well-known/openid-configuration")
        verifier = "v" * 64
        url, state = client.create_authorization_url(
            found["authorization_endpoint"], code_verifier=verifier, nonce="n"
        )
        answer = (await browser.session.get(url, allow_redirects=False)).headers["Location"]
        call = asyncio.to_thread  # authlib's client blocks
        token = await call(
            client.fetch_token,
            found["token_endpoint"],
            authorization_response=answer,
            state=state,
            code_verifier=verifier,
        )
        decoded = jwt.decode(
            token["id_token"], KeySet.import_key_set(await fetched(found["jwks_uri"])), algorithms=["RS256"]
        )
        options = {"iss": {"value": rig.url}, "aud": {"value": "web"}}
        params = {"nonce": "n", "client_id": "web", "access_token": token["access_token"]}
        CodeIDToken(decoded.claims, decoded.header, options, params).validate()
        info = await call(client.get, found["userinfo_endpoint"])
        assert info.json()["email"] == "alice@example.com"
        before = token["refresh_token"]
        fresh = await call(client.refresh_token, found["token_endpoint"])
        assert fresh["refresh_token"] != before
        facts = await call(client.introspect_token, found["introspection_endpoint"], fresh["access_token"])
        assert facts.json()["active"] is True
        await call(client.revoke_token, found["revocation_endpoint"], fresh["refresh_token"])
        assert (await call(client.get, found["userinfo_endpoint"])).status_code == 401


async def test_openid_client_signs_in_refreshes_revokes_and_hears_of_a_revoked_session(
    tmp_path: Path,
) -> None:
    port = free_port()
    app = {
        **WEB,
        "redirect_uris": [f"http://127.0.0.1:{port}/callback"],
        "backchannel_logout_uri": f"http://127.0.0.1:{port}/backchannel",
        "id_token_alg": "ES256",
    }
    async with provider(tmp_path, app, clock=real_time()) as rig, rig.browser() as browser:
        await rig.add_user()
        await browser.sign_in()
        folder = tmp_path / "node"
        folder.mkdir()
        with node_app(folder, rig.url, port, "web", SECRET) as home:
            await until_it_answers(f"{home}/ended")
            page = await (await get(browser, home)).text()
            assert "Hello alice" in page, page
            assert await (await get(browser, f"{home}/refresh")).text() == '{"rotated":true,"active":true}'
            await rig.gateway.stores.sessions.delete_for_user("alice")
            ended = "null"
            while ended == "null":
                await asyncio.sleep(0.05)
                ended = await (await get(browser, f"{home}/ended")).text()
            assert re.search('"sub":"[0-9a-f]{32}"', ended)
            assert '"sid":"' in ended


async def test_apache_lets_users_in_and_ends_their_session_with_ours(tmp_path: Path) -> None:
    port = free_port()
    app = {
        **WEB,
        "id": "apache",
        "secrets": [secret_hash("apache-secret")],
        "redirect_uris": [f"http://127.0.0.1:{port}/redirect"],
        "backchannel_logout_uri": f"http://127.0.0.1:{port}/redirect?logout=backchannel",
    }
    async with provider(tmp_path, app, clock=real_time()) as rig, rig.browser() as browser:
        await rig.add_user(groups=("staff",))
        await browser.sign_in()
        with apache(rig.url, port, "apache", "apache-secret") as home:
            await until_it_answers(home)
            response = await get(browser, f"{home}/")
            assert response.status == 200, await response.text()
            assert response.headers["X-Remote-User"] == "alice"
            await rig.gateway.stores.sessions.delete_for_user("alice")
            while (await browser.session.get(f"{home}/", allow_redirects=False)).status == 200:
                await asyncio.sleep(0.05)
