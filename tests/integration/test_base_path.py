"""The gateway below a path of a host (`public_url: https://h/sso`, `prefix: /sso/auth`), behind a real nginx."""

import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import aiohttp
import pytest
import pytest_asyncio
from yarl import URL

from tests.base_path_rig import BASE, BESIDE, PREFIX, Crawler, below_a_path, crawler, is_below
from tests.engine_rig import behind_envoy
from tests.integration.engines import ENGINES, behind
from tests.oidc_rig import CALLBACK, authorize_path, pkce
from tests.rig import HTML, Rig

pytestmark = [pytest.mark.xdist_group("processes"), pytest.mark.asyncio(loop_scope="module")]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def rig(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Rig]:
    async with below_a_path(tmp_path_factory.mktemp("below")) as running:
        await running.add_user("alice", groups=("admins",), email="alice@example.test")
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def alice(rig: Rig) -> AsyncIterator[Crawler]:
    async with crawler(rig) as one:
        await one.sign_in()
        yield one


async def get(rig: Rig, path: str, **headers: str) -> aiohttp.ClientResponse:
    async with (
        aiohttp.ClientSession() as session,
        session.get(rig.url + path, headers={**HTML, **headers}, allow_redirects=False) as said,
    ):
        await said.read()
        return said


async def test_no_link_form_or_redirect_of_any_page_leaves_the_path(alice: Crawler) -> None:
    starts = (BASE, f"{BASE}/", f"{PREFIX}/", f"{PREFIX}/account", f"{PREFIX}/admin", f"{PREFIX}/tokens")
    more = (
        "login",
        "enrol",
        "access",
        "approvals",
        "reset",
        "oidc/grants",
        "admin/api/openapi.json",
        "nowhere",
    )
    found = await alice.crawl(*starts, *(f"{PREFIX}/{page}" for page in more))
    assert len(found.pages) > 40
    assert found.leaving == set()
    assert {url for url in found.abroad if "127.0.0.1" in url} == set()
    # What a crawler can't know: a page that is not there, forms that take no GET, whom to choose for a bulk act.
    strange = {urlsplit(url).path for url, status in found.failed.items() if status not in (404, 405, 403)}
    strange -= {f"{PREFIX}/admin/users/bulk"}
    assert strange == set()


async def test_every_cookie_is_for_the_path_alone_and_the_app_beside_gets_none(alice: Crawler) -> None:
    assert alice.found.cookie_paths <= {BASE, PREFIX, f"{PREFIX}/"}
    assert BASE in alice.found.cookie_paths
    async with alice.session.get(f"{alice.rig.url}/other") as beside:
        assert await beside.text() == BESIDE
        assert beside.headers.get("X-Saw-Cookie", "") == ""


async def test_an_app_below_the_path_is_reached_with_the_session(alice: Crawler) -> None:
    async with alice.session.get(f"{alice.rig.url}{BASE}/wiki/page", headers=HTML) as said:
        seen = json.loads(await said.text())
    assert seen["path"] == f"{BASE}/wiki/page"
    assert ["Remote-User", "alice"] in seen["headers"]
    assert not any(name == "Cookie" for name, _ in seen["headers"])


async def test_a_stranger_is_sent_to_sign_in_below_the_path_and_comes_back(rig: Rig) -> None:
    said = await get(rig, f"{BASE}/wiki/page?x=1")
    where = urlsplit(said.headers["Location"])
    assert (said.status, where.path) == (303, f"{PREFIX}/login")
    assert parse_qs(where.query)["rd"] == [f"{BASE}/wiki/page?x=1"]


@pytest.mark.parametrize(
    ("rd", "kept"),
    [
        (f"{BASE}/wiki/a", f"{BASE}/wiki/a"),
        (f"{PREFIX}/account", f"{PREFIX}/account"),
        (f"{BASE}/", f"{BASE}/"),
        ("/", f"{BASE}/"),
        ("/other", f"{BASE}/"),
        ("/ssox", f"{BASE}/"),
        ("/sso%2f..%2fother", f"{BASE}/"),
        ("/sso/../other", f"{BASE}/"),
        ("/sso/%2e%2e/other", f"{BASE}/"),
        ("HERE/other", f"{BASE}/"),
        ("//evil.test/sso", f"{BASE}/"),
        ("https://evil.test/sso/", f"{BASE}/"),
    ],
)
async def test_a_sign_in_leads_to_nothing_but_what_is_ours(alice: Crawler, rd: str, kept: str) -> None:
    rd = rd.replace("HERE", alice.rig.url)
    alice.session.cookie_jar.clear(lambda cookie: cookie.key.endswith("_trail"))  # so often nobody signs in
    async with alice.session.get(
        f"{alice.rig.url}{PREFIX}/login", params={"rd": rd}, headers=HTML, allow_redirects=False
    ) as said:
        assert said.headers["Location"] == kept


async def test_the_provider_has_the_path_in_its_name_and_is_found_at_both_places(rig: Rig) -> None:
    issuer = f"{rig.url}{BASE}"
    paths = (
        f"{BASE}/.well-known/openid-configuration",
        f"{BASE}/.well-known/oauth-authorization-server",
        f"/.well-known/oauth-authorization-server{BASE}",
    )
    async with aiohttp.ClientSession() as session:
        for path in paths:
            inside = f"http://127.0.0.1:{rig.config.server.listen.rpartition(':')[2]}"  # type: ignore[union-attr]
            async with session.get(inside + path, headers={"Host": urlsplit(rig.url).netloc}) as said:
                described: dict[str, Any] = await said.json()
            assert described["issuer"] == issuer
            endpoints = [value for name, value in described.items() if name.endswith(("_endpoint", "_uri"))]
            assert len(endpoints) > 6
            assert all(one.startswith(f"{rig.url}{PREFIX}/oidc/") for one in endpoints)
        async with session.get(described["jwks_uri"]) as said:
            assert (await said.json())["keys"]


async def test_an_app_signs_its_users_in_through_the_provider(alice: Crawler) -> None:
    path = authorize_path(pkce()).replace("/_auth/", f"{PREFIX}/")
    async with alice.session.get(alice.rig.url + path, headers=HTML, allow_redirects=False) as said:
        where = said.headers["Location"]
    assert where.startswith(CALLBACK)
    assert parse_qs(urlsplit(where).query)["iss"] == [f"{alice.rig.url}{BASE}"]


async def test_a_proxy_that_asks_is_sent_to_the_path_and_spellings_of_its_door_are_shut(rig: Rig) -> None:
    asked = {
        "X-Forwarded-Method": "GET",
        "X-Forwarded-Proto": "http",
        "X-Forwarded-Host": urlsplit(rig.url).netloc,
        "X-Forwarded-Uri": f"{BASE}/wiki/x",
    }
    inside = f"http://127.0.0.1:{rig.config.server.listen.rpartition(':')[2]}"  # type: ignore[union-attr]
    async with aiohttp.ClientSession() as session:
        async with session.get(
            f"{inside}{PREFIX}/forward", headers={**HTML, **asked}, allow_redirects=False
        ) as said:
            assert said.status == 302
            assert is_below(said.headers["Location"], rig.url)
            assert f"{PREFIX}/login?rd=" in said.headers["Location"]
        url = URL(f"{inside}{PREFIX}/%66orward", encoded=True)  # a client's, past a proxy that hides the door
        async with session.get(url, headers={**HTML, **asked}, allow_redirects=False) as said:
            assert said.status == 404
    old = await get(rig, f"{BASE}/?rd={rig.url}{BASE}/wiki/x")  # Authelia's portal
    assert f"{PREFIX}/login?rd=" in old.headers["Location"]
    assert "/wiki/x" in old.headers["Location"]


async def test_what_is_mailed_and_what_passkeys_are_bound_to_have_the_right_address(alice: Crawler) -> None:
    url = f"{alice.rig.url}{PREFIX}/admin/api/v1"
    async with alice.session.get(f"{url}/me") as said:
        token = (await said.json())["csrf_token"]
    headers = {"X-CSRF-Token": token, "Origin": alice.rig.url}
    body = {"username": "carol", "email": "carol@example.test", "invite": True}
    async with alice.session.post(f"{url}/users", json=body, headers=headers) as said:
        assert said.status in (200, 201), await said.text()
    mailed = re.findall(r"https?://\S+", alice.rig.terminal.getvalue())
    assert mailed
    assert all(one.startswith(f"{alice.rig.url}{PREFIX}/") for one in mailed)


@pytest.mark.parametrize("engine", ENGINES)
async def test_an_exported_engine_serves_the_same_path(engine: str, tmp_path: Path) -> None:
    server = {"prefix": PREFIX}
    routes = [{"path": f"{BASE}/wiki", "upstream": "UPSTREAM"}]
    async with (
        behind(engine, tmp_path, base=BASE, server=server, routes=routes) as rig,
        crawler(rig) as browser,
    ):
        await rig.add_user()
        await signs_in_below_the_path(rig, browser)


async def test_the_envoy_that_we_start_serves_the_same_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = {"prefix": PREFIX, "public_url": f"http://127.0.0.1:PORT{BASE}"}
    routes = [{"path": f"{BASE}/wiki", "upstream": "UPSTREAM"}]
    async with (
        behind_envoy(tmp_path, monkeypatch, server=server, routes=routes) as rig,
        crawler(rig) as browser,
    ):
        await rig.add_user()
        await signs_in_below_the_path(rig, browser)


async def signs_in_below_the_path(rig: Rig, browser: Crawler) -> None:
    """A stranger is sent to the sign-in, and with a session reaches the app and the front page."""
    stranger = await get(rig, f"{BASE}/wiki/a")
    assert f"{PREFIX}/login?rd=" in stranger.headers["Location"]
    await browser.sign_in()
    assert browser.found.cookie_paths == {BASE}
    async with browser.session.get(f"{rig.url}{BASE}/wiki/a", headers=HTML) as said:
        headers = json.loads(await said.text())["headers"]
    assert ["remote-user", "alice"] in [[name.lower(), value] for name, value in headers]
    for front in (f"{BASE}/", BASE):
        async with browser.session.get(rig.url + front, headers=HTML) as said:
            assert (said.status, said.content_type) == (200, "text/html")
    assert (await get(rig, f"{PREFIX}/forward")).status in (403, 404)
    assert (await get(rig, "/beside")).status in (403, 404)
