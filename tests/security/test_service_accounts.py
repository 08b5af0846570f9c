"""Tokens, HTTP Basic, certificates and preflights are doors, too: rules 3, 9 and 10 hold at each."""

import asyncio
import base64
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from gateway.authn.api_credentials import token_digest
from gateway.authn.shown_credentials import PREFIX, certificate_name
from gateway.keyring import KeyRing
from gateway.stores.protocols.tokens import ApiToken
from gateway.stores.sql.engine import open_engine
from gateway.stores.sql.tokens import SqlTokens
from tests.rig import PASSWORD, Rig, running_gateway
from tests.waiting import PATIENCE

SECRET = "s" * 43
TOKEN = f"{PREFIX}0123456789abcdef_{SECRET}"


def route(path: str, require: str, **more: Any) -> dict[str, Any]:
    policy = {"require": require, **more.pop("policy", {})}
    return {"host": "*", "path": path, "upstream": "UPSTREAM", "policy": policy, **more}


ROUTES = [
    route("/one", "one_factor", tokens=True, basic=True),
    route("/machine", "two_factor", tokens=True, basic=True, policy={"machine_suffices": True}),
    route("/two", "two_factor", tokens=True, basic=True),
    route("/closed", "one_factor"),
    route("/cors", "two_factor", cors_preflight=True),
    route("/denied", "deny", cors_preflight=True),
    route("/members", "one_factor", tokens=True, policy={"groups": ["robots"]}),
]


async def add_token(rig: Rig, **changes: Any) -> None:
    ring = KeyRing.load_or_create(rig.config.session.keys_file, rig.clock)
    token = ApiToken(
        "0123456789abcdef",
        "ci",
        token_digest(ring.derive(b"tokens"), SECRET),
        (),
        ("*/one", "*/two", "*/machine", "*/members"),
        (),
        rig.clock(),
        0.0,
    )
    engine = open_engine(rig.config.storage.url)
    await SqlTokens(engine).add(replace(token, **changes))
    await engine.dispose()


async def revoke(rig: Rig) -> None:
    engine = open_engine(rig.config.storage.url)
    assert await SqlTokens(engine).revoke("ci", rig.clock())
    await engine.dispose()


async def get(
    rig: Rig, path: str, authorization: str, method: str = "GET", **headers: str
) -> tuple[int, Any]:
    async with aiohttp.ClientSession() as client:
        sent = {"Authorization": authorization, "Accept": "*/*", **headers}
        async with client.request(method, rig.url + path, headers=sent, allow_redirects=False) as response:
            body = await response.json() if response.status == 200 else response.headers
            return response.status, body


def basic(username: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{username}:{password}".encode()).decode()


def seen_headers(body: dict[str, Any]) -> dict[str, str]:
    return {name.lower(): value for name, value in body["headers"]}


async def test_a_token_opens_its_routes_and_never_reaches_the_app(tmp_path: Path) -> None:
    async with running_gateway(tmp_path, routes=ROUTES) as rig:
        await add_token(rig)
        status, body = await get(rig, "/one", f"Bearer {TOKEN}")
        assert status == 200
        headers = seen_headers(body)
        assert headers["remote-user"] == "token:ci"
        assert "authorization" not in headers
        assert SECRET not in str(body)


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


def fresh_checks(caplog: pytest.LogCaptureFixture) -> int:
    """How often a password was worked out."""
    return caplog.text.count("password_ok")


async def test_a_right_password_is_worked_out_once_a_minute_however_often_it_comes(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    async with running_gateway(tmp_path, routes=ROUTES) as rig:
        await rig.add_user()
        right = basic("alice", PASSWORD)
        answers = await asyncio.gather(*(get(rig, "/one", right) for _ in range(10)))
        assert {status for status, _ in answers} == {200}
        assert (await get(rig, "/one", right))[0] == 200
        assert (await get(rig, "/one", basic("alice", "wrong")))[0] == 401  # never met from memory
        assert fresh_checks(caplog) == 1
        rig.clock.advance(61)
        assert (await get(rig, "/one", right))[0] == 200
        assert fresh_checks(caplog) == 2


async def test_a_token_outlives_key_rotations_when_it_is_used(tmp_path: Path) -> None:
    async with running_gateway(tmp_path, routes=ROUTES) as rig:
        await add_token(rig)
        ring = KeyRing.load_or_create(rig.config.session.keys_file, rig.clock)
        for _ in range(5):
            ring.rotate(rig.clock(), 3)
            rig.clock.advance(120)
            await asyncio.sleep(0)
            assert (await get(rig, "/one", f"Bearer {TOKEN}"))[0] == 200


async def test_rule_3_basic_is_limited_like_the_login_page_and_costs_nobody_more(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    async with running_gateway(tmp_path, routes=ROUTES) as rig:
        await rig.add_user()
        status, body = await get(rig, "/one", basic("alice", PASSWORD))
        assert status == 200
        assert seen_headers(body)["remote-user"] == "alice"
        assert "authorization" not in seen_headers(body)
        known = [await get(rig, "/one", basic("alice", f"wrong{n}")) for n in range(10)]
        assert {status for status, _ in known} == {401}
        assert (await get(rig, "/one", basic("alice", "wrong again")))[0] == 429
        assert (await get(rig, "/one", basic("nobody", "wrong")))[0] == 401
        assert (await get(rig, "/one", basic("alice", "")))[0] == 429
        assert "password_failed" in caplog.text
        assert "wrong5" not in caplog.text
        assert PASSWORD not in caplog.text


@pytest.mark.parametrize("value", ["", "!", "YQ==", "Og==", "YWxpY2U6", "/////w=="])
async def test_broken_basic_headers_are_401(tmp_path: Path, value: str) -> None:
    async with running_gateway(tmp_path, routes=ROUTES) as rig:
        await rig.add_user()
        status, headers = await get(rig, "/one", f"Basic {value}")
        assert status == 401
        assert headers["WWW-Authenticate"].startswith("Basic realm=")


async def test_only_real_preflights_pass_and_only_where_the_route_says_so(tmp_path: Path) -> None:
    ask = {"Origin": "https://other.example", "Access-Control-Request-Method": "PUT"}
    async with running_gateway(tmp_path, routes=ROUTES) as rig:
        status, body = await get(rig, "/cors", "Bearer x", "OPTIONS", **ask)
        assert status == 200
        assert "remote-user" not in seen_headers(body)
        for path, method, headers in (
            ("/cors", "OPTIONS", {"Origin": "https://other.example"}),
            ("/cors", "GET", ask),
            ("/one", "OPTIONS", ask),
        ):
            assert (await get(rig, path, "Bearer x", method, **headers))[0] == 401
        assert (await get(rig, "/denied", "Bearer x", "OPTIONS", **ask))[0] == 403


@pytest.mark.parametrize(
    ("certificate", "names"),
    [
        ({"subjectAltName": (("DNS", "a.example"),), "subject": ((("commonName", "x"),),)}, "a.example"),
        ({"subject": ((("commonName", "robot"),),)}, "robot"),
        ({"subject": ((("commonName", "a"),), (("commonName", "b"),))}, ""),
        ({"subject": ((("commonName", "a\r\nX: y"),),)}, ""),
        ({}, ""),
    ],
)
def test_a_certificate_names_one_service_or_none(certificate: dict[str, Any], names: str) -> None:
    assert certificate_name(certificate) == names


async def assertion(rig: Rig, path: str, authorization: str, ip: str = "203.0.113.1") -> str:
    status, body = await get(rig, path, authorization, **{"X-Forwarded-For": ip})
    assert status == 200
    return seen_headers(body)["x-auth-assertion"]


@pytest.mark.parametrize("shown", [f"Bearer {TOKEN}", basic("alice", PASSWORD)])
async def test_a_program_costs_a_signature_each_half_minute_not_each_request(
    tmp_path: Path, shown: str
) -> None:
    """ECDSA signs the same claims differently each time, so what is equal was signed once."""
    trusted = {"trusted_proxies": ["127.0.0.0/8"]}
    async with running_gateway(tmp_path, routes=ROUTES, server=trusted) as rig:
        await rig.add_user()
        await add_token(rig)
        seen = {await assertion(rig, "/one", shown, ip) for ip in ("203.0.113.1", "203.0.113.2") * 2}
        assert len(seen) == 1
        rig.clock.advance(29)
        assert await assertion(rig, "/one", shown) in seen
        rig.clock.advance(2)
        assert await assertion(rig, "/one", shown) not in seen


async def test_a_password_that_comes_with_each_request_is_as_fresh_as_the_request(tmp_path: Path) -> None:
    routes = [route("/aged", "one_factor", basic=True, policy={"max_age": "20s"})]
    async with running_gateway(tmp_path, routes=routes) as rig:
        await rig.add_user()
        for _ in range(3):
            assert (await get(rig, "/aged", basic("alice", PASSWORD)))[0] == 200
            rig.clock.advance(19)


async def test_who_got_new_groups_is_told_of_anew_although_the_password_was_known(tmp_path: Path) -> None:
    async with running_gateway(tmp_path, routes=ROUTES) as rig:
        user = await rig.add_user()
        before = await assertion(rig, "/one", basic("alice", PASSWORD))
        await rig.directory.replace(replace(user, groups=("ops",)))
        async with asyncio.timeout(PATIENCE):
            while await assertion(rig, "/one", basic("alice", PASSWORD)) == before:
                await asyncio.sleep(0.02)
        _, body = await get(rig, "/one", basic("alice", PASSWORD))
        assert seen_headers(body)["remote-groups"] == "ops"
