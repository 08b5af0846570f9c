"""Going round between app and sign-in page ends after three rounds, with the cause for the user and the operator."""

from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import text
from yarl import URL

from gateway.portal.signin.redirect_loop_cause import CAUSES, Facts, diagnose
from tests.rig import HTML, PASSWORD, Browser, Rig, running_gateway

GOOD = Facts("https", "a.test", "a.test", 1, True, True, True, None)
CASES = [
    ("plain_http", {"scheme": "http", "cookies": 0}),
    ("cookie_domain", {"cookies": 0, "domain": "b.test"}),
    ("no_cookie", {"cookies": 0}),
    ("no_cookie", {"cookies": 0, "domain": "test"}),
    ("two_cookies", {"cookies": 2, "signed_in": False}),
    ("unreadable", {"opened": False, "signed_in": False}),
    ("session_lost", {"signed_in": False}),
    ("other_host", {"destination": "b.test"}),
    ("asked_again", {}),
]


@pytest.mark.parametrize(("code", "facts"), CASES)
def test_each_cause_is_told_from_the_others(code: str, facts: dict[str, object]) -> None:
    values = {name: getattr(GOOD, name) for name in Facts.__slots__}
    assert diagnose(Facts(**{**values, **facts})).code == code
    assert {cause.code for cause in CAUSES} == {code for code, _ in CASES}


async def lose_session(rig: Rig, browser: Browser) -> None:
    await rig.gateway.stores.sessions.delete_for_user("alice")
    rig.gateway.sessions.forget_user("alice")


async def break_cookie(rig: Rig, browser: Browser) -> None:
    spoilt = {"auth_session": browser.cookie()[:-6] + "AAAA=="}
    browser.session.cookie_jar.update_cookies(spoilt, URL(rig.url))


@pytest.mark.parametrize(("spoil", "code"), [(lose_session, "session_lost"), (break_cookie, "unreadable")])
async def test_a_session_that_does_not_hold_is_diagnosed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, spoil: Callable[..., object], code: str
) -> None:
    async with running_gateway(tmp_path) as rig, rig.browser() as browser:
        await rig.add_user()
        for _ in range(3):
            await browser.sign_in(rd="/app")
            await spoil(rig, browser)  # type: ignore[misc]
            response = await browser.get("/app")
            assert response.headers["Location"] == "/_auth/login?rd=/app"
            rig.clock.advance(40)
        response = await browser.get("/_auth/login?rd=/app")
        page = await response.text()
        assert response.status == 409
        assert "Signing in goes round in circles" in page
        assert code in page
        assert f"({code})" in caplog.text
        assert (await browser.get("/_auth/login?rd=/app")).status == 200  # it can be tried again


async def test_a_destination_that_asks_again_and_again_is_diagnosed(tmp_path: Path) -> None:
    async with running_gateway(tmp_path) as rig, rig.browser() as browser:
        await rig.add_user()
        await browser.sign_in(rd="/app")
        statuses = [(await browser.get("/_auth/login?rd=/app")).status for _ in range(3)]
        assert statuses == [303, 303, 409]
        other = [(await browser.get(f"/_auth/login?rd=/page{number}")).status for number in range(5)]
        assert other == [303] * 5  # many tabs with different destinations are no circle


async def test_signing_in_at_leisure_is_no_circle(tmp_path: Path) -> None:
    async with running_gateway(tmp_path) as rig, rig.browser() as browser:
        await rig.add_user()
        for _ in range(5):
            await browser.sign_in(rd="/app")
            token = await browser.token("/_auth/logout")
            assert (await browser.post("/_auth/logout", {"csrf_token": token})).status == 303
            rig.clock.advance(40)
        for _ in range(5):
            await browser.sign_in(rd="/app")
            await lose_session(rig, browser)
            rig.clock.advance(121)


async def test_a_form_without_our_cookie_says_why_at_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    server = {"public_url": "https://127.0.0.1"}
    async with running_gateway(tmp_path, server=server) as rig, rig.browser() as browser:
        token = await browser.token("/_auth/login")
        form = {"username": "alice", "password": PASSWORD, "csrf_token": token, "rd": "/"}
        response = await browser.post("/_auth/login", form)
        assert response.status == 403
        assert "signing in needs https://" in await response.text()
        assert "X-Forwarded-Proto: https" in caplog.text


async def test_health_probes_and_strangers_leave_nothing_behind(tmp_path: Path) -> None:
    async with running_gateway(tmp_path) as rig, rig.browser() as browser:
        for path in ("/", "/app", "/_auth/login", "/_auth/login?rd=/app", "/_auth/readyz", "/_auth/tab?rd=/"):
            for _ in range(3):
                browser.session.cookie_jar.clear()
                await browser.session.get(rig.url + path, headers=HTML, allow_redirects=False)
                await browser.session.post(rig.url + path, data=b"a=1", headers={**HTML, "Origin": rig.url})
        async with rig.directory._engine.connect() as connection:
            assert (await connection.execute(text("SELECT count(*) FROM sessions"))).scalar() == 0
            # One row for all probes: readyz tries whether the store can be written.
            assert (await connection.execute(text("SELECT count(*) FROM ledger"))).scalar() == 1
