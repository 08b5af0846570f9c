"""Rules 4, 6 and 10 for remembered devices: bound to one user, revocable, nothing without the password."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gateway.stores.sql.devices import SqlDevices
from gateway.stores.sql.engine import open_engine
from tests.rig import Browser, Rig, running_gateway

OTHER_PHONE = "+4915112345679"


def device_cookie(browser: Browser) -> str:
    return next((c.value for c in browser.session.cookie_jar if c.key == "auth_session_device"), "")


async def remembered(browser: Browser, username: str = "alice") -> str:
    """Signs in, has the browser remembered and signs out; the device cookie."""
    assert (await browser.password(username)).status == 303
    assert (await browser.code(remember_device="1")).status == 303
    await sign_out(browser)
    return device_cookie(browser)


async def sign_out(browser: Browser) -> None:
    await browser.post("/_auth/logout", {"csrf_token": await browser.token("/_auth/logout")})


async def is_asked_again(browser: Browser, username: str = "alice", rd: str = "/", **more: str) -> bool:
    response = await browser.password(username, rd=rd, **more)
    assert response.status == 303
    return response.headers["Location"].startswith("/_auth/verify")


async def devices(rig: Rig) -> list[Any]:
    engine = open_engine(rig.config.storage.url)
    found = await SqlDevices(engine).list()
    await engine.dispose()
    return list(found)


async def test_a_remembered_device_skips_the_second_factor_but_never_the_password(tmp_path: Path) -> None:
    async with running_gateway(tmp_path) as rig, rig.browser() as browser:
        await rig.add_user()
        cookie = await remembered(browser)
        assert (await browser.get("/")).headers["Location"].startswith("/_auth/login")
        assert not await is_asked_again(browser)
        assert (await browser.get("/")).status == 200
        [device] = await devices(rig)
        assert cookie
        assert device.id not in cookie
        assert len(device.id) == 64


async def test_no_device_is_remembered_unasked(tmp_path: Path) -> None:
    async with running_gateway(tmp_path) as rig, rig.browser() as browser:
        await rig.add_user()
        await browser.sign_in()
        assert device_cookie(browser) == ""
        assert await devices(rig) == []


async def test_a_wrong_code_remembers_nothing(tmp_path: Path) -> None:
    async with running_gateway(tmp_path) as rig, rig.browser() as browser:
        await rig.add_user()
        await browser.password()
        await browser.get("/_auth/verify")
        wrong = f"{(int(rig.codes[-1]) + 1) % 10**6:06d}"
        assert (await browser.code(wrong, remember_device="1")).status == 401
        assert await devices(rig) == []


async def test_the_device_of_one_user_is_worth_nothing_for_another(tmp_path: Path) -> None:
    async with running_gateway(tmp_path) as rig, rig.browser() as browser:
        await rig.add_user("alice")
        await rig.add_user("bob", phone=OTHER_PHONE)
        await remembered(browser, "alice")
        assert await is_asked_again(browser, "bob")


async def test_a_revoked_device_is_worth_nothing(tmp_path: Path) -> None:
    async with running_gateway(tmp_path) as rig, rig.browser() as browser:
        await rig.add_user()
        await remembered(browser)
        engine = open_engine(rig.config.storage.url)
        assert await SqlDevices(engine).remove_for_user("alice") == 1
        await engine.dispose()
        assert await is_asked_again(browser)


@pytest.mark.parametrize("event", ["password", "phone", "disabled", "time"])
async def test_what_ends_a_remembered_device(tmp_path: Path, event: str) -> None:
    async with running_gateway(tmp_path) as rig, rig.browser() as browser:
        user = await rig.add_user()
        await remembered(browser)
        rig.clock.advance(5)
        password = {}
        if event == "password":
            password = {"password": "another good passphrase"}
            await rig.directory.set_password("alice", password["password"])
        elif event == "phone":
            await rig.directory.replace(replace(user, phone=OTHER_PHONE))
        elif event == "disabled":
            await rig.directory.replace(replace(user, disabled=True))
            await rig.directory.replace(replace(user, disabled=False))
        else:
            rig.clock.advance(rig.config.session.remember_device)
        assert await is_asked_again(browser, **password)


@pytest.mark.parametrize("policy", [{"factors": ["sms"]}, {"max_age": "1h"}])
async def test_a_rule_that_names_factors_or_their_age_wants_a_real_proof(
    tmp_path: Path, policy: dict[str, Any]
) -> None:
    routes = [
        {
            "host": "*",
            "path": "/exact",
            "upstream": "UPSTREAM",
            "policy": {"require": "two_factor", **policy},
        },
        {"host": "*", "path": "/", "upstream": "UPSTREAM"},
    ]
    async with running_gateway(tmp_path, routes=routes) as rig, rig.browser() as browser:
        await rig.add_user()
        await remembered(browser)
        assert await is_asked_again(browser, rd="/exact")
        assert (await browser.get("/exact")).headers["Location"].startswith("/_auth/verify")
        assert (await browser.get("/")).status == 200
        assert (await browser.code(rd="/exact")).status == 303
        assert (await browser.get("/exact")).status == 200


async def test_zero_turns_remembering_off_for_cookies_that_are_out_too(tmp_path: Path) -> None:
    async with running_gateway(tmp_path) as rig, rig.browser() as browser:
        await rig.add_user()
        cookie = await remembered(browser)
    off = {"remember_device": "0s"}
    async with running_gateway(tmp_path, session=off) as rig, rig.browser() as browser:
        browser.session.cookie_jar.update_cookies({"auth_session_device": cookie})
        await browser.password()
        assert "remember_device" not in await (await browser.get("/_auth/verify")).text()
        response = await browser.code(remember_device="1")
        assert "auth_session_device" not in str(response.headers.getall("Set-Cookie"))


async def test_the_cookie_is_guarded_and_no_upstream_sees_or_sets_it(tmp_path: Path) -> None:
    async def nosy(request: Any) -> Any:
        from aiohttp import web

        headers = {"Set-Cookie": "auth_session_device=planted; Path=/"}
        return web.Response(text=request.headers.get("Cookie", "none"), headers=headers)

    async with running_gateway(tmp_path, handler=nosy) as rig, rig.browser() as browser:
        await rig.add_user()
        await browser.password()
        response = await browser.code(remember_device="1")
        [cookie] = [c for c in response.headers.getall("Set-Cookie") if c.startswith("auth_session_device=")]
        for attribute in ("HttpOnly", "SameSite=Lax", "Path=/", "Max-Age=2592000"):
            assert attribute in cookie
        answer = await browser.get("/")
        assert "auth_session" not in await answer.text()
        assert "Set-Cookie" not in answer.headers


async def test_on_https_the_cookie_has_the_host_prefix(tmp_path: Path) -> None:
    server = {"public_url": "https://app.test"}
    async with running_gateway(tmp_path, server=server) as rig:
        assert rig.gateway.devices.cookie_name == "__Host-auth_session_device"


async def test_a_stolen_or_forged_device_cookie_alone_opens_nothing(tmp_path: Path) -> None:
    async with running_gateway(tmp_path) as rig, rig.browser() as browser, rig.browser() as thief:
        await rig.add_user()
        cookie = await remembered(browser)
        response = await thief.get("/", Cookie=f"auth_session_device={cookie}; auth_session={cookie}")
        assert response.headers["Location"].startswith("/_auth/login")
        thief.session.cookie_jar.update_cookies({"auth_session_device": cookie[:-6] + "AAAAA="})
        assert await is_asked_again(thief)


async def test_a_password_that_a_silent_directory_changed_ends_them_too(tmp_path: Path) -> None:
    """A user file knows nothing of devices: it only says when the password was changed."""
    async with running_gateway(tmp_path) as rig, rig.browser() as browser:
        user = await rig.add_user()
        cookies = f"auth_session_device={await remembered(browser)}"
        assert await rig.gateway.devices.recognise(cookies, user) is not None
        changed = replace(user, password_changed_at=rig.clock() + 1)
        assert await rig.gateway.devices.recognise(cookies, changed) is None
