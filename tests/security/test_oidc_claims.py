"""An app hears the claims that it may have, where it may have them, and nothing more."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from sqlalchemy import update

from gateway.oidc.clients import secret_hash
from gateway.stores.sql.schema import sessions
from gateway.stores.sql.transactions import writing
from tests.oidc_rig import (
    CALLBACK,
    SECRET,
    WEB,
    AppCalls,
    answer_of,
    authorize_path,
    claims_of,
    pkce,
    provider,
    tokens_for,
)
from tests.rig import FakeClock, Rig, csrf_of

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


def asking(**members: Any) -> dict[str, str]:
    return {"claims": json.dumps(members)}


async def test_single_claims_are_told_where_they_were_asked_for_and_nowhere_else(tmp_path: Path) -> None:
    strict = {**STRICT, "claims": ["cost_center"], "scopes": ["openid", "email"]}
    async with provider(tmp_path, strict, **OIDC) as rig, rig.browser() as browser:
        await alice(rig)
        await browser.sign_in()
        calls = AppCalls(rig, "strict")
        members = {
            "userinfo": {"email": {"essential": True}, "department": None, "groups": None, "name": None},
            "id_token": {"cost_center": None, "phone_number": {"essential": True}, "sid": {"value": "x"}},
        }
        tokens = await tokens_for(browser, calls, scope="openid", **asking(**members))
        in_token = claims_of(tokens["id_token"])
        assert in_token["cost_center"] == ["7", "8"]
        assert in_token["sid"] != "x"
        assert not {"email", "department", "groups", "phone_number"} & in_token.keys()
        _, info = await calls.userinfo(tokens["access_token"])
        assert info == {"sub": in_token["sub"], "email": "alice@example.com"}
        plain = await tokens_for(browser, calls, scope="openid")
        assert (await calls.userinfo(plain["access_token"]))[1].keys() == {"sub"}
        for wrong in ("{", "[]", json.dumps({"userinfo": {"email": 1}}), "x" * 5000):
            path = authorize_path(pkce(), client_id="strict", scope="openid", claims=wrong)
            assert answer_of(await browser.get(path))["error"] == "invalid_request"


async def test_claims_beyond_the_scopes_are_shown_and_allowed_by_their_user(tmp_path: Path) -> None:
    careful = {**HR, "consent": "once"}
    async with provider(tmp_path, careful, **OIDC) as rig, rig.browser() as browser:
        await alice(rig)
        await browser.sign_in()

        async def page(**params: str) -> str:
            path = authorize_path(pkce(), client_id="hr", **{"scope": "openid profile", **params})
            response = await browser.get(path)
            return await response.text() if response.status == 200 else ""

        more = asking(userinfo={"department": None, "groups": None, "name": None, "email": None})
        shown = await page(**more)
        assert "See this about you: department" in shown
        assert "See which groups you are in" in shown
        assert shown.count("See your name and username") == 1, (
            "a claim of a scope is asked for with the scope"
        )
        assert "mail address" not in shown, "what it may not have is not asked for"
        sealed = shown.split('name="continue" value="')[1].split('"')[0]
        form = {"continue": sealed, "do": "allow", "csrf_token": csrf_of(shown)}
        assert "code" in answer_of(await browser.post("/_auth/oidc/consent", form))
        assert await page(**more) == "", "remembered"
        assert await page() == "", "and less is no question"
        assert "cost_center" in await page(**asking(id_token={"cost_center": None})), "more is one"
        assert "See this about you: department" in await (await browser.get("/_auth/oidc/grants")).text()


async def test_claims_travel_in_a_pushed_request(tmp_path: Path) -> None:
    pushing = {**STRICT, "par": True}
    async with provider(tmp_path, pushing, **OIDC) as rig, rig.browser() as browser:
        await alice(rig)
        await browser.sign_in()
        calls, proof = AppCalls(rig, "strict"), pkce()
        form = {
            "redirect_uri": CALLBACK,
            "response_type": "code",
            "scope": "openid",
            "code_challenge": proof.challenge,
            "code_challenge_method": "S256",
        }
        status, refused = await calls.post("par", **form, claims="[]")
        assert (status, refused["error"]) == (400, "invalid_request")
        _, pushed = await calls.post("par", **form, **asking(id_token={"department": None}))
        query = urlencode({"client_id": "strict", "request_uri": pushed["request_uri"]})
        code = answer_of(await browser.get(f"/_auth/oidc/authorize?{query}"))["code"]
        _, tokens = await calls.redeem(code, proof.verifier)
        assert claims_of(tokens["id_token"])["department"] == "ops"


async def test_an_essential_context_is_reached_or_nobody_is_signed_in(tmp_path: Path) -> None:
    weak = {**WEB, "policy": {"require": "one_factor"}}
    no_keys = {**WEB, "id": "no-keys", "policy": {"factors": ["sms"]}}
    async with provider(tmp_path, weak, no_keys) as rig, rig.browser() as browser:
        await rig.add_user()
        await browser.password()

        def needs(*values: str, essential: bool = True, **params: str) -> str:
            members = {"id_token": {"acr": {"essential": essential, "values": values}}}
            return authorize_path(pkce(), scope="openid", claims=json.dumps(members), **params)

        assert "code" in answer_of(await browser.get(needs("1fa")))
        for path in (needs("2fa"), needs("2fa", essential=False)):
            assert (await browser.get(path)).headers["Location"].startswith("/_auth/verify?")
        silent = answer_of(await browser.get(needs("2fa", prompt="none")))
        assert silent["error"] == "interaction_required"
        unknown = answer_of(await browser.get(needs("gold")))
        assert unknown["error"] == "unmet_authentication_requirements"
        assert "code" in answer_of(await browser.get(needs("gold", essential=False)))
        await browser.code()
        # The app takes no other context than those that it named; who has proven more has proven these, too.
        tokens = await tokens_for(
            browser,
            AppCalls(rig),
            scope="openid",
            **asking(id_token={"acr": {"essential": True, "value": "1fa"}}),
        )
        assert claims_of(tokens["id_token"])["acr"] == "1fa"
        assert "code" in answer_of(await browser.get(needs("phr", "2fa"))), "one of them is enough"
        beyond = answer_of(await browser.get(needs("phr", client_id="no-keys")))
        assert beyond["error"] == "unmet_authentication_requirements", "its policy knows no security keys"
        assert (await browser.get(needs("phr"))).headers["Location"].startswith("/_auth/verify?")


async def test_a_user_who_is_asked_for_by_name_is_the_one_who_signs_in(tmp_path: Path) -> None:
    async with provider(tmp_path) as rig, rig.browser() as alices, rig.browser() as bobs:
        await rig.add_user()
        await rig.add_user("bob")
        await alices.sign_in()
        await bobs.sign_in("bob")
        calls = AppCalls(rig)
        hint = (await tokens_for(alices, calls, scope="openid"))["id_token"]
        subject = claims_of(hint)["sub"]
        wanted = asking(id_token={"sub": {"value": subject}})
        assert "code" in answer_of(await alices.get(authorize_path(pkce(), **wanted)))
        assert answer_of(await bobs.get(authorize_path(pkce(), **wanted)))["error"] == "login_required"
        either = asking(id_token={"sub": {"values": ["somebody", subject]}})
        assert "code" in answer_of(await alices.get(authorize_path(pkce(), **either, id_token_hint=hint)))
        other = asking(id_token={"sub": {"value": "somebody"}})
        refused = answer_of(await alices.get(authorize_path(pkce(), **other, id_token_hint=hint)))
        assert refused["error"] == "login_required", "hint and claim must both be right"


async def test_what_the_operator_takes_away_is_told_no_longer(tmp_path: Path) -> None:
    clock = FakeClock()
    wide, narrow = {**STRICT, "claims": ["groups"]}, STRICT
    async with provider(tmp_path, wide, clock=clock, **OIDC) as rig, rig.browser() as browser:
        await alice(rig)
        await browser.sign_in()
        calls = AppCalls(rig, "strict")
        tokens = await tokens_for(browser, calls, scope="openid", **asking(userinfo={"groups": None}))
        assert "groups" in (await calls.userinfo(tokens["access_token"]))[1]
        assert "groups" in claims_of(tokens["access_token"])
    async with provider(tmp_path, narrow, clock=clock, **OIDC) as rig:
        status, fresh = await AppCalls(rig, "strict").refresh(tokens["refresh_token"])
        assert status == 200
        assert "groups" not in claims_of(fresh["access_token"])
