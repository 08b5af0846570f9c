"""Locks after too many failures: they hold, operators alone see and lift them, and nothing typed leaks on the way."""

import json
import re
from pathlib import Path

import aiohttp
import pytest

from gateway.rate_limits import (
    CODE_FAILURES,
    CODES_PER_USER,
    PASSWORD_FAILURES,
    PASSWORD_PER_IP,
    PASSWORD_PER_USER,
    Budget,
)
from tests.admin_rig import ADMIN, act, add_token, administered, api, shown
from tests.rig import PASSWORD, Rig


async def use_up(rig: Rig, budget: Budget, subject: str, left: int = 0) -> None:
    for _ in range(budget.limit - left):
        await rig.gateway.services.limits.spend(budget, subject)


async def test_a_hundredth_wrong_code_locks_until_an_administrator_unlocks(tmp_path: Path) -> None:
    async with administered(tmp_path) as (rig, admin), rig.browser() as bob:
        assert (await bob.password("bob")).status == 303
        await use_up(rig, CODE_FAILURES, "bob", left=1)
        wrong = "0" * 6 if rig.codes[-1] != "0" * 6 else "1" * 6
        assert (await bob.code(wrong)).status == 429
        assert (await bob.password("bob")).status == 303
        assert (await bob.get("/_auth/verify")).status == 429

        page = await shown(admin, "/user?name=bob")
        assert "Second factor locked" in page
        assert (await act(admin, "/user?name=bob", "unlock"))[0] == 303
        assert "Second factor locked" not in await shown(admin, "/user?name=bob")
        assert (await bob.password("bob")).status == 303
        assert (await bob.code()).status == 303

        await rig.gateway.services.audit.flush()
        changes = await shown(admin, "/changes?user=bob")
        assert "unlocked" in changes
        assert "failures:code" in changes


@pytest.mark.parametrize("budget", [PASSWORD_FAILURES, PASSWORD_PER_USER])
async def test_a_right_password_opens_nothing_while_it_is_locked(tmp_path: Path, budget: Budget) -> None:
    async with administered(tmp_path) as (rig, admin), rig.browser() as bob:
        await use_up(rig, budget, "bob")
        assert (await bob.password("bob")).status == 429
        assert (await act(admin, "/user?name=bob", "unlock"))[0] == 303
        assert (await bob.password("bob")).status == 303


async def test_unlocking_leaves_the_user_one_factor_short(tmp_path: Path) -> None:
    async with administered(tmp_path) as (rig, admin), rig.browser() as bob:
        assert (await bob.password("bob")).status == 303
        await use_up(rig, CODES_PER_USER, "bob")
        await act(admin, "/user?name=bob", "unlock")
        assert (await bob.get("/")).headers["Location"].startswith("/_auth/verify")
        assert rig.upstream.requests == []


async def test_only_administrators_with_a_fresh_proof_and_our_form_lift(tmp_path: Path) -> None:
    async with (
        administered(tmp_path) as (rig, admin),
        rig.browser() as bob,
        aiohttp.ClientSession() as client,
    ):
        await bob.sign_in("bob")
        await use_up(rig, CODE_FAILURES, "bob")
        reads = await add_token(rig, "admin:read")
        for path, form in (("/user?name=bob", {"do": "unlock"}), ("/blocked", {"do": "lift", "id": "bob"})):
            assert (await bob.get(ADMIN + path)).status == 403
            own = {"csrf_token": await bob.token("/_auth/account"), **form}
            assert (await bob.post(ADMIN + path, own)).status == 403
            assert (await admin.post(ADMIN + path, form)).status == 403
            good = {"csrf_token": await admin.token(ADMIN + "/users"), **form}
            assert (await admin.post(ADMIN + path, good, Origin="https://evil.test")).status == 403
        for path in ("/users/bob/unlock", "/blocked/lift"):
            assert (await api(client, rig, "POST", path, reads, json={"name": "bob"}))[0] == 403
        rig.clock.advance(901)
        late = await admin.post(ADMIN + "/user?name=bob", good)
        assert late.headers["Location"].startswith("/_auth/verify")
        items = (await api(client, rig, "GET", "/users/bob/blocked", reads))[1]["items"]
        assert [one["budget"] for one in items] == ["failures:code"]


async def test_the_api_lists_and_lifts_and_says_who_did(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "gateway.audit")
    async with administered(tmp_path) as (rig, _), aiohttp.ClientSession() as client:
        token = await add_token(rig, "admin:read", "admin:write")
        await use_up(rig, CODE_FAILURES, "bob")
        await use_up(rig, PASSWORD_PER_IP, "203.0.113.9")
        items = (await api(client, rig, "GET", "/blocked", token))[1]["items"]
        assert [(one["about"], one["name"], one["is_lock"]) for one in items] == [
            ("user", "bob", True),
            ("address", "203.0.113.9", False),
        ]
        lift = {"json": {"name": "203.0.113.9"}}
        status, body, _ = await api(client, rig, "POST", "/blocked/lift", token, **lift)
        assert (status, body["items"][0]["count"]) == (200, 30)
        assert (await api(client, rig, "POST", "/blocked/lift", token, **lift))[0] == 404
        assert (await api(client, rig, "POST", "/users/bob/unlock", token))[0] == 200
        assert (await api(client, rig, "POST", "/users/nobody/unlock", token))[0] == 404
        assert (await api(client, rig, "GET", "/blocked", token))[1]["items"] == []
    lines = [json.loads(one.message) for one in caplog.records if '"unlocked"' in one.message]
    assert [(one["user"], one["of"], one["by"], one["budgets"]) for one in lines] == [
        ("", "203.0.113.9", "token:ci", ["password-ip"]),
        ("bob", "bob", "token:ci", ["failures:code"]),
    ]


async def test_a_password_typed_as_a_name_is_nowhere_to_be_read(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    async with administered(tmp_path) as (rig, admin), rig.browser() as browser:
        for _ in range(PASSWORD_PER_USER.limit):
            assert (await browser.password("hunter2-of-bob", PASSWORD)).status == 401
        assert (await browser.password("hunter2-of-bob", PASSWORD)).status == 429
        page = await shown(admin, "/blocked")
        [name] = set(re.findall(r"unknown:[0-9a-f]{8}", page))
        assert f'"user": "{name}"' in caplog.text
        assert (await act(admin, "/blocked", "lift", id=name))[0] == 303
        assert (await act(admin, "/blocked", "lift", id=name))[0] == 404
        assert (await browser.password("hunter2-of-bob", PASSWORD)).status == 401
    assert "hunter2" not in page + caplog.text
    assert b"hunter2" not in b"".join(file.read_bytes() for file in tmp_path.glob("gateway.db*"))
