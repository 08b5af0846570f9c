"""`session.bind.device`: a session whose browser registered a key is worth nothing without that key, by any door."""

import logging
from pathlib import Path
from typing import Any

import pytest

from tests.bound_browser import REFRESH, BoundBrowser, offered
from tests.integration.test_sms_money import events
from tests.mailbox import running_mailbox
from tests.rig import running_gateway

CONFIG: dict[str, Any] = {"session": {"bind": {"device": True}}}
LONG = "auth_session"
GRACE = 31.0
"""Seconds after which no request can still be on its way that was sent before the key was registered."""
OVER = 331.0
"""Seconds after which a bound cookie is good for nothing."""


def on(path: str) -> dict[str, Any]:
    return {**CONFIG, "server": {"fast_path": path == "fast"}}


@pytest.mark.parametrize("path", ["fast", "ordinary"])
async def test_the_long_cookie_alone_opens_no_app_once_a_key_is_registered(tmp_path: Path, path: str) -> None:
    async with running_gateway(tmp_path, **on(path)) as rig, rig.browser() as browser:
        await rig.add_user()
        mine = await BoundBrowser.signed_in(rig, browser)
        rig.clock.advance(GRACE)
        for _ in range(3):  # read, then remembered, then on the fast path
            assert (await mine.ask()).status == 200
            before = len(rig.upstream.requests)
            refused = await mine.ask("/", LONG)
            assert (refused.status, refused.headers["Location"][:12]) == (303, "/_auth/login")
            assert (await mine.ask("/api", LONG, Accept="application/json")).status == 401
            assert len(rig.upstream.requests) == before
        assert (await mine.ask()).status == 200  # the session goes on where it belongs


@pytest.mark.parametrize("path", ["fast", "ordinary"])
async def test_both_cookies_are_worth_nothing_after_some_minutes_and_the_key_renews_them(
    tmp_path: Path, path: str
) -> None:
    async with running_gateway(tmp_path, **on(path)) as rig, rig.browser() as browser:
        await rig.add_user()
        mine = await BoundBrowser.signed_in(rig, browser)
        stolen = BoundBrowser(rig, dict(mine.cookies))
        rig.clock.advance(GRACE)
        for _ in range(2):
            assert (await stolen.ask()).status == 200  # for minutes: that much is not held off
        rig.clock.advance(OVER - GRACE)
        for _ in range(2):
            assert (await stolen.ask()).status == 303
        assert (await mine.refresh()).status == 200
        for _ in range(3):
            assert (await mine.ask()).status == 200
            assert (await stolen.ask()).status == 303


async def test_nor_the_account_the_forward_auth_question_a_pass_or_a_web_socket(tmp_path: Path) -> None:
    config = {**CONFIG, "server": {"trusted_proxies": ["127.0.0.0/8"]}}
    async with running_gateway(tmp_path, **config) as rig, rig.browser() as browser:
        await rig.add_user()
        mine = await BoundBrowser.signed_in(rig, browser)
        rig.clock.advance(GRACE)
        forwarded = {
            "X-Forwarded-Method": "GET",
            "X-Forwarded-Proto": "http",
            "X-Forwarded-Host": f"127.0.0.1:{rig.port}",
            "X-Forwarded-Uri": "/",
        }
        upgrade = {
            "Upgrade": "websocket",
            "Connection": "Upgrade",
            "Sec-WebSocket-Version": "13",
            "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
            "Origin": rig.url,
            "Accept": "*/*",
        }
        for _ in range(2):
            assert (await mine.ask("/_auth/account")).status == 200
            assert (await mine.ask("/_auth/account", LONG)).status == 303
            assert (await mine.ask("/_auth/forward", **forwarded)).status == 200
            assert (await mine.ask("/_auth/forward", LONG, **forwarded)).status == 302
            assert (await mine.ask("/socket", LONG, **upgrade)).status == 401
        given = await mine.ask("/_auth/pass?rd=/")
        refused = await mine.ask("/_auth/pass?rd=/", LONG)
        assert len(given.headers["Set-Cookie"]) > len(refused.headers["Set-Cookie"]) + 100
        assert not any("socket" in one for one in rig.upstream.requests)


async def test_a_browser_without_keys_goes_on_as_before_and_hears_no_challenge_where_the_switch_is_off(
    tmp_path: Path,
) -> None:
    for number, (config, asked) in enumerate(((CONFIG, True), ({}, False))):
        folder = tmp_path / str(number)
        folder.mkdir()
        async with running_gateway(folder, **config) as rig, rig.browser() as browser:
            await rig.add_user()
            await browser.password()
            assert bool(offered(await browser.code())[0]) is asked
            rig.clock.advance(OVER)
            assert (await browser.get("/")).status == 200


async def test_what_was_under_way_while_the_key_was_made_still_arrives(tmp_path: Path) -> None:
    async with running_gateway(tmp_path, **CONFIG) as rig, rig.browser() as browser:
        await rig.add_user()
        mine = await BoundBrowser.signed_in(rig, browser)
        rig.clock.advance(GRACE - 2)
        assert (await mine.ask("/", LONG)).status == 200
        rig.clock.advance(2)
        assert (await mine.ask("/", LONG)).status == 303


async def test_another_session_s_bound_cookie_opens_nothing(tmp_path: Path) -> None:
    async with running_gateway(tmp_path, **CONFIG) as rig, rig.browser() as one, rig.browser() as two:
        await rig.add_user()
        await rig.add_user("bob")
        mine, other = await BoundBrowser.signed_in(rig, one), await BoundBrowser.signed_in(rig, two, "bob")
        rig.clock.advance(GRACE)
        mixed = BoundBrowser(rig, {**mine.cookies, "auth_session_bound": other.cookies["auth_session_bound"]})
        for _ in range(2):
            assert (await mixed.ask()).status == 303
        forged = BoundBrowser(rig, {**mine.cookies, "auth_session_bound": mine.cookies["auth_session"]})
        assert (await forged.ask()).status == 303


async def test_the_key_goes_on_with_a_step_up_and_ends_with_the_session(tmp_path: Path) -> None:
    async with running_gateway(tmp_path, **CONFIG) as rig, rig.browser() as browser:
        await rig.add_user()
        # A browser may be as quick as that: bound before the code is typed.
        path, challenge = offered(await browser.password())
        mine = BoundBrowser(rig, {LONG: browser.cookie()})
        answer = await mine.post(
            path, {"Secure-Session-Response": f'"{mine.key.proof(challenge, show=True)}"'}
        )
        mine.id = (await answer.json())["session_identifier"]
        browser.session.cookie_jar.update_cookies({"auth_session_bound": mine.cookies["auth_session_bound"]})
        risen = await browser.code()
        assert risen.status == 303
        mine.cookies[LONG] = browser.cookie()
        rig.clock.advance(GRACE)
        assert (await mine.ask()).status == 200
        assert (await mine.ask("/", LONG)).status == 303
        assert (await mine.refresh()).status == 200
        await rig.gateway.services.sessions.end_others("alice", "")
        gone = await mine.answers(mine.key.proof("x"))
        assert (gone.status, await gone.json()) == (200, {"session_identifier": mine.id, "continue": False})


async def test_turning_the_switch_off_frees_no_stolen_cookie(tmp_path: Path) -> None:
    async with running_gateway(tmp_path, **CONFIG) as rig, rig.browser() as browser:
        await rig.add_user()
        mine = await BoundBrowser.signed_in(rig, browser)
        clock = rig.clock
    clock.advance(GRACE)
    async with running_gateway(tmp_path, clock=clock) as rig:
        mine.rig = rig
        assert (await mine.ask("/", LONG)).status == 303
        assert (await mine.ask()).status == 200
        clock.advance(OVER)
        assert (await mine.ask()).status == 303
        assert (await mine.refresh()).status == 200
        assert (await mine.ask()).status == 200


async def test_the_operator_hears_of_each_network_and_the_owner_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "gateway.audit")
    config = {**CONFIG, "server": {"trusted_proxies": ["127.0.0.0/8"]}}
    async with (
        running_mailbox() as (mailbox, email),
        running_gateway(tmp_path, email=email, **config) as rig,
        rig.browser() as browser,
    ):
        await rig.add_user(email="alice@example.com")
        browser.session.headers["X-Forwarded-For"] = "198.51.100.7"
        mine = await BoundBrowser.signed_in(rig, browser)
        assert [event["algorithm"] for event in events(caplog, "session_bound")] == ["ES256"]
        rig.clock.advance(GRACE)
        for ip in ("203.0.113.66", "203.0.113.66", "192.0.2.1"):
            await mine.ask("/", LONG, **{"X-Forwarded-For": ip})
        told = events(caplog, "session_key_missing")
        assert [event["ip"] for event in told] == ["203.0.113.66", "192.0.2.1"]
        assert (told[0]["user"], told[0]["proven_at"]) == ("alice", "198.51.100.7")
        del mine.cookies["auth_session_bound"]  # it is over; to renew it is no use of the session without it
        headers = {"X-Forwarded-For": "203.0.113.99", "Sec-Secure-Session-Id": mine.id}
        assert (await mine.post(REFRESH, headers)).status == 403  # a challenge
        assert len(events(caplog, "session_key_missing")) == 2
        mails = [one for one in await mailbox.wait(1) if "key of your browser" in one]
        assert len(mails) == 1
        assert "203.0.113.66" in mails[0]


async def test_a_replica_hears_of_the_key_and_takes_challenges_of_the_other_once(tmp_path: Path) -> None:
    async with (
        running_gateway(tmp_path, **CONFIG) as rig,
        running_gateway(tmp_path, clock=rig.clock, **CONFIG) as other,
        rig.browser() as browser,
    ):
        await rig.add_user()
        await browser.password()
        before = BoundBrowser(other, {LONG: browser.cookie()})
        assert (await before.ask()).status == 303  # read there while there was no key: to the second factor
        mine = await BoundBrowser.signed_in(rig, browser)
        rig.clock.advance(GRACE)
        there = BoundBrowser(other, mine.cookies, key=mine.key, id=mine.id)
        assert (await there.ask()).status == 200
        assert (await there.ask("/", LONG)).status == 303
        proof = mine.key.proof(await mine.challenge())
        assert (await there.answers(proof)).status == 200
        assert (await mine.answers(proof)).status == 403
