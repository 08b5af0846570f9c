"""The protocol of device bound sessions: which key, which challenge, for which session, and what browsers are told."""

import logging
from pathlib import Path
from typing import Any

import pytest

from gateway.session.device_endpoints import key_endpoints
from tests.bound_browser import BoundBrowser, SigningKey, offered
from tests.integration.test_sms_money import events
from tests.rig import Rig, running_gateway
from tests.security.test_device_bound_sessions import CONFIG, GRACE, LONG, OVER


async def refused_everywhere(mine: BoundBrowser, rig: Rig) -> None:
    """No bound cookie came of it: when the last one is over, the session is shut."""
    rig.clock.advance(OVER)
    assert (await mine.ask()).status == 303


async def test_only_the_session_s_own_key_renews_it(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "gateway.audit")
    async with running_gateway(tmp_path, **CONFIG) as rig, rig.browser() as one, rig.browser() as two:
        await rig.add_user()
        await rig.add_user("bob")
        mine, other = await BoundBrowser.signed_in(rig, one), await BoundBrowser.signed_in(rig, two, "bob")
        challenge = await mine.challenge()
        elsewhere = mine.key.proof(challenge, aud="https://evil.example/_auth/device-key/refresh")
        assert (await mine.answers(elsewhere)).status == 401
        for thief in (SigningKey(), other.key):
            wrong = await mine.answers(thief.proof(challenge))
            assert wrong.status == 401
            assert not wrong.cookies
        shown = await mine.answers(SigningKey().proof(challenge, show=True))
        assert (shown.status, bool(shown.cookies)) == (401, False)
        # a challenge of the other session, signed by whichever key
        theirs = await other.challenge()
        assert (await mine.answers(mine.key.proof(theirs))).status == 403
        assert (await other.answers(mine.key.proof(theirs))).status == 401
        assert [event["door"] for event in events(caplog, "session_key_wrong")] == ["refresh"] * 2
        assert {event["user"] for event in events(caplog, "session_key_wrong")} == {"alice", "bob"}
        await refused_everywhere(mine, rig)


async def test_a_challenge_counts_once_for_minutes_and_for_what_it_was_made_for(tmp_path: Path) -> None:
    async with running_gateway(tmp_path, **CONFIG) as rig, rig.browser() as browser:
        await rig.add_user()
        mine = await BoundBrowser.signed_in(rig, browser)
        proof = mine.key.proof(await mine.challenge())
        assert (await mine.answers(proof)).status == 200
        again = await mine.answers(proof)
        assert (again.status, "Secure-Session-Challenge" in again.headers) == (403, True)
        assert not again.cookies
        late = mine.key.proof(await mine.challenge())
        rig.clock.advance(121)
        assert (await mine.answers(late)).status == 403
        for not_ours in ("x", "", 7, mine.cookies["auth_session"], mine.cookies["auth_session_bound"]):
            assert (await mine.answers(mine.key.proof(not_ours))).status == 403
        await browser.session.close()
        await refused_everywhere(mine, rig)


async def test_a_challenge_for_a_key_renews_nothing_and_one_to_renew_registers_nothing(
    tmp_path: Path,
) -> None:
    async with running_gateway(tmp_path, **CONFIG) as rig, rig.browser() as one, rig.browser() as two:
        await rig.add_user()
        mine = await BoundBrowser.signed_in(rig, one)
        await two.password()
        path, register = offered(await two.code())
        assert (await mine.answers(mine.key.proof(register))).status == 403
        fresh = BoundBrowser(rig, {LONG: two.cookie()})
        for challenge in (await mine.challenge(), "", mine.cookies["auth_session_bound"]):
            proof = fresh.key.proof(challenge, show=True)
            assert (await fresh.post(path, {"Secure-Session-Response": f'"{proof}"'})).status == 403
        assert (
            await fresh.post(path, {"Secure-Session-Response": f'"{fresh.key.proof(register, show=True)}"'})
        ).ok


async def test_a_thief_registers_no_key_for_a_session_of_somebody_else(tmp_path: Path) -> None:
    async with running_gateway(tmp_path, **CONFIG) as rig, rig.browser() as one, rig.browser() as two:
        await rig.add_user()
        await rig.add_user("bob")
        await one.password()
        path, mine = offered(await one.code())
        await two.password("bob")
        _, theirs = offered(await two.code())
        thief = SigningKey()

        async def registers(cookie: str, challenge: str) -> int:
            headers = {"Secure-Session-Response": f'"{thief.proof(challenge, show=True)}"'}
            return (await BoundBrowser(rig, {LONG: cookie}).post(path, headers)).status

        assert await registers(one.cookie(), theirs) == 403
        assert await registers(two.cookie(), mine) == 403
        assert await registers("", mine) == 403
        rig.clock.advance(121)
        assert await registers(one.cookie(), mine) == 403
        assert (await one.get("/")).status == 200  # and what was not bound goes on


async def test_a_session_has_one_key_for_good(tmp_path: Path) -> None:
    async with running_gateway(tmp_path, **CONFIG) as rig, rig.browser() as browser:
        await rig.add_user()
        await browser.password()
        path, challenge = offered(await browser.code())
        mine, second = (
            BoundBrowser(rig, {LONG: browser.cookie()}),
            BoundBrowser(rig, {LONG: browser.cookie()}),
        )
        said = {"Secure-Session-Response": f'"{mine.key.proof(challenge, show=True)}"'}
        assert (await mine.post(path, said)).status == 200
        for key in (mine.key, second.key):
            more = {"Secure-Session-Response": f'"{key.proof(challenge, show=True)}"'}
            assert (await second.post(path, more)).status == 403
        rig.clock.advance(GRACE)
        assert (await mine.ask()).status == 200
        assert (await second.ask()).status == 303


async def test_what_the_browser_is_told_names_the_cookie_with_the_flags_that_it_has(tmp_path: Path) -> None:
    async with running_gateway(tmp_path, **CONFIG) as rig, rig.browser() as browser:
        await rig.add_user()
        mine = await BoundBrowser.signed_in(rig, browser)
        answer = await mine.refresh()
        assert await answer.json() == mine.config
        assert mine.config["refresh_url"] == "/_auth/device-key/refresh"
        assert mine.config["scope"] == {"include_site": False}
        assert mine.config["credentials"] == [
            {"type": "cookie", "name": "auth_session_bound", "attributes": "Path=/; HttpOnly; SameSite=Lax"}
        ]
        cookie = answer.cookies["auth_session_bound"]
        assert (cookie["path"], cookie["httponly"], cookie["samesite"]) == ("/", True, "Lax")
        assert (cookie["max-age"], answer.headers["Cache-Control"]) == ("300", "no-store")
        seen = await (await mine.ask()).text()
        assert '"path": "/"' in seen
        assert "auth_session" not in seen  # rule 6: no cookie of ours reaches an app


async def test_with_a_shared_session_the_portal_speaks_for_the_whole_site(tmp_path: Path) -> None:
    shared: dict[str, Any] = {
        "server": {"public_url": "http://login.example.com:PORT"},
        "session": {"bind": {"device": True}, "domain": "example.com"},
        "routes": [
            {"host": "*.example.com", "upstream": "UPSTREAM"},
            {"host": "example.com", "upstream": "UPSTREAM"},
        ],
    }
    async with running_gateway(tmp_path, **shared) as rig, rig.browser() as browser:
        await rig.add_user()
        portal = f"http://login.example.com:{rig.port}"
        asked = {"Host": f"example.com:{rig.port}"}
        said = await browser.get("/.well-known/device-bound-sessions", **asked)
        assert (said.status, await said.json()) == (200, {"registering_origins": [portal]})
        before = len(rig.upstream.requests)
        asked["Host"] = f"app.example.com:{rig.port}"
        assert (await browser.get("/.well-known/device-bound-sessions", **asked)).status == 303  # an app's
        assert len(rig.upstream.requests) == before
        endpoints = key_endpoints(rig.config)
        assert endpoints.register == f"{portal}/_auth/device-key"
        assert endpoints.refresh == f"{portal}/_auth/device-key/refresh"
        assert endpoints.origin == "http://example.com"
