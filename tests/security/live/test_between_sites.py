"""Codes and tokens that go between sites are good once, at which worker or replica they arrive."""

import base64
import json
from collections import Counter
from urllib.parse import urlsplit

from gateway.stores.sql.devices import SqlDevices
from tests.live_rig import WIKI, Answer, Live, cookies_of, new_session
from tests.oidc_rig import CALLBACK, SECRET, AppCalls, code_for, pkce, tokens_for
from tests.rig import PASSWORD

MANY = 9


async def redeemed(rig: Live, form: dict[str, str], at: str) -> Answer:
    """As the app `web` asks for tokens."""
    pair = base64.b64encode(f"web:{SECRET}".encode()).decode()
    return await rig.ask("/_auth/oidc/token", form, at=at, Origin="", Authorization=f"Basic {pair}")


async def test_a_code_for_an_app_gives_tokens_once_and_none_that_live(rig: Live) -> None:
    user, proof = await rig.person(), pkce()
    async with rig.signed_in(user) as browser:
        code = await code_for(browser, proof)
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": CALLBACK}
        form["code_verifier"] = proof.verifier
        answers = await rig.race(MANY, lambda at: redeemed(rig, form, at))
        given = [json.loads(one.text) for one in answers if one.status == 200]
        assert len(given) <= 1
        for tokens in given:
            assert (await AppCalls(rig).userinfo(tokens["access_token"]))[0] == 401  # type: ignore[arg-type]
    await rig.until_logged("oidc_grant_voided", user.username)


async def test_a_refresh_token_without_a_secret_serves_once(rig: Live) -> None:
    user = await rig.person()
    async with rig.signed_in(user) as browser:
        calls = AppCalls(rig, id="spa", secret=None)  # type: ignore[arg-type]
        tokens = await tokens_for(browser, calls, scope="openid offline_access")
        form = {"grant_type": "refresh_token", "client_id": "spa", "refresh_token": tokens["refresh_token"]}
        answers = await rig.race(MANY, lambda at: rig.ask("/_auth/oidc/token", form, at=at, Origin=""))
        given = [json.loads(one.text) for one in answers if one.status == 200]
        assert len(given) <= 1
        for tokens in given:  # nobody knows whether its owner or a thief was first
            assert (await calls.refresh(tokens["refresh_token"]))[0] == 400


async def test_who_comes_back_from_a_provider_comes_once(rig: Live) -> None:
    user = await rig.person()
    rig.provider.id_token = {"email": user.email, "email_verified": True, "sub": user.username}
    async with rig.browser() as browser:
        leaving = await browser.get("/_auth/federated/corp?rd=/one")
        state = rig.provider.begun(leaving.headers["Location"])["state"]
        cookies = cookies_of(browser)
        back = f"/_auth/federated/corp/callback?code=the-code&state={state}"
        answers = await rig.race(MANY, lambda at: rig.ask(back, at=at, cookies=cookies))
    assert Counter(one.location for one in answers)["/one"] == 1
    await rig.until_logged("federated_ok", user.username)
    assert rig.logged("federated_ok", user.username) == 1


async def test_a_hand_off_to_another_domain_is_taken_once(rig: Live) -> None:
    user, wiki = await rig.person(), {"Host": f"{WIKI}:{rig.port}", "Origin": ""}
    async with rig.signed_in(user) as browser:
        begun = await rig.ask("/", **wiki)
        begun = await rig.ask(begun.location, **wiki)
        nonce = begun.headers["Set-Cookie"].partition(";")[0]
        across = urlsplit(begun.location)
        assert across.netloc == rig.host
        handed = await rig.ask(f"{across.path}?{across.query}", cookies=cookies_of(browser))
        arrive = urlsplit(handed.location)
        assert arrive.netloc == wiki["Host"]
        answers = await rig.race(
            MANY, lambda at: rig.ask(f"{arrive.path}?{arrive.query}", at=at, cookies=nonce, **wiki)
        )
    assert sum(map(new_session, answers)) == 1


async def test_a_remembered_device_is_its_users_and_ends_at_all_places(rig: Live) -> None:
    user, other = await rig.person(), await rig.person()
    async with rig.browser() as browser:
        await browser.password(user.username)
        token = await browser.token("/_auth/verify")
        form = {"code": await rig.code(user), "csrf_token": token, "rd": "/", "remember_device": "1"}
        assert (await browser.post("/_auth/verify", form)).status == 303
        (device,) = [one for one in cookies_of(browser).split("; ") if one.startswith("auth_session_device=")]
    async with rig.browser() as visitor:
        form = {"password": PASSWORD, "csrf_token": await visitor.token("/_auth/login"), "rd": "/"}
        cookies = f"{cookies_of(visitor)}; {device}"

        async def login(name: str, at: str = "") -> str:
            return (await rig.ask("/_auth/login", form | {"username": name}, at=at, cookies=cookies)).location

        assert await login(user.username) == "/"
        assert await login(other.username) != "/"
        assert await SqlDevices(rig.engine).remove_for_user(user.username) == 1
        for at in (rig.first.url, rig.first.url, rig.second.url):
            assert await login(user.username, at) != "/"
