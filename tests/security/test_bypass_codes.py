"""The administrator's one-time code: a second factor once, never instead of the password (rules 2, 9, 10)."""

import asyncio
from pathlib import Path

import pyotp

from gateway.authn.factors.bypass import Bypasses
from gateway.stores.sql.engine import open_engine
from gateway.stores.sql.ledger import SqlLedger
from tests.integration.test_factor_enrolment import begin_totp, code_of
from tests.rig import Browser, Rig, running_gateway


async def issued(rig: Rig, username: str = "alice", lifetime: float = 900) -> str:
    """As the command does it, in another process."""
    engine = open_engine(rig.config.storage.url)
    ring = rig.gateway.services.ring
    bypasses = Bypasses(SqlLedger(engine, rig.clock), lambda: ring.derive_all(b"bypass"))
    code = await bypasses.issue(username, lifetime)
    await engine.dispose()
    return code


async def give(browser: Browser, code: str, **more: str) -> int:
    return (await browser.code(code, method="bypass", **more)).status


async def is_in(browser: Browser) -> bool:
    return (await browser.get("/")).status == 200


async def test_it_lets_in_once_after_the_password(tmp_path: Path) -> None:
    async with running_gateway(tmp_path) as rig, rig.browser() as browser, rig.browser() as second:
        await rig.add_user()
        code = await issued(rig)
        await browser.password()
        await second.password()
        assert 'value="bypass"' in await (await browser.get("/_auth/verify")).text()
        assert await give(browser, code.replace("-", " ").upper()) == 303
        assert await is_in(browser)
        await give(second, code)
        assert not await is_in(second)
        assert 'value="bypass"' not in await (await second.get("/_auth/verify")).text()


async def test_of_two_browsers_at_once_one_gets_in(tmp_path: Path) -> None:
    async with running_gateway(tmp_path) as rig:
        await rig.add_user()
        code = await issued(rig)
        browsers = [rig.browser() for _ in range(4)]
        for browser in browsers:
            await browser.password()
            await browser.token("/_auth/verify")
        await asyncio.gather(*(give(browser, code) for browser in browsers))
        assert [await is_in(browser) for browser in browsers].count(True) == 1
        for browser in browsers:
            await browser.session.close()


async def test_it_is_good_for_its_user_and_time_and_until_a_newer_one(tmp_path: Path) -> None:
    async with running_gateway(tmp_path) as rig, rig.browser() as browser, rig.browser() as bob:
        await rig.add_user()
        await rig.add_user("bob", phone="+4915112345679")
        old, code = await issued(rig), await issued(rig)
        await issued(rig, "bob")
        await bob.password("bob")
        await browser.password()
        assert await give(bob, code) == 401
        assert await give(browser, old) == 401
        rig.clock.advance(901)
        await give(browser, code)
        assert not await is_in(browser)
        assert not await is_in(bob)


async def test_guessing_ends_the_sign_in_after_five_tries(tmp_path: Path) -> None:
    async with running_gateway(tmp_path) as rig, rig.browser() as browser:
        await rig.add_user()
        code = await issued(rig)
        await browser.password()
        for _ in range(5):
            assert await give(browser, "2222-2222-2222") == 401
        assert await give(browser, code) == 429
        assert not await is_in(browser)


async def test_a_rule_that_names_factors_refuses_it_unless_listed(tmp_path: Path) -> None:
    routes = [{"host": "*", "path": "/", "upstream": "UPSTREAM", "policy": {"factors": ["totp", "sms"]}}]
    async with running_gateway(tmp_path, routes=routes) as rig, rig.browser() as browser:
        await rig.add_user()
        code = await issued(rig)
        await browser.password()
        assert await give(browser, code) == 200, "the page asks for what is accepted, whatever the form names"
        assert not await is_in(browser)
        alice = await rig.directory.get("alice")
        assert alice is not None
        assert await rig.gateway.services.authn.factors.second["bypass"].enrolled(alice), "nor is it used up"


async def test_who_has_lost_everything_adds_a_new_factor_but_no_remembered_device(tmp_path: Path) -> None:
    async with running_gateway(tmp_path) as rig, rig.browser() as browser:
        await rig.add_user()
        code = await issued(rig)
        await browser.password()
        token = await browser.token("/_auth/verify")
        form = {"method": "bypass", "code": code, "csrf_token": token, "rd": "/", "remember_device": "1"}
        response = await browser.post("/_auth/verify", form)
        assert response.status == 303
        assert "device" not in ";".join(response.headers.getall("Set-Cookie"))
        assert (await browser.get("/_auth/approve")).status == 403  # lent, so it approves nobody
        secret, token = await begin_totp(browser)
        assert pyotp.TOTP(secret).verify(code_of(rig, secret), for_time=int(rig.clock.now))
        form = {"factor": "totp", "code": code_of(rig, secret), "csrf_token": token, "rd": "/"}
        assert (await browser.post("/_auth/enrol", form)).status == 200


async def test_only_a_hash_rests_in_the_database(tmp_path: Path) -> None:
    async with running_gateway(tmp_path) as rig:
        await rig.add_user()
        code = await issued(rig)
        files = b"".join(file.read_bytes() for file in tmp_path.glob("gateway.db*"))
        assert b"alice" in files
        for spelling in (code, code.replace("-", "")):
            assert spelling.encode() not in files
