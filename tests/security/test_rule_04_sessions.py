"""Rule 4: ids change at each rise of privilege, cookies are guarded, sessions can be ended, keys can rotate."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest
from aiohttp import WSMsgType, web

from gateway.errors import SessionEnded
from gateway.keyring import KeyRing
from gateway.model import User
from gateway.stores.sql.engine import open_engine
from gateway.stores.sql.sessions import SqlSessions
from tests.rig import running_gateway
from tests.waiting import PATIENCE


async def websocket(request: web.Request) -> web.WebSocketResponse:
    """An app that says back what it hears."""
    ws = web.WebSocketResponse()
    await ws.prepare(request)
    async for message in ws:
        await ws.send_str(message.data)
    return ws


async def test_cookie_and_csrf_token_change_at_each_step(tmp_path: Path) -> None:
    async with running_gateway(tmp_path) as rig, rig.browser() as browser:
        await rig.add_user()
        tokens, cookies = [await browser.token("/_auth/login")], [browser.cookie()]
        await browser.password()
        cookies.append(browser.cookie())
        tokens.append(await browser.token("/_auth/verify"))
        await browser.code()
        cookies.append(browser.cookie())
        tokens.append(await browser.token("/_auth/logout"))
        assert len(set(cookies)) == 3
        assert len(set(tokens)) == 3
        for old in cookies[:2]:
            async with rig.browser() as thief:
                assert (await thief.get("/", Cookie=f"auth_session={old}")).status == 303


async def test_a_session_planted_before_sign_in_gains_nothing(tmp_path: Path) -> None:
    async with running_gateway(tmp_path) as rig, rig.browser() as attacker, rig.browser() as victim:
        await rig.add_user()
        await attacker.get("/_auth/login")
        planted = attacker.cookie()
        victim.session.cookie_jar.update_cookies({"auth_session": planted})
        await victim.sign_in()
        assert (await attacker.get("/")).status == 303


async def test_cookie_attributes_on_https(tmp_path: Path) -> None:
    server = {"public_url": "https://app.test"}
    async with running_gateway(tmp_path, server=server) as rig, rig.browser() as browser:
        cookie = (await browser.get("/_auth/login")).headers["Set-Cookie"]
        assert cookie.startswith("__Host-auth_session=")
        for attribute in ("HttpOnly", "Secure", "SameSite=Lax", "Path=/"):
            assert attribute in cookie
        assert "Domain" not in cookie


async def test_a_session_ended_elsewhere_is_refused_within_a_second_or_two(tmp_path: Path) -> None:
    async with running_gateway(tmp_path) as rig, rig.browser() as browser:
        await rig.add_user()
        await browser.sign_in()
        assert (await browser.get("/")).status == 200
        engine = open_engine(rig.config.storage.url)  # as the command line does, in another process
        assert await SqlSessions(engine, rig.clock).delete_for_user("alice") == 1
        await engine.dispose()
        await browser.until_status(303)


async def test_a_session_that_ends_while_it_is_being_read_is_not_remembered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running_gateway(tmp_path) as rig, rig.browser() as browser:
        await rig.add_user()
        await browser.sign_in()
        sessions, cookie = rig.gateway.sessions, f"auth_session={browser.cookie()}"
        sessions.forget_user("alice")
        asked, go_on = asyncio.Event(), asyncio.Event()

        async def slowly(username: str) -> User | None:
            user = await rig.directory.get(username)
            asked.set()
            await go_on.wait()
            return user

        with monkeypatch.context() as slow:
            slow.setattr(sessions._directory, "get", slowly)
            reading = asyncio.create_task(sessions.load(cookie, "app.test"))
            await asked.wait()
            await rig.gateway.stores.sessions.delete_for_user("alice")
            sessions.forget_user("alice")
            go_on.set()
            await reading
        assert await sessions.load(cookie, "app.test") is None


async def test_a_use_during_which_a_change_is_heard_keeps_the_session_from_idling_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running_gateway(tmp_path) as rig, rig.browser() as browser:
        await rig.add_user()
        await browser.sign_in()
        sessions, cookie = rig.gateway.sessions, f"auth_session={browser.cookie()}"

        async def while_a_change_comes(username: str) -> User | None:
            sessions.forget_user("somebody else")
            return await rig.directory.get(username)

        sessions.forget_user("alice")
        rig.clock.advance(3500)
        with monkeypatch.context() as meanwhile:
            meanwhile.setattr(sessions._directory, "get", while_a_change_comes)
            assert await sessions.load(cookie, "app.test") is not None
        rig.clock.advance(3500)
        assert await sessions.load(cookie, "app.test") is not None


async def test_disabling_a_user_or_changing_the_password_ends_sessions(tmp_path: Path) -> None:
    async with running_gateway(tmp_path) as rig, rig.browser() as browser:
        user = await rig.add_user()
        await browser.sign_in()
        rig.clock.advance(5)
        await rig.directory.set_password("alice", "another good passphrase")
        await browser.until_status(303)
        await browser.password(password="another good passphrase")
        await browser.code()
        assert (await browser.get("/")).status == 200
        stored = await rig.directory.get(user.username)
        assert stored is not None

        await rig.directory.replace(replace(stored, disabled=True))
        await browser.until_status(303)


async def test_who_is_disabled_in_a_directory_that_tells_nobody_is_out_at_the_next_look(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """LDAP sends no word: what it says is read again within a minute."""
    async with running_gateway(tmp_path) as rig, rig.browser() as browser:
        user = await rig.add_user()
        await browser.sign_in()

        async def disabled(_: str) -> User:
            return replace(user, disabled=True)

        with monkeypatch.context() as ldap:
            ldap.setattr(rig.gateway.sessions._directory, "get", disabled)
            rig.clock.advance(61)
            assert (await browser.get("/")).status == 303
        assert (await browser.get("/")).status == 303, "enabled again, the session stays ended"


@pytest.mark.parametrize("fast_path", [True, False])
async def test_a_group_that_is_taken_away_counts_no_more_within_two_seconds(
    tmp_path: Path, fast_path: bool
) -> None:
    routes = [{"upstream": "UPSTREAM", "policy": {"require": "one_factor", "groups": ["staff"]}}]
    async with running_gateway(tmp_path, routes=routes, server={"fast_path": fast_path}) as rig:
        user = await rig.add_user(groups=("staff",))
        async with rig.browser() as browser:
            await browser.password()
            assert [(await browser.get("/")).status for _ in range(3)] == [200] * 3
            await rig.directory.replace(replace(user, groups=()))
            await browser.until_status(403)
            assert [(await browser.get("/")).status for _ in range(3)] == [403] * 3


async def test_rotating_keys_keeps_sessions_alive(tmp_path: Path) -> None:
    async with running_gateway(tmp_path) as rig, rig.browser() as browser:
        await rig.add_user()
        await browser.sign_in()
        KeyRing.load_or_create(rig.config.session.keys_file, rig.clock).rotate(rig.clock())
        rig.clock.advance(120)
        assert (await browser.get("/")).status == 200
        assert len((await (await browser.get("/_auth/jwks.json")).json())["keys"]) == 2


async def test_a_tampered_or_foreign_cookie_is_nobody(tmp_path: Path) -> None:
    async with running_gateway(tmp_path) as rig, rig.browser() as browser:
        await rig.add_user()
        await browser.sign_in()
        good = browser.cookie()
        async with rig.browser() as other:
            for bad in (good[:-4] + "AAAA", "x", "ä", good + good, "gAAAAA=="):
                response = await other.get("/", Cookie=f"auth_session={bad}".encode().decode("latin-1"))
                assert response.status in (303, 400), bad


@pytest.mark.parametrize("fast_path", [True, False])
async def test_an_unused_session_ends_and_a_used_one_does_not(tmp_path: Path, fast_path: bool) -> None:
    times = {"idle_timeout": "10m", "absolute_timeout": "10h"}
    async with (
        running_gateway(tmp_path, session=times, server={"fast_path": fast_path}) as rig,
        rig.browser() as browser,
    ):
        await rig.add_user()
        await browser.sign_in()
        for _ in range(4):
            rig.clock.advance(590)
            assert (await browser.get("/")).status == 200
        rig.clock.advance(601)
        assert (await browser.get("/")).status == 303


@pytest.mark.parametrize("fast_path", [True, False])
async def test_even_a_busy_session_ends_at_its_time_and_a_second_factor_does_not_prolong_it(
    tmp_path: Path, fast_path: bool
) -> None:
    times = {"idle_timeout": "40m", "absolute_timeout": "1h"}
    async with (
        running_gateway(tmp_path, session=times, server={"fast_path": fast_path}) as rig,
        rig.browser() as browser,
    ):
        await rig.add_user()
        await browser.password()
        rig.clock.advance(1500)
        assert (await browser.code()).status == 303
        rig.clock.advance(1500)
        assert (await browser.get("/")).status == 200
        rig.clock.advance(601)
        assert (await browser.get("/")).status == 303


async def test_a_websocket_ends_with_the_session_that_opened_it(tmp_path: Path) -> None:
    async with running_gateway(tmp_path, handler=websocket) as rig, rig.browser() as browser:
        await rig.add_user()
        await browser.sign_in()
        async with browser.session.ws_connect(f"{rig.url}/ws", headers={"Origin": rig.url}) as ws:
            await ws.send_str("hello")
            assert await ws.receive_str(timeout=PATIENCE) == "hello"
            await browser.post("/_auth/logout", {"csrf_token": await browser.token("/_auth/logout")})
            assert (await ws.receive(timeout=PATIENCE)).type is WSMsgType.CLOSE


async def test_a_session_that_is_revoked_while_a_code_is_judged_does_not_rise(tmp_path: Path) -> None:
    async with running_gateway(tmp_path) as rig, rig.browser() as browser:
        await rig.add_user()
        await browser.password()
        await browser.get("/_auth/verify")
        layer = rig.gateway.services.sessions
        (old,) = await rig.gateway.services.stores.records.list("alice")
        principal = await layer.look_up(old.sid)
        assert principal is not None
        await layer.end_others("alice", "")  # an administrator, just now
        with pytest.raises(SessionEnded):
            await layer.rise(principal, "alice", "sms", ip="203.0.113.7", user_agent="")
        assert await rig.gateway.services.stores.records.list("alice") == []
