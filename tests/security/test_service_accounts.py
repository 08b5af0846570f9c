"""Tokens, HTTP Basic, certificates and preflights are doors, too: rules 3, 9 and 10 hold at each."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from gateway.authn.shown_credentials import PREFIX
from tests.rig import PASSWORD, Rig, running_gateway
from tests.security.test_programs_passwords import fresh_checks
from tests.service_accounts_rig import (
    ROUTES,
    SECRET,
    TOKEN,
    add_token,
    basic,
    get,
    revoke,
    route,
    seen_headers,
)
from tests.waiting import PATIENCE


async def test_a_token_opens_its_routes_and_never_reaches_the_app(tmp_path: Path) -> None:
    async with running_gateway(tmp_path, routes=ROUTES) as rig:
        await add_token(rig)
        status, body = await get(rig, "/one", f"Bearer {TOKEN}")
        assert status == 200
        headers = seen_headers(body)
        assert headers["remote-user"] == "token:ci"
        assert "authorization" not in headers
        assert SECRET not in str(body)


async def test_a_token_comes_as_a_password_of_http_basic_only_under_its_own_name(tmp_path: Path) -> None:
    async with running_gateway(tmp_path, routes=ROUTES) as rig:
        await add_token(rig)
        status, body = await get(rig, "/one", basic("ci", TOKEN))
        assert (status, seen_headers(body)["remote-user"]) == (200, "token:ci")
        assert SECRET not in str(body)
        assert "authorization" not in seen_headers(body)
        for wrong in ("", "CI", "token:ci", "alice", "other"):
            assert (await get(rig, "/one", basic(wrong, TOKEN)))[0] == 401, wrong


async def test_rule_10_a_token_or_password_is_one_factor_unless_the_route_says_more(tmp_path: Path) -> None:
    async with running_gateway(tmp_path, routes=ROUTES) as rig:
        await add_token(rig)
        await rig.add_user()
        assert (await get(rig, "/two", f"Bearer {TOKEN}"))[0] == 401
        assert (await get(rig, "/two", basic("alice", PASSWORD)))[0] == 401
        assert (await get(rig, "/machine", basic("alice", PASSWORD)))[0] == 401
        assert rig.upstream.requests == []
        assert (await get(rig, "/machine", f"Bearer {TOKEN}"))[0] == 200


async def test_rule_10_a_token_adds_nothing_to_a_session_with_one_factor(tmp_path: Path) -> None:
    async with running_gateway(tmp_path, routes=ROUTES) as rig, rig.browser() as browser:
        await add_token(rig)
        await rig.add_user()
        await browser.password(rd="/one")
        assert (await browser.get("/two", Authorization=f"Bearer {TOKEN}")).status in (303, 401)
        assert (await browser.get("/two", Authorization=basic("alice", PASSWORD))).status in (303, 401)
        assert rig.upstream.requests == []


async def test_a_token_opens_no_route_without_tokens_and_is_not_passed_on_there(tmp_path: Path) -> None:
    routes = [*ROUTES, route("/", "bypass")]
    async with running_gateway(tmp_path, routes=routes) as rig:
        await add_token(rig, routes=("*/closed", "*/one"))
        assert (await get(rig, "/closed", f"Bearer {TOKEN}"))[0] == 401
        status, body = await get(rig, "/open", f"Bearer {TOKEN}")
        assert status == 200
        assert "authorization" not in seen_headers(body)
        _, body = await get(rig, "/open", "Bearer the-apps-own")
        assert seen_headers(body)["authorization"] == "Bearer the-apps-own"


@pytest.mark.parametrize(
    "shown",
    [TOKEN[:-1], TOKEN + "x", f"{PREFIX}0123456789abcdef_", PREFIX, f"{PREFIX}ffff_{SECRET}", PREFIX + "é"],
)
async def test_wrong_tokens_are_refused_audited_and_limited(
    tmp_path: Path, shown: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    async with running_gateway(tmp_path, routes=ROUTES) as rig:
        await add_token(rig)
        status, headers = await get(rig, "/one", f"Bearer {shown}")
        assert status == 401
        assert headers["WWW-Authenticate"] == 'Bearer error="invalid_token"'
        assert "token_failed" in caplog.text
        assert SECRET not in caplog.text
        for _ in range(30):
            status, _ = await get(rig, "/one", f"Bearer {shown}")
        assert status == 429
        assert rig.upstream.requests == []


async def test_wrong_tokens_from_one_ipv6_customer_count_together(tmp_path: Path) -> None:
    trusted = {"trusted_proxies": ["127.0.0.0/8"]}
    async with running_gateway(tmp_path, routes=ROUTES, server=trusted) as rig:
        await add_token(rig)

        async def status(authorization: str, ip: str) -> int:
            return (await get(rig, "/one", authorization, **{"X-Forwarded-For": ip}))[0]

        for number in range(30):
            assert await status(f"Bearer {TOKEN}x", f"2001:db8:0:1::{number:x}") == 401
        assert await status(f"Bearer {TOKEN}", "2001:db8:0:1:ffff::1") == 429
        assert await status(f"Bearer {TOKEN}", "2001:db8:0:2::1") == 200


async def test_scope_expiry_revocation_and_groups_hold(tmp_path: Path) -> None:
    async with running_gateway(tmp_path, routes=ROUTES) as rig:
        await add_token(rig, methods=("GET",), routes=("*/one", "*/members"), expires_at=rig.clock() + 100)
        assert (await get(rig, "/one", f"Bearer {TOKEN}"))[0] == 200
        assert (await get(rig, "/one", f"Bearer {TOKEN}", "POST"))[0] == 403
        assert (await get(rig, "/two", f"Bearer {TOKEN}"))[0] == 403
        assert (await get(rig, "/members", f"Bearer {TOKEN}"))[0] == 403
        rig.clock.advance(100)
        assert (await get(rig, "/one", f"Bearer {TOKEN}"))[0] == 401


async def until_refused(rig: Rig, authorization: str) -> None:
    """Time stands still, so nothing but the news of a change can end what is remembered."""
    async with asyncio.timeout(PATIENCE):
        while (await get(rig, "/one", authorization))[0] == 200:
            await asyncio.sleep(0.05)


async def test_a_revoked_token_is_refused_although_it_was_right_a_moment_ago(tmp_path: Path) -> None:
    async with running_gateway(tmp_path, routes=ROUTES) as rig:
        await add_token(rig)
        assert (await get(rig, "/one", f"Bearer {TOKEN}"))[0] == 200
        await revoke(rig)
        await until_refused(rig, f"Bearer {TOKEN}")


@pytest.mark.parametrize("how", ["disabled", "deleted", "password"])
async def test_what_basic_remembers_ends_with_every_change_that_matters(how: str, tmp_path: Path) -> None:
    async with running_gateway(tmp_path, routes=ROUTES) as rig:
        user = await rig.add_user()
        assert (await get(rig, "/one", basic("alice", PASSWORD)))[0] == 200
        if how == "disabled":
            await rig.directory.replace(replace(user, disabled=True))
        elif how == "deleted":
            await rig.directory.delete("alice")
        else:
            await rig.directory.set_password("alice", "staple walnut orbit")
        await until_refused(rig, basic("alice", PASSWORD))


async def test_what_changed_before_a_worker_began_to_listen_is_not_remembered_either(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    async with running_gateway(tmp_path, routes=ROUTES) as rig:
        await rig.add_user()
        right = basic("alice", PASSWORD)
        assert (await get(rig, "/one", right))[0] == 200
        rig.gateway.sessions.forget_all()  # as at the beginning, whatever the feed says
        assert [(await get(rig, "/one", right))[0] for _ in range(2)] == [200, 200]
        assert fresh_checks(caplog) == 2
