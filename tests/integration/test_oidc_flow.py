"""The OpenID provider over real sockets: from an app's question to its tokens, and what it can do with them."""

import re
from pathlib import Path

import aiohttp

from tests.oidc_rig import (
    CALLBACK,
    WEB,
    AppCalls,
    answer_of,
    authorize_path,
    claims_of,
    code_for,
    pkce,
    provider,
    tokens_for,
)
from tests.rig import PASSWORD, csrf_of


async def test_a_person_signs_in_and_the_app_learns_who_it_is(tmp_path: Path) -> None:
    async with provider(tmp_path) as rig, rig.browser() as browser:
        await rig.add_user(email="alice@example.com", groups=("staff",))
        proof = pkce()
        start = await browser.get(authorize_path(proof, scope="openid email groups", login_hint="alice"))
        assert start.status == 303
        login = start.headers["Location"]
        assert login.startswith("/_auth/login?rd=")
        page = await (await browser.get(login)).text()
        assert 'value="alice"' in page
        rd = page.split('name="rd" value="')[1].split('"')[0].replace("&amp;", "&")
        form = {"username": "alice", "password": PASSWORD, "csrf_token": csrf_of(page), "rd": rd}
        second = await browser.post("/_auth/login", form)
        assert second.headers["Location"].startswith("/_auth/verify?rd=")
        page = await (await browser.get(second.headers["Location"])).text()
        done = await browser.post(
            "/_auth/verify", {"code": rig.codes[-1], "csrf_token": csrf_of(page), "rd": rd}
        )
        assert done.headers["Location"].startswith("/_auth/oidc/authorize?continue=")
        answer = answer_of(await browser.get(done.headers["Location"]))
        assert answer["state"] == "st4te"
        assert answer["iss"] == rig.url
        status, tokens = await AppCalls(rig).redeem(answer["code"], proof.verifier)
        assert status == 200
        claims = claims_of(tokens["id_token"])
        assert claims["iss"] == rig.url
        assert claims["aud"] == "web"
        assert re.fullmatch("[0-9a-f]{32}", claims["sub"])
        assert claims["nonce"] == "n0nce"
        assert claims["amr"] == ["pwd", "otp", "sms", "mfa"]
        assert claims["acr"] == "2fa"
        assert claims["groups"] == ["staff"]
        status, info = await AppCalls(rig).userinfo(tokens["access_token"])
        assert (status, info) == (
            200,
            {"sub": claims["sub"], "email": "alice@example.com", "email_verified": True, "groups": ["staff"]},
        )


async def test_without_clients_there_is_no_provider(tmp_path: Path) -> None:
    async with provider(tmp_path, oidc={"clients": []}) as rig, rig.browser() as browser:
        for path in ("authorize", "token", "userinfo", "jwks.json", "device", "grants", "end-session"):
            assert (await browser.get(f"/_auth/oidc/{path}")).status == 404
        assert (await browser.get("/.well-known/openid-configuration")).status != 200


async def test_discovery_names_endpoints_that_answer(tmp_path: Path) -> None:
    async with provider(tmp_path) as rig, aiohttp.ClientSession() as web:
        for name in ("openid-configuration", "oauth-authorization-server"):
            async with web.get(f"{rig.url}/.well-known/{name}") as response:
                found = await response.json()
        assert found["issuer"] == rig.url
        for key in (key for key in found if key.endswith("_endpoint") or key == "jwks_uri"):
            async with web.get(found[key], allow_redirects=False) as response:
                assert response.status != 404, key
        async with web.get(found["jwks_uri"]) as response:
            keys = (await response.json())["keys"]
        assert [key["alg"] for key in keys] == ["RS256", "ES256"]
        assert not any(private in key for key in keys for private in ("d", "p", "q", "dp", "dq", "qi"))


async def test_an_app_behind_us_never_answers_in_the_providers_place(tmp_path: Path) -> None:
    async with provider(tmp_path) as rig, rig.browser() as browser:
        await rig.add_user()
        await browser.sign_in()
        for _ in range(3):  # known sessions take the fast path
            assert (await browser.get("/")).status == 200
            found = await (await browser.get("/.well-known/openid-configuration")).json()
            assert found["issuer"] == rig.url
        assert "Apps with access" in await (await browser.get("/_auth/account")).text()


async def test_on_another_host_there_is_no_provider(tmp_path: Path) -> None:
    async with provider(tmp_path) as rig, rig.browser() as browser:
        other = {"Host": "app.example.com"}
        assert (await browser.get("/_auth/oidc/jwks.json", **other)).status == 404
        assert (await browser.get("/.well-known/openid-configuration", **other)).status != 200


async def test_form_post_carries_the_answer_in_a_form(tmp_path: Path) -> None:
    async with provider(tmp_path) as rig, rig.browser() as browser:
        await rig.add_user()
        await browser.sign_in()
        page = await (await browser.get(authorize_path(pkce(), response_mode="form_post"))).text()
        assert f'<form method="post" action="{CALLBACK}"' in page
        assert 'name="code"' in page
        assert 'name="state" value="st4te"' in page


async def test_prompt_none_never_shows_a_page(tmp_path: Path) -> None:
    asking = {**WEB, "id": "asking", "consent": "once"}
    async with provider(tmp_path, WEB, asking) as rig, rig.browser() as browser:
        await rig.add_user()
        silent = authorize_path(pkce(), prompt="none")
        assert answer_of(await browser.get(silent))["error"] == "login_required"
        await browser.password()
        assert answer_of(await browser.get(silent))["error"] == "interaction_required"
        await browser.code()
        assert "code" in answer_of(await browser.get(silent))
        other = authorize_path(pkce(), prompt="none", client_id="asking")
        assert answer_of(await browser.get(other))["error"] == "consent_required"


async def test_prompt_login_and_max_age_ask_for_proofs_again(tmp_path: Path) -> None:
    async with provider(tmp_path) as rig, rig.browser() as browser:
        await rig.add_user()
        await browser.sign_in()
        rig.clock.advance(100)
        await code_for(browser, pkce(), max_age="200")
        again = await browser.get(authorize_path(pkce(), max_age="50"))
        assert again.headers["Location"].startswith("/_auth/verify?")
        for forced in ({"prompt": "login"}, {"max_age": "0"}):
            response = await browser.get(authorize_path(pkce(), **forced))
            assert response.headers["Location"].startswith("/_auth/login?"), forced


async def test_acr_values_ask_for_a_stronger_proof(tmp_path: Path) -> None:
    weak = {**WEB, "policy": {"require": "one_factor"}}
    async with provider(tmp_path, weak) as rig, rig.browser() as browser:
        await rig.add_user()
        await browser.password()
        tokens = await tokens_for(browser, AppCalls(rig))
        assert claims_of(tokens["id_token"])["acr"] == "1fa"
        response = await browser.get(authorize_path(pkce(), acr_values="phr 2fa"))
        assert response.headers["Location"].startswith("/_auth/verify?")


async def test_refresh_tokens_rotate_and_scopes_can_shrink(tmp_path: Path) -> None:
    async with provider(tmp_path) as rig, rig.browser() as browser:
        await rig.add_user()
        await browser.sign_in()
        calls = AppCalls(rig)
        tokens = await tokens_for(browser, calls, scope="openid profile email")
        status, fresh = await calls.refresh(tokens["refresh_token"], scope="openid")
        assert status == 200
        assert fresh["refresh_token"] != tokens["refresh_token"]
        assert fresh["scope"] == "openid"
        assert claims_of(fresh["id_token"])["sub"] == claims_of(tokens["id_token"])["sub"]
        status, refused = await calls.refresh(fresh["refresh_token"], scope="openid groups")
        assert (status, refused["error"]) == (400, "invalid_scope")


async def test_scopes_separated_by_commas_are_read_and_those_of_others_dropped(tmp_path: Path) -> None:
    async with provider(tmp_path) as rig, rig.browser() as browser:
        await rig.add_user()
        await browser.sign_in()
        calls = AppCalls(rig)
        for asked in ("openid,profile", "openid profile admin", "openid, profile,User.Read"):
            tokens = await tokens_for(browser, calls, scope=asked)
            assert tokens["scope"] == "openid profile", asked
            assert claims_of(tokens["access_token"])["scope"] == "openid profile"


async def test_an_app_gets_a_token_for_itself(tmp_path: Path) -> None:
    worker = {**WEB, "grants": ["client_credentials"], "audience": ["https://api.example.com"]}
    async with provider(tmp_path, worker) as rig:
        calls = AppCalls(rig)
        status, tokens = await calls.post("token", grant_type="client_credentials", scope="api")
        assert status == 200
        assert "refresh_token" not in tokens
        claims = claims_of(tokens["access_token"])
        assert claims["sub"] == "client:web", "no user's name"
        assert claims["client_id"] == "web"
        assert claims["aud"] == [rig.url, "https://api.example.com"]
        status, refused = await calls.post("token", grant_type="client_credentials", scope="openid")
        assert refused["error"] == "invalid_scope"
        status, facts = await calls.post("introspect", token=tokens["access_token"])
        assert facts["active"] is True
        await calls.post("revoke", token=tokens["access_token"])
        status, facts = await calls.post("introspect", token=tokens["access_token"])
        assert facts == {"active": False}


async def test_browser_apps_may_call_from_their_own_origin_only(tmp_path: Path) -> None:
    async with provider(tmp_path) as rig, aiohttp.ClientSession() as web:
        url = f"{rig.url}/_auth/oidc/token"
        for origin, allowed in (("https://spa.example.com", True), ("https://evil.example", False)):
            headers = {"Origin": origin, "Access-Control-Request-Method": "POST"}
            async with web.options(url, headers=headers) as response:
                assert ("Access-Control-Allow-Origin" in response.headers) is allowed
                assert "Access-Control-Allow-Credentials" not in response.headers
            async with web.post(url, headers={"Origin": origin}, data={}) as response:
                assert ("Access-Control-Allow-Origin" in response.headers) is allowed
