"""Apps of different sectors can't find out, by anything that they are told, that two of their users are one person
(OpenID Connect Core §8.1).
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from aiohttp import web

from gateway.oidc.clients import secret_hash
from gateway.stores.sql.key_names import claim_keys
from tests.oidc_rig import (
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
from tests.rig import Browser, FakeClock, csrf_of, running_upstream
from tests.waiting import until


def app(id: str, host: str, **more: Any) -> dict[str, Any]:
    return {
        **WEB,
        "id": id,
        "secrets": [secret_hash(SECRET)],
        "redirect_uris": [f"https://{host}/callback"],
        "post_logout_redirect_uris": [f"https://{host}/bye"],
        "scopes": ["openid", "email", "profile", "offline_access"],
        "subject_type": "pairwise",
        **more,
    }


SHOP, BANK = app("shop", "app.example.com"), app("bank", "app.example.com.bank.example")
SHOP_TOO = app("shop-too", "app.example.com")
EXPECTED_TO_BE_SAME = {
    *("iss", "token_type", "scope", "active", "acr", "amr", "events", "expires_in", "aud"),
    *("exp", "iat", "nonce"),
}
"""What says nothing of who somebody is; `aud` of access tokens is us, and the nonce is the test's own."""


def words(document: Any, key: str = "") -> Iterator[str]:
    """Every value of a document that could be compared with one of another document."""
    if isinstance(document, dict):
        for name, value in document.items():
            if name not in EXPECTED_TO_BE_SAME:
                yield from words(value, name)
    elif isinstance(document, list):
        for value in document:
            yield from words(value, key)
    else:
        yield str(document)


async def documents(browser: Browser, calls: AppCalls, host: str) -> list[dict[str, Any]]:
    """Everything that an app can get about the user of a browser."""
    back = f"https://{host}/callback"
    proof = pkce()
    path = authorize_path(
        proof, client_id=calls.id, redirect_uri=back, scope="openid offline_access", nonce="n0nce"
    )
    answer = dict(
        part.split("=") for part in (await browser.get(path)).headers["Location"].split("?")[1].split("&")
    )
    _, tokens = await calls.redeem(answer["code"], proof.verifier, redirect_uri=back)
    _, info = await calls.userinfo(tokens["access_token"])
    _, of_access = await calls.post("introspect", token=tokens["access_token"])
    _, of_refresh = await calls.post("introspect", token=tokens["refresh_token"])
    _, fresh = await calls.refresh(tokens["refresh_token"])
    read = [claims_of(one[name]) for one in (tokens, fresh) for name in ("id_token", "access_token")]
    return [tokens, fresh, info, of_access, of_refresh, *read]


async def test_apps_of_different_sectors_have_no_word_in_common_about_a_user(tmp_path: Path) -> None:
    async with provider(tmp_path, SHOP, BANK, SHOP_TOO) as rig, rig.browser() as browser:
        await rig.add_user(email="alice@example.com")
        await browser.sign_in()
        shop = await documents(browser, AppCalls(rig, "shop"), "app.example.com")
        rig.clock.advance(1)
        bank = await documents(browser, AppCalls(rig, "bank"), "app.example.com.bank.example")
        told, heard = set(words(shop)), set(words(bank))
        assert len(told) > 10
        assert told & heard == set()
        assert not {"alice", "alice@example.com"} & (told | heard)
        subjects = {one["sub"] for one in shop if "sub" in one}
        assert len(subjects) == 1, "one name by every way that tells one"
        assert len({one["sid"] for one in shop if "sid" in one}) == 1
        too = await documents(browser, AppCalls(rig, "shop-too"), "app.example.com")
        assert {one["sub"] for one in too if "sub" in one} == subjects, "the same sector"
        assert not {one["sid"] for one in too if "sid" in one} & {one.get("sid") for one in shop}


async def test_names_are_the_same_after_keys_were_rotated_and_for_each_sign_in(tmp_path: Path) -> None:
    clock = FakeClock()

    async def subject() -> str:
        plain = {**SHOP, "policy": {"require": "one_factor"}}  # no factor that the key ring has sealed
        async with provider(tmp_path, plain, clock=clock) as rig, rig.browser() as browser:
            if await rig.directory.get("alice") is None:
                await rig.add_user()
            clock.advance(400)
            await browser.password()
            tokens = await tokens_for(browser, AppCalls(rig, "shop"), scope="openid")
            ring = rig.gateway.services.ring
            for _ in range(3):  # none of the keys at the beginning is left
                ring.rotate(clock(), keep=2)
                path = Path(rig.gateway.services.config.session.keys_file)
                await claim_keys(rig.gateway.stores.engine, path, [key.id for key in ring.keys])
            return str(claims_of(tokens["id_token"])["sub"])

    first = await subject()
    assert await subject() == first
    assert len(first) == 32


async def test_a_hint_is_read_back_and_signs_out_without_a_question(tmp_path: Path) -> None:
    async with provider(tmp_path, SHOP) as rig, rig.browser() as alice, rig.browser() as bob:
        await rig.add_user()
        await rig.add_user("bob")
        await alice.sign_in()
        await bob.sign_in("bob")
        hint = (await tokens_for(alice, AppCalls(rig, "shop"), scope="openid"))["id_token"]
        path = authorize_path(pkce(), client_id="shop", scope="openid", id_token_hint=hint, prompt="none")
        assert "code" in answer_of(await alice.get(path))
        assert answer_of(await bob.get(path))["error"] == "login_required"
        end = f"/_auth/oidc/end-session?id_token_hint={hint}&post_logout_redirect_uri=https://app.example.com/bye"
        assert (await bob.get(end)).status == 200, "bob is asked: it is not his session"
        assert (await alice.get(end)).headers["Location"] == "https://app.example.com/bye"


async def test_logout_tokens_name_user_and_session_as_the_id_token_did(tmp_path: Path) -> None:
    told: list[dict[str, Any]] = []

    async def hear(request: web.Request) -> web.Response:
        told.append(claims_of(str((await request.post())["logout_token"])))
        return web.Response()

    async with running_upstream(hear) as other:
        listening = {**SHOP, "backchannel_logout_uri": f"{other.url}/"}
        async with provider(tmp_path, listening) as rig, rig.browser() as browser:
            await rig.add_user()
            await browser.sign_in()
            tokens = await tokens_for(browser, AppCalls(rig, "shop"), scope="openid")
            known = claims_of(tokens["id_token"])
            page = await (await browser.get("/_auth/logout")).text()
            await browser.post("/_auth/logout", {"csrf_token": csrf_of(page)})
            await until(lambda: bool(told))
    assert (told[0]["sub"], told[0]["sid"]) == (known["sub"], known["sid"])


async def test_what_was_granted_before_a_client_became_pairwise_goes_on_under_its_name(
    tmp_path: Path,
) -> None:
    clock = FakeClock()
    before = {**SHOP, "subject_type": "public"}
    async with provider(tmp_path, before, clock=clock) as rig, rig.browser() as browser:
        await rig.add_user()
        await browser.sign_in()
        old = await tokens_for(browser, AppCalls(rig, "shop"), scope="openid offline_access")
    async with provider(tmp_path, SHOP, clock=clock) as rig, rig.browser() as browser:
        status, fresh = await AppCalls(rig, "shop").refresh(old["refresh_token"])
        assert status == 200
        assert claims_of(fresh["id_token"])["sub"] == claims_of(old["id_token"])["sub"]  # Core §12.2
        clock.advance(400)
        await browser.sign_in()
        new = await tokens_for(browser, AppCalls(rig, "shop"), scope="openid")
        assert claims_of(new["id_token"])["sub"] != claims_of(old["id_token"])["sub"]


async def test_time_of_proof_is_told_to_a_pairwise_app_only_where_it_asks(tmp_path: Path) -> None:
    async with provider(tmp_path, SHOP) as rig, rig.browser() as browser:
        await rig.add_user()
        await browser.sign_in()
        calls = AppCalls(rig, "shop")
        assert "auth_time" not in claims_of((await tokens_for(browser, calls, scope="openid"))["id_token"])
        asked = await tokens_for(browser, calls, scope="openid", max_age="3600")
        assert claims_of(asked["id_token"])["auth_time"] == int(rig.clock())


async def test_names_are_of_the_person_even_where_apps_get_usernames(tmp_path: Path) -> None:
    async with provider(tmp_path, SHOP, oidc={"subject": "username"}) as rig, rig.browser() as browser:
        await rig.add_user()
        await browser.sign_in()
        tokens = await tokens_for(browser, AppCalls(rig, "shop"), scope="openid")
        assert "alice" not in json.dumps(claims_of(tokens["id_token"]))
