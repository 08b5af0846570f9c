"""How an app's sign-in ends: by its user, by its app, and never by somebody else."""

from pathlib import Path
from urllib.parse import quote

from tests.oidc_rig import (
    CALLBACK,
    GOODBYE,
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


async def test_end_session_is_no_open_redirect_and_no_forced_logout(tmp_path: Path) -> None:
    async with provider(tmp_path) as rig, rig.browser() as browser:
        await rig.add_user()
        await browser.sign_in()
        tokens = await tokens_for(browser, AppCalls(rig))
        hint = tokens["id_token"]
        end = "/_auth/oidc/end-session"
        for wrong in (
            "https://evil.example/",
            f"{GOODBYE}/",
            f"{GOODBYE}?x",
            CALLBACK,
            "//app.example.com/bye",
        ):
            for query in (f"id_token_hint={hint}&", "client_id=web&", ""):
                response = await browser.get(f"{end}?{query}post_logout_redirect_uri={quote(wrong)}")
                assert (response.status, "Location" in response.headers) == (400, False)
        assert (await browser.get(f"{end}?id_token_hint={hint}&client_id=spa")).status == 400
        assert (await browser.get(f"{end}?id_token_hint={tokens['access_token']}")).status == 400
        asked = await browser.get(f"{end}?client_id=web&post_logout_redirect_uri={quote(GOODBYE)}&state=s")
        page = await asked.text()
        assert "Sign out everywhere?" in page
        forged = await browser.post(end, {"client_id": "web", "do": "sign_out"})
        assert "Sign out everywhere?" in await forged.text()
        assert (await browser.get("/")).status == 200  # still signed in
        form = {"client_id": "web", "do": "sign_out", "post_logout_redirect_uri": GOODBYE, "state": "s"}
        done = await browser.post(end, {**form, "csrf_token": csrf_of(page)})
        assert done.headers["Location"] == f"{GOODBYE}?state=s"
        assert (await browser.get("/")).status == 303


async def test_an_id_token_of_this_session_ends_it_and_one_of_another_asks(tmp_path: Path) -> None:
    async with provider(tmp_path) as rig, rig.browser() as browser, rig.browser() as other:
        await rig.add_user()
        await browser.sign_in()
        hint = (await tokens_for(browser, AppCalls(rig)))["id_token"]
        rig.clock.advance(60)
        await other.sign_in()
        path = f"/_auth/oidc/end-session?id_token_hint={hint}&post_logout_redirect_uri={quote(GOODBYE)}"
        assert "Sign out everywhere?" in await (await other.get(path)).text()
        done = await browser.get(path)
        assert done.headers["Location"] == GOODBYE
        assert (await browser.get("/")).status == 303


async def test_no_token_tells_the_sessions_id(tmp_path: Path) -> None:
    async with provider(tmp_path) as rig, rig.browser() as browser:
        await rig.add_user()
        await browser.sign_in()
        (record,) = await rig.gateway.stores.sessions.list("alice")
        tokens = await tokens_for(browser, AppCalls(rig))
        for name in ("id_token", "access_token"):
            assert record.sid not in str(claims_of(tokens[name]))
        page = await (await browser.get("/_auth/oidc/diagnostics")).text()
        assert record.sid not in page
        assert browser.cookie() not in page
        async with rig.browser() as stranger:
            assert (await stranger.get("/_auth/oidc/diagnostics")).status == 303


async def test_what_apps_know_is_shown_to_two_factors_only(tmp_path: Path) -> None:
    async with provider(tmp_path) as rig, rig.browser() as browser, rig.browser() as half:
        await rig.add_user()
        await browser.sign_in()
        tokens = await tokens_for(browser, AppCalls(rig))
        await half.password()
        for page in ("grants", "diagnostics"):
            answer = await half.get(f"/_auth/oidc/{page}")
            assert answer.headers["Location"] == f"/_auth/verify?rd=/_auth/oidc/{page}"
        form = {"client": "web", "csrf_token": await half.token("/_auth/logout")}
        assert (await half.post("/_auth/oidc/grants", form)).headers["Location"].startswith("/_auth/verify?")
        assert (await AppCalls(rig).userinfo(tokens["access_token"]))[0] == 200


async def test_revoking_on_the_grants_page_needs_a_click_and_ends_everything(tmp_path: Path) -> None:
    async with provider(tmp_path, {**WEB, "consent": "once"}) as rig, rig.browser() as browser:
        await rig.add_user()
        await browser.sign_in()
        proof = pkce()
        page = await (await browser.get(authorize_path(proof))).text()
        sealed = page.split('name="continue" value="')[1].split('"')[0]
        form = {"continue": sealed, "do": "allow", "csrf_token": csrf_of(page)}
        code = answer_of(await browser.post("/_auth/oidc/consent", form))["code"]
        _, tokens = await AppCalls(rig).redeem(code, proof.verifier)
        page = await (await browser.get("/_auth/oidc/grants")).text()
        assert "Web App" in page
        assert (await browser.post("/_auth/oidc/grants", {"client": "web"})).status == 403
        assert (await AppCalls(rig).userinfo(tokens["access_token"]))[0] == 200
        await browser.post("/_auth/oidc/grants", {"client": "web", "csrf_token": csrf_of(page)})
        assert (await AppCalls(rig).userinfo(tokens["access_token"]))[0] == 401
        assert (await AppCalls(rig).refresh(tokens["refresh_token"]))[1]["error"] == "invalid_grant"
        assert "Allow Web App?" in await (await browser.get(authorize_path(pkce()))).text()
