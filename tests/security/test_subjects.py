"""What an app knows a user by is given to nobody else, whoever has the name or the app's own id later (FAULTS S16)."""

from pathlib import Path
from typing import Any

from tests.oidc_rig import WEB, AppCalls, claims_of, provider, tokens_for
from tests.rig import Rig


async def tokens_of(rig: Rig, username: str) -> dict[str, Any]:
    """The tokens that the app gets for a user who signs in."""
    async with rig.browser() as browser:
        await browser.sign_in(username)
        return await tokens_for(browser, AppCalls(rig))


async def subjects_told(rig: Rig, tokens: dict[str, Any]) -> set[str]:
    """By every way that tells one."""
    app = AppCalls(rig)
    _, introspected = await app.post("introspect", token=tokens["access_token"])
    _, userinfo = await app.userinfo(tokens["access_token"])
    claims = [claims_of(tokens["id_token"]), claims_of(tokens["access_token"]), introspected, userinfo]
    return {one["sub"] for one in claims}


async def test_the_next_owner_of_a_name_is_somebody_else_for_apps(tmp_path: Path) -> None:
    async with provider(tmp_path) as rig:
        await rig.add_user("temp")
        (first,) = await subjects_told(rig, await tokens_of(rig, "temp"))
        assert (await subjects_told(rig, await tokens_of(rig, "temp"))) == {first}, (
            "the same, sign-in after sign-in"
        )
        await rig.directory.delete("temp")
        await rig.add_user("temp")
        rig.clock.advance(61)
        (second,) = await subjects_told(rig, await tokens_of(rig, "temp"))
        assert second != first
        assert "temp" not in (first, second)


async def test_an_app_named_like_a_user_gets_no_token_that_could_be_the_users(tmp_path: Path) -> None:
    app = {**WEB, "id": "alice", "grants": ["authorization_code", "client_credentials"]}
    async with provider(tmp_path, app, oidc={"subject": "username"}) as rig:
        await rig.add_user()
        status, tokens = await AppCalls(rig, id="alice").post(
            "token", grant_type="client_credentials", scope="api"
        )
        assert status == 200, tokens
        assert claims_of(tokens["access_token"])["sub"] == "client:alice"


async def test_apps_that_want_usernames_get_them(tmp_path: Path) -> None:
    async with provider(tmp_path, oidc={"subject": "username"}) as rig:
        await rig.add_user()
        assert await subjects_told(rig, await tokens_of(rig, "alice")) == {"alice"}
