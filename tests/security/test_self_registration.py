"""Apps that nobody listed: off unless switched on, sent back to allowed places alone, asked about each time."""

import json
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import aiohttp
import pytest
from aiohttp import web

from gateway.oidc.client_documents import LARGEST
from tests.oidc_rig import AppCalls, authorize_path, claims_of, events, pkce, provider
from tests.rig import Browser, Rig, csrf_of, running_upstream

BACK = "http://127.0.0.1:53682/callback"
LOCAL = {"register": True, "loopback": True}


async def register(rig: Rig, body: Any, kind: str = "application/json") -> tuple[int, dict[str, Any]]:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    async with (
        aiohttp.ClientSession() as http,
        http.post(f"{rig.url}/_auth/oidc/register", data=data, headers={"Content-Type": kind}) as answer,
    ):
        return answer.status, await answer.json() if answer.content_type == "application/json" else {}


def unlisted(**settings: Any) -> dict[str, Any]:
    return {"self_registration": settings}


async def allow(browser: Browser, path: str, answer: str = "allow") -> dict[str, str]:
    """What the app hears after its user was asked."""
    page = await (await browser.get(path)).text()
    sealed = page.partition('name="continue" value="')[2].partition('"')[0]
    form = {"csrf_token": csrf_of(page), "continue": sealed, "do": answer}
    location = (await browser.post("/_auth/oidc/consent", form)).headers["Location"]
    return {name: values[0] for name, values in parse_qs(urlsplit(location).query).items()}


async def test_nobody_registers_unless_it_is_switched_on(tmp_path: Path) -> None:
    async with provider(tmp_path) as rig:
        assert (await register(rig, {"redirect_uris": [BACK]}))[0] == 404
        async with aiohttp.ClientSession() as http:
            described = await (await http.get(f"{rig.url}/.well-known/oauth-authorization-server")).json()
        assert "registration_endpoint" not in described
        assert "client_id_metadata_document_supported" not in described


@pytest.mark.parametrize(
    "uri",
    [
        "https://evil.example/cb",
        "https://app.example.com.evil.example/cb",
        "https://app.example.com@evil.example/cb",
        "https://app.example.com:8443/cb",
        "https://sub.app.example.com/cb",
        "http://app.example.com/cb",
        "https://app.example.com/cb#x",
        "https://*.example.com/cb",
        "javascript:alert(1)",
        "data:text/html,x",
        "com.example.app:/done",
        "http://127.0.0.1.evil.example/cb",
        "http://127.0.0.1@evil.example/",
        "http://10.0.0.1/cb",
        "",
        f"https://app.example.com/{'a' * 500}",
        7,
        None,
    ],
)
async def test_users_are_sent_to_allowed_places_alone(tmp_path: Path, uri: Any) -> None:
    hosts = {"redirect_hosts": ["app.example.com"]}
    async with provider(tmp_path, oidc=unlisted(**LOCAL, **hosts)) as rig:
        assert (await register(rig, {"redirect_uris": ["https://app.example.com/cb", BACK]}))[0] == 201
        status, answer = await register(rig, {"redirect_uris": ["https://app.example.com/cb", uri]})
        assert (status, answer["error"]) == (400, "invalid_redirect_uri")


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ({}, "invalid_redirect_uri"),
        ({"redirect_uris": []}, "invalid_redirect_uri"),
        ({"redirect_uris": BACK}, "invalid_redirect_uri"),
        ({"redirect_uris": [BACK] * 11}, "invalid_redirect_uri"),
        ({"redirect_uris": [BACK], "grant_types": ["client_credentials"]}, "invalid_client_metadata"),
        ({"redirect_uris": [BACK], "response_types": ["token"]}, "invalid_client_metadata"),
        ([], "invalid_client_metadata"),
        (b"{", "invalid_client_metadata"),
        (b"[" * 9000, "invalid_client_metadata"),
    ],
)
async def test_what_is_no_registration_is_refused(tmp_path: Path, body: Any, error: str) -> None:
    async with provider(tmp_path, oidc=unlisted(**LOCAL)) as rig:
        status, answer = await register(rig, body)
        assert (status, answer["error"]) == (400, error)
        assert (await register(rig, {"redirect_uris": [BACK]}, "text/plain"))[0] == 415
        assert (await register(rig, b" " * 20_000))[0] == 413


async def test_a_registered_app_is_public_needs_pkce_and_asks_each_time(tmp_path: Path) -> None:
    async with provider(tmp_path, oidc=unlisted(**LOCAL)) as rig, rig.browser() as browser:
        await rig.add_user("alice")
        wanted = {
            "redirect_uris": [BACK],
            "client_name": "Tool\u202eevil",
            "scope": "openid groups api",
            "token_endpoint_auth_method": "client_secret_basic",
        }
        status, app = await register(rig, wanted)
        assert status == 201
        assert app["token_endpoint_auth_method"] == "none"
        assert "client_secret" not in app
        assert "client_name" not in app  # it has a sign that turns the text around
        await browser.sign_in()
        about = {"client_id": app["client_id"], "redirect_uri": BACK, "scope": "openid email groups api"}
        unproven = await browser.get(authorize_path(None, **about))
        assert "error=invalid_request" in unproven.headers["Location"]
        calls = AppCalls(rig, app["client_id"], None)
        for _ in range(
            2
        ):  # the answer is not remembered: any program on this machine can say that it is this one
            proof = pkce()
            answer = await allow(browser, authorize_path(proof, **about))
            form = {"code": answer["code"], "redirect_uri": BACK, "code_verifier": proof.verifier}
            status, tokens = await calls.post("token", grant_type="authorization_code", **form)
            assert (status, tokens["scope"]) == (200, "openid email")
            assert claims_of(tokens["access_token"])["aud"] == [rig.url]
        assert (await allow(browser, authorize_path(pkce(), **about), "refuse"))["error"] == "access_denied"
        silent = await browser.get(authorize_path(pkce(), **about, prompt="none"))
        assert "error=consent_required" in silent.headers["Location"]
        for uri in ("http://127.0.0.1:53682/other", "https://evil.example/"):
            there = await browser.get(authorize_path(pkce(), **{**about, "redirect_uri": uri}))
            assert (there.status, "Location" in there.headers) == (400, False)
        other_port = {**about, "redirect_uri": "http://127.0.0.1:1/callback"}
        assert (await browser.get(authorize_path(pkce(), **other_port))).status == 200
        assert "oidc_client_registered" in await events(rig)


async def test_the_policy_for_unlisted_apps_holds(tmp_path: Path) -> None:
    settings = unlisted(**LOCAL, policy={"groups": ["staff"]})
    async with provider(tmp_path, oidc=settings) as rig, rig.browser() as browser:
        await rig.add_user("alice")
        await browser.sign_in()
        _, app = await register(rig, {"redirect_uris": [BACK]})
        path = authorize_path(pkce(), client_id=app["client_id"], redirect_uri=BACK, scope="openid")
        assert "error=access_denied" in (await browser.get(path)).headers["Location"]


async def test_an_app_that_nobody_signs_in_to_is_forgotten(tmp_path: Path) -> None:
    async with provider(tmp_path, oidc=unlisted(**LOCAL)) as rig, rig.browser() as browser:
        await rig.add_user("alice")
        await browser.sign_in()
        _, idle = await register(rig, {"redirect_uris": [BACK]})
        _, used = await register(rig, {"redirect_uris": [BACK]})

        def path(app: dict[str, Any]) -> str:
            return authorize_path(pkce(), client_id=app["client_id"], redirect_uri=BACK, scope="openid")

        assert "code" in await allow(browser, path(used))
        rig.clock.advance(3601)
        assert (await browser.get(path(idle))).status == 400
        assert (await browser.get(path(used))).status != 400
        rig.clock.advance(90 * 86400)
        assert (await browser.get(path(used))).status == 400


async def test_one_address_can_not_fill_the_store(tmp_path: Path) -> None:
    async with provider(tmp_path, oidc=unlisted(**LOCAL)) as rig:
        for _ in range(20):
            assert (await register(rig, {"redirect_uris": [BACK]}))[0] == 201
        assert (await register(rig, {"redirect_uris": [BACK]}))[0] == 429


# -- client-id metadata documents ------------------------------------------------------------------------------------


async def test_a_document_names_its_app_and_nothing_else_is_asked(tmp_path: Path) -> None:
    documents: dict[str, Any] = {}

    async def serve(request: web.Request) -> web.Response:
        if request.path == "/moved":
            raise web.HTTPFound("/tool")
        return web.json_response(documents.get(request.path, {}))

    async with running_upstream(serve) as site:
        host = urlsplit(site.url).netloc
        good = f"{site.url}/tool"
        document = {"client_id": good, "client_name": "Tool", "redirect_uris": [BACK]}
        documents |= {
            "/tool": document,
            "/other": document,  # about another address
            "/secret": {**document, "client_id": f"{site.url}/secret", "client_secret": "x"},
            "/post": {
                **document,
                "client_id": f"{site.url}/post",
                "token_endpoint_auth_method": "client_secret_post",
            },
            "/far": {**document, "client_id": f"{site.url}/far", "redirect_uris": ["https://evil.example/"]},
            "/none": {**document, "client_id": f"{site.url}/none", "redirect_uris": []},
            "/large": {**document, "client_id": f"{site.url}/large", "client_name": "x" * LARGEST},
        }
        oidc = unlisted(document_hosts=[host], loopback=True)
        async with provider(tmp_path, oidc=oidc) as rig, rig.browser() as browser:
            await rig.add_user("alice")
            await browser.sign_in()

            async def status(id: str) -> int:
                asked = {"client_id": id, "redirect_uri": BACK, "scope": "openid"}
                return (await browser.get(authorize_path(pkce(), **asked))).status

            path = authorize_path(pkce(), client_id=good, redirect_uri=BACK, scope="openid")
            page = await (await browser.get(path)).text()
            assert "Tool" in page
            assert "127.0.0.1:53682" in page
            proof = pkce()
            path = authorize_path(proof, client_id=good, redirect_uri=BACK, scope="openid")
            form = {"code": (await allow(browser, path))["code"], "redirect_uri": BACK}
            calls = AppCalls(rig, good, None)
            answer = await calls.post(
                "token", grant_type="authorization_code", code_verifier=proof.verifier, **form
            )
            assert answer[0] == 200
            for name in ("other", "secret", "post", "far", "none", "large", "moved", "missing"):
                assert await status(f"{site.url}/{name}") == 400, name
            asked = len(site.requests)
            for id in (
                "http://evil.example/tool",
                "https://evil.example/tool",
                f"{site.url}/a/../tool",
                f"{site.url}/tool?x=1",
                f"{site.url}/tool#x",
                f"{site.url}/%74ool",
                site.url,
                f"http://user@{host}/tool",
                f"{site.url}/{'a' * 128}",
            ):
                assert await status(id) == 400, id
            assert len(site.requests) == asked  # nobody makes us ask an address of their choice
            assert site.requests.count("GET /tool") == 1  # it is kept, and no redirect is followed
