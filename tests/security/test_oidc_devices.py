"""The device flow: a device is connected by its owner, once, and its codes can't be guessed."""

import asyncio
from pathlib import Path

from tests.oidc_rig import (
    SPA,
    AppCalls,
    provider,
)
from tests.rig import csrf_of

DEVICE = "urn:ietf:params:oauth:grant-type:device_code"


async def test_a_device_is_connected_by_its_owner_once(tmp_path: Path) -> None:
    async with provider(tmp_path) as rig, rig.browser() as browser:
        await rig.add_user()
        calls = AppCalls(rig, "spa", None)
        _, start = await calls.post("device_authorization", scope="openid")

        async def poll() -> str:
            _, answer = await calls.post("token", grant_type=DEVICE, device_code=start["device_code"])
            return str(answer.get("error", "tokens"))

        assert await poll() == "authorization_pending"
        assert await poll() == "slow_down"
        rig.clock.advance(5)
        assert await poll() == "slow_down"  # the interval is ten seconds now
        rig.clock.advance(30)
        assert await poll() == "authorization_pending"
        path = f"/_auth/oidc/device?user_code={start['user_code']}"
        assert (await browser.get(path)).headers["Location"].startswith("/_auth/login?")
        await browser.password()
        page = await (await browser.get(path)).text()
        form = {"user_code": start["user_code"].lower(), "csrf_token": csrf_of(page)}
        step_up = await browser.post("/_auth/oidc/device", {**form, "do": "allow"})
        assert step_up.headers["Location"].startswith("/_auth/verify?")
        await browser.code()
        page = await (await browser.get(path)).text()
        form["csrf_token"] = csrf_of(page)
        confirm = await (await browser.post("/_auth/oidc/device", form)).text()
        assert "Connect spa?" in confirm
        forged = await browser.post("/_auth/oidc/device", {**form, "csrf_token": "x", "do": "allow"})
        assert forged.status == 403
        rig.clock.advance(60)
        assert await poll() == "authorization_pending"
        done = await (await browser.post("/_auth/oidc/device", {**form, "do": "allow"})).text()
        assert "Connected" in done
        answers = await asyncio.gather(*(poll() for _ in range(5)))
        assert sorted(answers) == ["expired_token"] * 4 + ["tokens"]
        assert (await browser.post("/_auth/oidc/device", {**form, "do": "allow"})).status == 404


async def test_a_device_code_is_for_its_own_app_and_for_whom_the_policy_lets_in(tmp_path: Path) -> None:
    staff = {**SPA, "id": "staff", "policy": {"groups": ["staff"]}}
    strict = {**SPA, "id": "strict", "policy": {"require": "two_factor", "factors": ["webauthn"]}}
    async with provider(tmp_path, SPA, staff, strict) as rig, rig.browser() as browser:
        await rig.add_user()
        await browser.sign_in()
        token = await browser.token("/_auth/oidc/device")
        device = AppCalls(rig, "spa", None)
        for app in ("spa", "staff", "strict"):
            _, start = await AppCalls(rig, app, None).post("device_authorization", scope="openid")
            form = {"user_code": start["user_code"], "csrf_token": token, "do": "allow"}
            answer = await browser.post("/_auth/oidc/device", form)
            assert answer.status == {"spa": 200, "staff": 403, "strict": 303}[app]
            _, stolen = await (AppCalls(rig, "staff", None) if app == "spa" else device).post(
                "token", grant_type=DEVICE, device_code=start["device_code"]
            )
            assert stolen["error"] == "invalid_grant"
            if app != "spa":
                own = AppCalls(rig, app, None)
                _, waits = await own.post("token", grant_type=DEVICE, device_code=start["device_code"])
                assert waits["error"] == "authorization_pending"


async def test_device_codes_can_not_be_guessed(tmp_path: Path) -> None:
    async with provider(tmp_path) as rig, rig.browser() as browser:
        await rig.add_user()
        await browser.sign_in()
        _, start = await AppCalls(rig, "spa", None).post("device_authorization", scope="openid")
        token = await browser.token("/_auth/oidc/device")
        statuses = [
            (
                await browser.post("/_auth/oidc/device", {"user_code": f"BCDF-{n:04d}", "csrf_token": token})
            ).status
            for n in range(11)
        ]
        assert statuses == [404] * 10 + [429]
        right = {"user_code": start["user_code"], "csrf_token": token, "do": "allow"}
        assert (await browser.post("/_auth/oidc/device", right)).status == 429


async def test_guesses_at_device_codes_count_for_the_address_however_many_accounts_it_has(
    tmp_path: Path,
) -> None:
    async with provider(tmp_path) as rig:
        statuses = []
        for name in ("alice", "bob", "carol"):
            await rig.add_user(name)
            async with rig.browser() as browser:
                await browser.sign_in(name)
                token = await browser.token("/_auth/oidc/device")
                for guess in range(7):
                    form = {"user_code": f"BCDF-{guess:04d}", "csrf_token": token}
                    statuses.append((await browser.post("/_auth/oidc/device", form)).status)
        assert statuses == [404] * 20 + [429]


async def test_a_refused_device_is_told_so(tmp_path: Path) -> None:
    async with provider(tmp_path) as rig, rig.browser() as browser:
        await rig.add_user()
        await browser.sign_in()
        calls = AppCalls(rig, "spa", None)
        _, start = await calls.post("device_authorization", scope="openid")
        token = await browser.token("/_auth/oidc/device")
        form = {"user_code": start["user_code"], "csrf_token": token, "do": "refuse"}
        assert "Not connected" in await (await browser.post("/_auth/oidc/device", form)).text()
        _, answer = await calls.post("token", grant_type=DEVICE, device_code=start["device_code"])
        assert answer["error"] == "access_denied"
        assert (await AppCalls(rig).post("device_authorization", scope="openid"))[1][
            "error"
        ] == "unauthorized_client"
