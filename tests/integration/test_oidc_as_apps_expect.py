"""What apps in the field do with an OpenID provider, each of it once refused or answered wrongly."""

import base64
import json
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from gateway.config.checks.oidc import uri_problem
from gateway.oidc.clients import is_registered
from tests.oidc_rig import (
    GOODBYE,
    SPA,
    WEB,
    AppCalls,
    answer_of,
    authorize_path,
    claims_of,
    pkce,
    provider,
    tokens_for,
)
from tests.rig import csrf_of


async def test_an_app_that_refreshes_keeps_its_session_alive_as_its_user_would(tmp_path: Path) -> None:
    async with provider(tmp_path, session={"idle_timeout": "12s"}) as rig, rig.browser() as browser:
        await rig.add_user()
        await browser.sign_in()
        calls = AppCalls(rig)
        tokens = await tokens_for(browser, calls, scope="openid")
        for _ in range(6):
            rig.clock.advance(5)
            status, tokens = await calls.refresh(tokens["refresh_token"])
            assert status == 200, tokens
        rig.clock.advance(13)
        status, refused = await calls.refresh(tokens["refresh_token"])
        assert (status, refused["error"]) == (400, "invalid_grant")


async def test_a_refresh_does_not_stretch_the_absolute_end(tmp_path: Path) -> None:
    session = {"idle_timeout": "12s", "absolute_timeout": "20s"}
    async with provider(tmp_path, session=session) as rig, rig.browser() as browser:
        await rig.add_user()
        await browser.sign_in()
        calls = AppCalls(rig)
        tokens = await tokens_for(browser, calls, scope="openid")
        for seconds in (8, 8):
            rig.clock.advance(seconds)
            status, tokens = await calls.refresh(tokens["refresh_token"])
            assert status == 200, tokens
        rig.clock.advance(5)
        assert (await calls.refresh(tokens["refresh_token"]))[0] == 400


@pytest.mark.parametrize("uri", ["audiobookshelf://oauth", "oc://ios.owncloud.com", "com.example.app:/done"])
def test_a_native_app_may_have_a_scheme_of_its_own(uri: str) -> None:
    assert uri_problem(uri, native=True) == ""


@pytest.mark.parametrize(
    "uri",
    ["javascript:alert(1)", "data:text/html,x", "vbscript:x", "file:///etc/passwd", "blob:x", "about:blank"],
)
def test_schemes_that_a_browser_runs_or_reads_are_no_apps(uri: str) -> None:
    assert uri_problem(uri, native=True) != ""


def test_an_app_with_a_secret_has_no_scheme_that_others_could_claim() -> None:
    assert uri_problem("audiobookshelf://oauth", native=False) != ""


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "[::1]"])
def test_a_native_app_listens_on_any_port_of_its_own_machine(host: str) -> None:
    registered = [f"http://{host}/callback"]
    assert is_registered(registered, f"http://{host}:51234/callback", native=True)
    assert not is_registered(registered, f"http://{host}:51234/elsewhere", native=True)
    assert not is_registered(registered, f"http://{host}:51234/callback", native=False)
    assert not is_registered(registered, f"http://{host}.evil.test:51234/callback", native=True)


async def test_groups_are_in_the_access_token_where_their_scope_was_granted(tmp_path: Path) -> None:
    async with provider(tmp_path) as rig, rig.browser() as browser:
        await rig.add_user(groups=("ops", "staff"))
        await browser.sign_in()
        with_groups = await tokens_for(browser, AppCalls(rig), scope="openid groups")
        without = await tokens_for(browser, AppCalls(rig), scope="openid")
        assert claims_of(with_groups["access_token"])["groups"] == ["ops", "staff"]
        assert "groups" not in claims_of(without["access_token"])


async def test_a_user_without_a_name_is_called_by_the_username(tmp_path: Path) -> None:
    async with provider(tmp_path) as rig, rig.browser() as browser:
        await rig.add_user(name="")
        await browser.sign_in()
        tokens = await tokens_for(browser, AppCalls(rig), scope="openid profile")
        assert claims_of(tokens["id_token"])["name"] == "alice"


API: dict[str, Any] = {**WEB, "audience": ["https://api.example.com", "https://other.example.com"]}


async def test_a_resource_narrows_the_audience_of_the_access_token(tmp_path: Path) -> None:
    """RFC 8707."""
    async with provider(tmp_path, API) as rig, rig.browser() as browser:
        await rig.add_user()
        await browser.sign_in()
        calls = AppCalls(rig)
        tokens = await tokens_for(browser, calls, scope="openid", resource="https://api.example.com")
        assert claims_of(tokens["access_token"])["aud"] == [rig.url, "https://api.example.com"]
        status, fresh = await calls.refresh(tokens["refresh_token"])
        assert claims_of(fresh["access_token"])["aud"] == [rig.url, "https://api.example.com"]
        status, fresh = await calls.refresh(
            fresh["refresh_token"], resource="https://other.example.com"
        )  # never granted
        assert (status, fresh["error"]) == (400, "invalid_target")


async def test_an_unknown_resource_is_refused(tmp_path: Path) -> None:
    async with provider(tmp_path, API) as rig, rig.browser() as browser:
        await rig.add_user()
        await browser.sign_in()
        answer = answer_of(await browser.get(authorize_path(pkce(), resource="https://evil.test")))
        assert answer["error"] == "invalid_target"


async def test_a_hint_that_can_not_be_read_any_more_asks_instead_of_failing(tmp_path: Path) -> None:
    async with provider(tmp_path) as rig, rig.browser() as browser:
        await rig.add_user()
        await browser.sign_in()
        tokens = await tokens_for(browser, AppCalls(rig), scope="openid")
        head, body, _ = tokens["id_token"].split(".")
        stale = f"{head}.{body}.{'A' * 86}"
        path = f"/_auth/oidc/end-session?id_token_hint={stale}&post_logout_redirect_uri={GOODBYE}"
        page = await browser.get(path)
        assert page.status == 200
        assert "alice" in await page.text()
        assert (await browser.get("/x")).status == 200, "nobody is signed out by a token that proves nothing"


@pytest.mark.parametrize(
    ("hint", "onward"), [("stale", "/_auth/logout"), ("x.y.z", "/_auth/logout"), ("", GOODBYE)]
)
async def test_who_signs_out_by_a_hint_that_proves_nothing_stays_here(
    tmp_path: Path, hint: str, onward: str
) -> None:
    """Whoever made the hint up would like to have people sent on (RP-Initiated Logout §4)."""
    async with provider(tmp_path) as rig, rig.browser() as browser:
        await rig.add_user()
        await browser.sign_in()
        if hint == "stale":
            head, body, _ = (await tokens_for(browser, AppCalls(rig), scope="openid"))["id_token"].split(".")
            hint = f"{head}.{body}.{'A' * 86}"
        about = {"id_token_hint": hint, "client_id": "web", "post_logout_redirect_uri": GOODBYE}
        fields = {name: value for name, value in about.items() if value}
        page = await (await browser.get(f"/_auth/oidc/end-session?{urlencode(fields)}")).text()
        form = {**fields, "csrf_token": csrf_of(page), "do": "sign_out"}
        left = await browser.post("/_auth/oidc/end-session", form)
        assert left.headers["Location"] == onward


@pytest.mark.parametrize(
    ("grants", "kept"), [(["authorization_code", "refresh_token"], True), (["authorization_code"], False)]
)
async def test_access_while_away_is_to_be_had_without_listing_it_where_tokens_are_refreshed(
    tmp_path: Path, grants: list[str], kept: bool
) -> None:
    client = {**{name: value for name, value in WEB.items() if name != "scopes"}, "grants": grants}
    async with provider(tmp_path, client) as rig, rig.browser() as browser:
        await rig.add_user()
        await browser.sign_in()
        tokens = await tokens_for(browser, AppCalls(rig), scope="openid offline_access")
        assert ("offline_access" in tokens["scope"].split()) is kept
        assert ("refresh_token" in tokens) is kept


HEAD = base64.urlsafe_b64encode(b'{"alg":"ES256","typ":"JWT"}').rstrip(b"=").decode()
BEARER = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


async def test_an_unreadable_hint_leads_only_where_some_client_may_end(tmp_path: Path) -> None:
    async with provider(tmp_path) as rig, rig.browser() as browser:
        await rig.add_user()
        await browser.sign_in()
        path = "/_auth/oidc/end-session?id_token_hint=x.y.z&post_logout_redirect_uri=https://evil.test/"
        assert (await browser.get(path)).status == 400


async def test_a_token_of_lists_in_lists_is_unreadable_and_no_failure_of_ours(tmp_path: Path) -> None:
    deep = base64.urlsafe_b64encode(b"[" * 3000).rstrip(b"=").decode()
    async with provider(tmp_path) as rig, rig.browser() as browser:
        for hint in (f"{HEAD}.{deep}.x", f"{deep}.{deep}.x"):
            path = f"/_auth/oidc/end-session?id_token_hint={hint}&post_logout_redirect_uri={GOODBYE}"
            assert (await browser.get(path)).status == 400
            answer = answer_of(await browser.get(authorize_path(pkce(), request=hint)))
            assert answer["error"] == "request_not_supported"
            form = {
                "grant_type": "authorization_code",
                "client_assertion": hint,
                "client_assertion_type": BEARER,
            }
            assert (await browser.post("/_auth/oidc/token", form)).status == 401


async def test_the_language_that_an_app_asks_for_is_that_of_the_pages(tmp_path: Path) -> None:
    async with provider(tmp_path) as rig, rig.browser() as browser:
        response = await browser.get(authorize_path(pkce(), ui_locales="xx de-AT fr"))
        page = await (await browser.get(response.headers["Location"])).text()
        assert '<html lang="de"' in page


def unsigned(claims: dict[str, object]) -> str:
    parts = ({"alg": "none"}, claims)
    return (
        ".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in parts)
        + "."
    )


async def test_a_request_object_is_refused_in_the_mode_that_it_asks_for(tmp_path: Path) -> None:
    """OpenID's conformance suite, Form Post plan: `response_mode` stands in the request object alone."""
    async with provider(tmp_path) as rig, rig.browser() as browser:
        request = unsigned({"response_mode": "form_post", "client_id": "web"})
        page = await (await browser.get(authorize_path(pkce(), request=request))).text()
        assert "request_not_supported" in page
        assert "<form" in page
        for odd in ("x", "x.y.z", unsigned({"response_mode": "fragment"}), "[]." * 3):
            assert (
                answer_of(await browser.get(authorize_path(pkce(), request=odd)))["error"]
                == "request_not_supported"
            )


async def test_a_public_app_is_still_held_to_its_registered_address(tmp_path: Path) -> None:
    spa = {**SPA, "redirect_uris": ["audiobookshelf://oauth"]}
    async with provider(tmp_path, spa) as rig, rig.browser() as browser:
        page = await browser.get(
            authorize_path(pkce(), client_id="spa", redirect_uri="audiobookshelf://other", scope="openid")
        )
        assert page.status == 400
