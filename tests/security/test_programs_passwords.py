"""Programs that sign in by password, certificate or preflight: judged as strictly as people, and no dearer."""

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gateway.authn.shown_credentials import certificate_name
from gateway.keyring import KeyRing
from tests.rig import PASSWORD, Rig, running_gateway
from tests.service_accounts_rig import ROUTES, TOKEN, add_token, basic, get, route, seen_headers
from tests.waiting import PATIENCE


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
