"""What a program that speaks SCIM may not do, and who may not speak it."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from sqlalchemy import select

from gateway.stores.sql.engine import open_engine
from gateway.stores.sql.schema_scim import scim_names
from gateway.stores.sql.scim import SqlProvisionedNames
from tests.admin_rig import ADMIN, add_token
from tests.rig import PASSWORD, Rig, running_gateway
from tests.scim_rig import SCIM, USER, Program, group, patch, user

SETTINGS: dict[str, Any] = {"scim": {"enabled": True}}


@dataclass
class Ship:
    """A gateway with the administrators alice and anna, the user bob, and a program."""

    rig: Rig
    program: Program

    async def id(self, username: str) -> str:
        _, page = await self.program.call("GET", "/Users", filter=f'userName eq "{username}"')
        return str(page["Resources"][0]["id"])

    async def group_id(self, name: str) -> str:
        _, page = await self.program.call("GET", "/Groups", filter=f'displayName eq "{name}"')
        return str(page["Resources"][0]["id"])


@pytest.fixture
async def ship(tmp_path: Path) -> AsyncIterator[Ship]:
    async with running_gateway(tmp_path, **SETTINGS) as rig:
        for name in ("alice", "anna"):
            await rig.add_user(name, groups=("admins",))
        await rig.add_user("bob", groups=("staff",))
        yield Ship(rig, Program(rig, await add_token(rig, "scim")))


async def asked(rig: Rig, path: str, method: str = "GET", **headers: str) -> tuple[int, str]:
    async with (
        aiohttp.ClientSession() as client,
        client.request(method, rig.url + path, headers=headers) as response,
    ):
        return response.status, await response.text()


async def test_nobody_without_a_token_for_it_learns_anything(ship: Ship) -> None:
    rig = ship.rig
    wrong = await add_token(rig, "admin:read", "admin:write", name="console", id="fedcba9876543210")
    for path in (
        "/Users",
        "/Users/x",
        "/Groups",
        "/ServiceProviderConfig",
        "/Schemas",
        "/Bulk",
        "/nothing",
        "",
    ):
        status, body = await asked(rig, SCIM + path)
        assert (status, "alice" in body) == (401, False), path
        assert (await asked(rig, SCIM + path, **wrong))[0] == 403, path
        assert (await asked(rig, SCIM + path, Authorization="Bearer agt_x_y"))[0] == 401, path
    async with rig.browser() as browser:
        await browser.sign_in(rd=ADMIN)
        for method in ("get", "post"):
            answer = await (
                browser.get(f"{SCIM}/Users") if method == "get" else browser.post(f"{SCIM}/Users", {})
            )
            assert answer.status == 401, "a session of an administrator is no token"
    token = await add_token(rig, "scim", name="other", id="1" * 16)
    assert (await asked(rig, f"{ADMIN}/api/v1/users", **token))[0] == 403, (
        "nor is this token one for the console"
    )


async def test_without_the_section_there_is_nothing(tmp_path: Path) -> None:
    async with running_gateway(tmp_path) as rig:
        token = await add_token(rig, "scim")
        assert (await asked(rig, f"{SCIM}/Users", **token))[0] == 404


async def test_no_program_makes_an_administrator(ship: Ship) -> None:
    call = ship.program.call
    bob, admins, staff = await ship.id("bob"), await ship.group_id("admins"), await ship.group_id("staff")
    join = patch({"op": "add", "path": "members", "value": [{"value": bob}]})
    rename = patch({"op": "replace", "path": "displayName", "value": "admins"})
    away = patch({"op": "replace", "path": "displayName", "value": "sailors"})
    tries = [
        ("PATCH", f"/Groups/{admins}", join),
        ("PUT", f"/Groups/{admins}", group("admins", members=[{"value": bob}])),
        ("PATCH", f"/Groups/{admins}", away),
        ("DELETE", f"/Groups/{admins}", None),
        ("POST", "/Groups", group("admins", members=[{"value": bob}])),
        ("POST", "/Groups", group(" admins ", members=[{"value": bob}])),
        ("PATCH", f"/Groups/{staff}", rename),
    ]
    for method, path, body in tries:
        status, answer = await call(method, path, body)
        assert status == 403, (method, path, answer)
    made = user("carl", groups=[{"value": admins, "display": "admins"}])
    assert (await call("POST", "/Users", made))[0] == 201
    for name, groups in (("bob", ("staff",)), ("carl", ()), ("alice", ("admins",))):
        found = await ship.rig.directory.get(name)
        assert found is not None
        assert found.groups == groups


async def test_an_administrator_is_disabled_or_deleted_and_nothing_else(ship: Ship) -> None:
    call, anna = ship.program.call, f"/Users/{await ship.id('anna')}"
    for path, value in (
        ("emails", [{"value": "thief@harbour.test"}]),
        ("phoneNumbers", [{"value": "+4915112345699", "type": "mobile"}]),
        ("displayName", "Thief"),
    ):
        status, answer = await call("PATCH", anna, patch({"op": "replace", "path": path, "value": value}))
        assert status == 403, answer
    both = patch(
        {"op": "replace", "path": "active", "value": False},
        {"op": "replace", "path": "displayName", "value": "Thief"},
    )
    assert (await call("PATCH", anna, both))[0] == 403
    assert (await call("PATCH", anna, patch({"op": "replace", "path": "active", "value": False})))[0] == 200
    status, _ = await call("PATCH", anna, patch({"op": "replace", "path": "active", "value": True}))
    assert status == 403, "who was an administrator comes back by hand"
    assert (await call("DELETE", anna))[0] == 204
    alice = f"/Users/{await ship.id('alice')}"
    assert (await call("DELETE", alice))[0] == 409, "the last one stays"
    staff = await ship.group_id("staff")
    join = patch({"op": "add", "path": "members", "value": [{"value": await ship.id("alice")}]})
    status, _ = await call("PATCH", f"/Groups/{staff}", join)
    assert status == 403


async def test_no_password_is_taken_kept_or_told(ship: Ship) -> None:
    secret = "hunter2-" * 4
    status, made = await ship.program.call("POST", "/Users", user("carl", password=secret))
    assert status == 201
    change = patch(
        {"op": "replace", "path": "password", "value": secret}, {"op": "add", "value": {"password": secret}}
    )
    status, answer = await ship.program.call("PATCH", f"/Users/{made['id']}", change)
    assert status == 200
    engine = open_engine(ship.rig.config.storage.url)
    async with engine.connect() as connection:
        kept = " ".join(row.resource for row in await connection.execute(select(scim_names)))
    await engine.dispose()
    assert secret not in kept + str(made) + str(answer)
    found = await ship.rig.directory.get("carl")
    assert found is not None
    assert not found.password_hash
    bob = await ship.id("bob")
    await ship.program.call("PUT", f"/Users/{bob}", user("bob", password=secret))
    assert await ship.rig.directory.authenticate("bob", PASSWORD) is not None


async def test_what_can_not_be_read_is_refused_and_changes_nothing(ship: Ship) -> None:
    call, token = ship.program.call, await add_token(ship.rig, "scim", name="raw", id="2" * 16)
    for body, want in (
        (b"[" * 100_000, 400),
        (b"{", 400),
        (b"[]", 400),
        (b"\xff\xfe", 400),
        (
            b'{"schemas": ["%s"], "userName": "x", "displayName": "' % USER.encode()
            + b"x" * 5_000_000
            + b'"}',
            413,
        ),
    ):
        headers = {**token, "Content-Type": "application/scim+json"}
        async with (
            aiohttp.ClientSession() as client,
            client.post(ship.rig.url + SCIM + "/Users", data=BytesIO(body), headers=headers) as response,
        ):
            assert response.status == want, body[:20]
    for sent in (
        user("a\x00b"),
        user("a,b"),
        user("carl", externalId="x" * 400),
        user("carl", externalId="a\x00b"),
        user("carl", displayName="a\r\nX-Evil: 1"),
        user("carl", emails=[{"value": "no address"}]),
        user("carl", title="x" * 70_000),
        user("\ud800"),
        {"schemas": [USER]},
    ):
        status, answer = await call("POST", "/Users", sent)
        assert status == 400, (status, str(sent)[:80], answer)
    assert await ship.rig.directory.get("carl") is None
    for wanted in (
        "userName eq",
        "nothing eq 1",
        '(((userName eq "a"',
        'userName eq "\x00"',
        'externalId eq "a\x00"',
    ):
        status, answer = await call("GET", "/Users", filter=wanted)
        assert (status, answer.get("totalResults")) in ((400, None), (200, 0)), wanted
    for path in ("/Users/..%2fGroups", "/Users/" + "x" * 3000, "/Users/%00"):
        assert (await call("GET", path))[0] in (400, 404), path


async def test_programs_come_from_where_they_may_alone(tmp_path: Path) -> None:
    settings = {"scim": {"enabled": True, "networks": ["192.0.2.0/24"]}}
    async with running_gateway(tmp_path, **settings) as rig:
        token = await add_token(rig, "scim")
        assert (await asked(rig, f"{SCIM}/Users", **token))[0] == 403


async def test_no_store_is_asked_for_what_no_name_has(ship: Ship, monkeypatch: pytest.MonkeyPatch) -> None:
    async def asks(*_: object) -> None:
        raise AssertionError("PostgreSQL can't be asked for a NUL")

    monkeypatch.setattr(SqlProvisionedNames, "by_external_id", asks)
    for path in ("/Users", "/Groups"):
        status, page = await ship.program.call("GET", path, filter='externalId eq "a\\u0000b"')
        assert (status, page["totalResults"]) == (200, 0)
