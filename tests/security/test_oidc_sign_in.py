"""The OpenID provider under attack, before a code is given: redirects, mix-up, consent, second factor, logout."""

from pathlib import Path
from urllib.parse import quote, unquote

import pytest

from tests.oidc_rig import (
    CALLBACK,
    SPA,
    WEB,
    AppCalls,
    answer_of,
    authorize_path,
    code_for,
    events,
    pkce,
    provider,
    tokens_for,
)
from tests.rig import csrf_of

WRONG_REDIRECTS = [
    "",
    "https://evil.example/",
    f"{CALLBACK}/",
    f"{CALLBACK}?x=1",
    f"{CALLBACK}#f",
    f"{CALLBACK}/../x",
    CALLBACK.upper(),
    CALLBACK.replace("https", "http"),
    CALLBACK.replace(".com", ".com.evil.example"),
    CALLBACK.replace("app", "app@evil.example"),
    CALLBACK.replace("/callback", ":443/callback"),
    CALLBACK.replace("/callback", "/%63allback"),
    CALLBACK + "%0d%0aSet-Cookie:x=1",
    f" {CALLBACK}",
    "javascript:alert(1)",
    "//app.example.com/callback",
    CALLBACK.replace("//", "/\\"),
    "http://127.0.0.1:9/cb",
]


async def test_nobody_is_sent_to_an_address_that_is_not_registered(tmp_path: Path) -> None:
    async with provider(tmp_path) as rig, rig.browser() as browser:
        await rig.add_user()
        await browser.sign_in()
        for wrong in WRONG_REDIRECTS:
            response = await browser.get(authorize_path(pkce(), redirect_uri=wrong))
            assert response.status == 400, wrong
            assert "Location" not in response.headers
        for client in ("unknown", "", "WEB", "web "):
            response = await browser.get(authorize_path(pkce(), client_id=client))
            assert (response.status, "Location" in response.headers) == (400, False), client
        twice = authorize_path(pkce()) + "&redirect_uri=" + quote("https://evil.example/")
        assert (await browser.get(twice)).status == 400


async def test_a_native_app_is_answered_on_the_port_that_it_listens_on(tmp_path: Path) -> None:
    async with provider(tmp_path) as rig, rig.browser() as browser:
        await rig.add_user()
        await browser.sign_in()
        path = authorize_path(
            pkce(), client_id="spa", redirect_uri="http://127.0.0.1:50123/cb", scope="openid"
        )
        response = await browser.get(path)
        assert response.headers["Location"].startswith("http://127.0.0.1:50123/cb?code=")


WEAKENED: list[tuple[dict[str, str | None], str]] = [
    ({"response_type": "token"}, "unsupported_response_type"),
    ({"response_type": "code id_token"}, "unsupported_response_type"),
    ({"response_mode": "fragment"}, "invalid_request"),
    ({"scope": "admin"}, "invalid_scope"),
    ({"scope": ""}, "invalid_scope"),
    ({"code_challenge": None}, "invalid_request"),
    ({"code_challenge": None, "code_challenge_method": None}, "invalid_request"),
    ({"code_challenge_method": "plain"}, "invalid_request"),
    ({"code_challenge_method": None}, "invalid_request"),
    ({"code_challenge": "short"}, "invalid_request"),
    ({"prompt": "none login"}, "invalid_request"),
    ({"max_age": "-1"}, "invalid_request"),
    ({"request": "eyJ"}, "request_not_supported"),
    ({"request_uri": "https://evil.example/"}, "request_uri_not_supported"),
    ({"id_token_hint": "eyJ"}, "invalid_request"),
]


async def test_a_request_that_weakens_anything_is_refused_with_state_and_issuer(tmp_path: Path) -> None:
    async with provider(tmp_path) as rig, rig.browser() as browser:
        for change, error in WEAKENED:
            answer = answer_of(await browser.get(authorize_path(pkce(), **change)))
            assert answer["error"] == error, change
            assert answer["state"] == "st4te"
            assert answer["iss"] == rig.url  # RFC 9207: errors name their issuer too


async def test_pkce_is_optional_only_for_an_app_with_a_secret_that_says_so(tmp_path: Path) -> None:
    old, public = {**WEB, "pkce": False}, {**SPA, "pkce": False}
    async with provider(tmp_path, old, public) as rig, rig.browser() as browser:
        await rig.add_user()
        await browser.sign_in()
        code = await code_for(browser, None)
        status, _ = await AppCalls(rig).redeem(code, None)
        assert status == 200
        path = authorize_path(None, client_id="spa", scope="openid")
        assert answer_of(await browser.get(path))["error"] == "invalid_request"


@pytest.mark.parametrize("require", ["two_factor", "deny"])
async def test_no_second_factor_is_skipped(tmp_path: Path, require: str) -> None:
    async with provider(tmp_path, {**WEB, "policy": {"require": require}}) as rig, rig.browser() as browser:
        await rig.add_user()
        await browser.password()
        response = await browser.get(authorize_path(pkce()))
        if require == "deny":
            assert answer_of(response)["error"] == "access_denied"
            return
        onward = response.headers["Location"]
        assert onward.startswith("/_auth/verify?rd=")
        page = await browser.get(onward)
        assert page.status == 200
        assert "Check your phone" in await page.text()
        again = await browser.get(authorize_path(pkce(), prompt="none"))
        assert answer_of(again)["error"] == "interaction_required"
        assert "oidc_code_issued" not in await events(rig)


async def test_a_policy_of_certain_factors_groups_and_users_counts(tmp_path: Path) -> None:
    keys_only = {**WEB, "policy": {"require": "two_factor", "factors": ["webauthn"]}}
    staff_only = {**WEB, "id": "staff", "policy": {"groups": ["staff"]}}
    async with provider(tmp_path, keys_only, staff_only) as rig, rig.browser() as browser:
        await rig.add_user()
        await browser.sign_in()
        response = await browser.get(authorize_path(pkce()))
        assert response.headers["Location"].startswith("/_auth/verify?rd=")
        response = await browser.get(authorize_path(pkce(), client_id="staff"))
        assert answer_of(response)["error"] == "access_denied"


async def test_a_sealed_request_can_not_be_made_up_or_changed(tmp_path: Path) -> None:
    async with provider(tmp_path) as rig, rig.browser() as browser:
        start = await browser.get(authorize_path(pkce()))
        sealed = start.headers["Location"].split("continue%3D")[1]
        for wrong in ("", "x", sealed[:-10], sealed[:40] + "A" + sealed[41:], browser.cookie()):
            assert (await browser.get(f"/_auth/oidc/authorize?continue={wrong}")).status == 400
        rig.clock.advance(3601)
        response = await browser.get(f"/_auth/oidc/authorize?continue={unquote(sealed)}")
        assert response.status == 400


async def test_consent_needs_the_users_own_click(tmp_path: Path) -> None:
    async with provider(tmp_path, {**WEB, "consent": "once"}) as rig, rig.browser() as browser:
        await rig.add_user()
        await browser.sign_in()
        page = await (await browser.get(authorize_path(pkce()))).text()
        assert "Allow Web App?" in page
        sealed = page.split('name="continue" value="')[1].split('"')[0]
        form = {"continue": sealed, "do": "allow"}
        forged = await browser.post("/_auth/oidc/consent", form)
        assert forged.status == 403
        good = {**form, "csrf_token": csrf_of(page)}
        foreign = await browser.post("/_auth/oidc/consent", good, Origin="https://evil.example")
        assert foreign.status == 403
        async with rig.browser() as stranger:
            response = await stranger.post("/_auth/oidc/consent", good)
            assert response.headers["Location"].startswith("/_auth/login?")
        assert "oidc_code_issued" not in await events(rig)
        refused = await browser.post("/_auth/oidc/consent", {**good, "do": "refuse"})
        assert answer_of(refused)["error"] == "access_denied"
        allowed = await browser.post("/_auth/oidc/consent", good)
        assert "code" in answer_of(allowed)
        await code_for(browser, pkce())  # remembered
        wider = await browser.get(authorize_path(pkce(), scope="openid profile email phone"))
        assert "Allow Web App?" in await wider.text()
        asked = await browser.get(authorize_path(pkce(), prompt="consent"))
        assert "Allow Web App?" in await asked.text()


async def test_consent_of_a_session_that_lacks_a_factor_gives_nothing(tmp_path: Path) -> None:
    """The request is sealed, so it can be posted by any session of any user: each is judged anew."""
    keys = {**WEB, "consent": "once", "policy": {"groups": ["staff"]}}
    async with provider(tmp_path, keys) as rig, rig.browser() as browser:
        await rig.add_user(groups=("staff",))
        await rig.add_user("bob")
        await browser.sign_in()
        page = await (await browser.get(authorize_path(pkce()))).text()
        sealed = page.split('name="continue" value="')[1].split('"')[0]
        async with rig.browser() as half, rig.browser() as bob:
            await half.password()
            await bob.sign_in("bob")
            form = {"continue": sealed, "do": "allow"}
            token = await half.token("/_auth/logout")
            response = await half.post("/_auth/oidc/consent", {**form, "csrf_token": token})
            assert response.headers["Location"].startswith("/_auth/verify?")
            token = await bob.token("/_auth/logout")
            response = await bob.post("/_auth/oidc/consent", {**form, "csrf_token": token})
            assert answer_of(response)["error"] == "access_denied"


async def test_an_id_token_hint_is_of_this_app_and_of_who_is_signed_in(tmp_path: Path) -> None:
    other = {**WEB, "id": "other"}
    async with provider(tmp_path, WEB, other) as rig, rig.browser() as alice, rig.browser() as bob:
        await rig.add_user()
        await rig.add_user("bob")
        await alice.sign_in()
        await bob.sign_in("bob")
        hints = {
            name: (await tokens_for(alice, AppCalls(rig, name)))["id_token"] for name in ("web", "other")
        }
        for browser, hint, error in (
            (alice, hints["web"], ""),
            (alice, hints["other"], "invalid_request"),
            (bob, hints["web"], "login_required"),
            (bob, hints["other"], "invalid_request"),
        ):
            for prompt in ("none", None):
                answer = await browser.get(authorize_path(pkce(), id_token_hint=hint, prompt=prompt))
                assert answer_of(answer).get("error", "") == error
