"""An app hears the claims that it may have, where it may have them, and nothing more."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from sqlalchemy import update

from gateway.oidc.clients import secret_hash
from gateway.stores.sql.schema import sessions
from gateway.stores.sql.transactions import writing
from tests.oidc_rig import SECRET, WEB, AppCalls, claims_of, provider, tokens_for
from tests.rig import Rig

APIS = ["https://one.example.com", "https://two.example.com"]
CLAIMS = {"department": "{user.department}", "cost_center": "{user.cost_center}"}
HR: dict[str, Any] = {
    **WEB,
    "id": "hr",
    "scopes": ["openid", "profile", "groups", "hr"],
    "groups": {"only": ["app-*"], "map": {"app-a": "Admins"}, "prefix": "gw-"},
    "access_token_claims": ["groups", "department"],
    "audience": APIS,
}
STRICT = {**WEB, "id": "strict", "scopes": ["openid", "email", "hr"], "id_token_claims": "asked"}
QUIET = {**WEB, "id": "quiet", "access_token_claims": []}
OIDC = {"oidc": {"claims": CLAIMS, "scopes": {"hr": ["department", "cost_center"]}}}


async def alice(rig: Rig) -> None:
    user = await rig.add_user(email="alice@example.com", groups=("staff", "app-a", "app-b"))
    facts = (("department", ("ops",)), ("cost_center", ("7", "8")))
    await rig.directory.replace(replace(user, attributes=facts))


async def test_own_scopes_and_groups_are_told_to_the_app_that_may_have_them(tmp_path: Path) -> None:
    async with provider(tmp_path, HR, STRICT, QUIET, **OIDC) as rig, rig.browser() as browser:
        await alice(rig)
        await browser.sign_in()
        calls = AppCalls(rig, "hr")
        tokens = await tokens_for(browser, calls, scope="openid groups hr email", resource=APIS[0])
        told = {"department": "ops", "cost_center": ["7", "8"], "groups": ["Admins", "gw-app-b"]}
        _, info = await calls.userinfo(tokens["access_token"])
        assert info == {**told, "sub": info["sub"]}, "no mail: this app may not have it"
        assert told.items() <= claims_of(tokens["id_token"]).items()
        access = claims_of(tokens["access_token"])
        assert (access["groups"], access["department"]) == (told["groups"], "ops")
        assert "cost_center" not in access, "only what `access_token_claims` names"
        assert access["aud"] == [rig.url, APIS[0]], "a token for one API carries them as well"
        _, facts = await calls.post("introspect", token=tokens["access_token"])
        assert facts["groups"] == told["groups"]

        other = await tokens_for(browser, calls, scope="openid profile")
        assert not {"department", "groups"} & claims_of(other["access_token"]).keys(), "not granted, not told"
        _, narrow = await calls.refresh(tokens["refresh_token"], scope="openid hr")
        for text in (narrow["id_token"], narrow["access_token"]):
            assert "groups" not in claims_of(text)
            assert claims_of(text)["department"] == "ops"
        quiet = await tokens_for(browser, AppCalls(rig, "quiet"), scope="openid groups")
        assert "groups" not in claims_of(quiet["access_token"])
        assert claims_of(quiet["id_token"])["groups"] == ["staff", "app-a", "app-b"]


async def test_an_app_may_have_its_claims_at_userinfo_alone(tmp_path: Path) -> None:
    """OpenID Connect Core §5.4: where there is an access token, claims of scopes are told at userinfo."""
    async with provider(tmp_path, STRICT, **OIDC) as rig, rig.browser() as browser:
        await alice(rig)
        await browser.sign_in()
        calls = AppCalls(rig, "strict")
        tokens = await tokens_for(browser, calls, scope="openid email hr")
        assert not {"email", "department"} & claims_of(tokens["id_token"]).keys()
        _, info = await calls.userinfo(tokens["access_token"])
        assert {"email", "email_verified", "department", "cost_center"} <= info.keys()


async def test_groups_that_a_provider_named_are_told_while_the_session_lasts(tmp_path: Path) -> None:
    only = {**WEB, "id": "only", "secrets": [secret_hash(SECRET)], "policy": {"groups": ["acme"]}}
    async with provider(tmp_path, WEB, only) as rig, rig.browser() as browser:
        await rig.add_user(groups=("staff",))
        await browser.sign_in()
        async with writing(rig.gateway.stores.engine) as connection:
            await connection.execute(update(sessions).values(provider_groups='["acme"]'))
        rig.gateway.services.sessions.forget_all()
        calls = AppCalls(rig)
        tokens = await tokens_for(browser, calls, scope="openid groups offline_access")
        assert claims_of(tokens["id_token"])["groups"] == ["staff", "acme"]
        # Who is let in for such a group gets tokens, too.
        assert "id_token" in await tokens_for(browser, AppCalls(rig, "only"), scope="openid groups")
        rig.clock.advance(13 * 3600)
        status, fresh = await calls.refresh(tokens["refresh_token"])
        assert status == 200
        assert claims_of(fresh["id_token"])["groups"] == ["staff"], "nobody vouches for the other any more"


async def test_who_loses_the_attribute_that_a_policy_asks_for_gets_nothing_new(tmp_path: Path) -> None:
    ops = {**WEB, "policy": {"attributes": {"department": ["ops"]}}}
    async with provider(tmp_path, ops) as rig, rig.browser() as browser:
        user = await rig.add_user()
        await rig.directory.replace(replace(user, attributes=(("department", ("ops", "hr")),)))
        await browser.sign_in()
        tokens = await tokens_for(browser, AppCalls(rig))
        await rig.directory.replace(replace(user, attributes=(("department", ("hr",)),)))
        assert (await AppCalls(rig).userinfo(tokens["access_token"]))[0] == 401
        assert (await AppCalls(rig).refresh(tokens["refresh_token"]))[1]["error"] == "invalid_grant"
