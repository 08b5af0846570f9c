"""Users and groups by SCIM 2.0: the standard by its own checker, and what Entra and Okta send."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from scim2_tester import Status, check_server

from tests.admin_rig import add_token
from tests.rig import Rig, running_gateway
from tests.scim_rig import ENTERPRISE, SCIM, BlockingClient, Program, group, patch, user

SETTINGS: dict[str, Any] = {
    "scim": {"enabled": True, "attributes": {"department": "department", "cost": "costCenter"}},
    "session": {"absolute_timeout": "12h"},
}
MEANT = {
    ("object_replacement", "userName can't be changed: delete the user and add another"),
    (
        "check_replace_attribute",
        "Failed to replace attribute 'userName': userName can't be changed: delete the user",
    ),
    ("check_remove_attribute", "PATCH modify() did not remove attribute 'active'"),
    ("check_add_attribute", "Attribute 'members' was not added or has unexpected value"),
    ("check_replace_attribute", "Attribute 'members' was not replaced or has unexpected value"),
}
"""A name is for good here, everybody is active or not, and members have no names of their own (docs/scim.md)."""


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    async with running_gateway(tmp_path, **SETTINGS) as rig:
        yield rig


@pytest.fixture
async def program(rig: Rig) -> Program:
    return Program(rig, await add_token(rig, "scim"))


async def added(program: Program, name: str, **facts: Any) -> Any:
    status, made = await program.call("POST", "/Users", user(name, **facts))
    assert status == 201, made
    return made


async def groups_of(rig: Rig, name: str) -> tuple[str, ...]:
    user = await rig.directory.get(name)
    assert user is not None
    return user.groups


async def test_the_checker_of_the_standard_finds_what_is_meant_alone(rig: Rig) -> None:
    client = BlockingClient(rig.url + SCIM, await add_token(rig, "scim"))
    results = await asyncio.to_thread(check_server, client)
    bad = [one for one in results if one.status not in (Status.SUCCESS, Status.SKIPPED)]
    left = set(MEANT)
    for one in bad:
        fits = {
            (title, said) for title, said in MEANT if title == one.title and str(one.reason).startswith(said)
        }
        assert fits, f"{one.title}: {one.reason}"
        left -= fits
    assert not left, "docs/scim.md says so"
    assert sum(one.status is Status.SUCCESS for one in results) > 100


async def test_a_user_comes_as_okta_sends_them_and_is_found_again(rig: Rig, program: Program) -> None:
    sent = {
        **user("Mira@Harbour.test"),
        "name": {"givenName": "Mira", "familyName": "Quay"},
        "emails": [{"primary": True, "value": "mira@corp.local", "type": "work"}],
        "phoneNumbers": [
            {"value": "ext. 17", "type": "work", "primary": True},
            {"value": "+49 151 12345670", "type": "mobile"},
        ],
        "locale": "en-US",
        "externalId": "00ujl29u0le5T6Aj10h7",
        "groups": [],
        "password": "1mz050nq-and-more",
        "active": True,
    }
    status, made = await program.call("POST", "/Users", sent)
    assert status == 201
    kept = await rig.directory.get("mira@harbour.test")
    assert kept is not None
    assert (kept.name, kept.email, kept.phone) == ("Mira Quay", "mira@corp.local", "+4915112345670")
    assert not kept.password_hash, "passwords are none of a program's"
    assert "password" not in made
    assert made["userName"] == sent["userName"]
    assert made["phoneNumbers"] == sent["phoneNumbers"]
    for wanted in (
        'userName eq "mira@HARBOUR.test"',
        'externalId eq "00ujl29u0le5T6Aj10h7"',
        f'id eq "{made["id"]}"',
        'emails[type eq "work" and value eq "mira@corp.local"]',
        'emails.value eq "mira@corp.local" and active eq true',
        'name.familyName sw "Qu"',
    ):
        status, page = await program.call("GET", "/Users", filter=wanted)
        assert (status, page["totalResults"], [one["id"] for one in page["Resources"]]) == (
            200,
            1,
            [made["id"]],
        ), wanted
    status, page = await program.call("GET", "/Users", filter='userName eq "nobody"')
    assert (status, page["totalResults"], page["Resources"]) == (200, 0, [])
    status, page = await program.call(
        "GET", "/Users", filter='userName eq "mira@harbour.test" and active eq false'
    )
    assert page["totalResults"] == 0
    status, again = await program.call("POST", "/Users", sent)
    assert (status, again["scimType"]) == (409, "uniqueness")
    # Okta takes people out with an operation that has no path, and PUTs the rest.
    off = patch({"op": "replace", "value": {"active": False}})
    status, gone = await program.call("PATCH", f"/Users/{made['id']}", off)
    assert (status, gone["active"]) == (200, False)
    status, back = await program.call(
        "PUT", f"/Users/{made['id']}", {**made, "active": True, "locale": "de-DE"}
    )
    assert (status, back["active"], back["locale"]) == (200, True, "de-DE")


async def test_entra_s_changes_are_understood_as_it_sends_them(rig: Rig, program: Program) -> None:
    made = await added(program, "otto", externalId="otto-1")
    changes = patch(
        {"op": "Replace", "path": "displayName", "value": "Otto Pier"},
        {"op": "Add", "path": 'emails[type eq "work"].value', "value": "otto@harbour.test"},
        {"op": "Add", "path": 'phoneNumbers[type eq "mobile"].value', "value": "+4915112345671"},
        {"op": "Add", "path": f"{ENTERPRISE}:department", "value": "Ops"},
        {"op": "Add", "path": f"{ENTERPRISE}:manager", "value": "somebody"},
        {"op": "Replace", "path": "active", "value": "False"},
    )
    status, answer = await program.call("PATCH", f"/Users/{made['id']}", changes)
    assert status == 200, answer
    kept = await rig.directory.get("otto")
    assert kept is not None
    assert (kept.name, kept.email, kept.phone) == ("Otto Pier", "otto@harbour.test", "+4915112345671")
    assert kept.disabled
    assert kept.attributes == (("department", ("Ops",)),)
    assert answer[ENTERPRISE] == {"department": "Ops"}
    status, crew = await program.call("POST", "/Groups", group("crew", externalId="g-1"))
    assert status == 201
    other = await added(program, "mira")
    for one in (made, other):
        add = patch({"op": "Add", "path": "members", "value": [{"value": one["id"]}]})
        assert (await program.call("PATCH", f"/Groups/{crew['id']}", add))[0] == 204
    remove = patch({"op": "Remove", "path": "members", "value": [{"value": made["id"]}]})
    assert (await program.call("PATCH", f"/Groups/{crew['id']}", remove))[0] == 204
    status, page = await program.call(
        "GET", "/Groups", filter='externalId eq "g-1"', excludedAttributes="members"
    )
    assert "members" not in page["Resources"][0]
    status, page = await program.call("GET", "/Groups", filter='displayName eq "crew"')
    assert [one["value"] for one in page["Resources"][0]["members"]] == [other["id"]]
    assert [one["display"] for one in (await program.call("GET", f"/Users/{other['id']}"))[1]["groups"]] == [
        "crew"
    ]


async def test_a_group_is_renamed_and_ended_with_its_members(rig: Rig, program: Program) -> None:
    mira, otto = await added(program, "mira"), await added(program, "otto")
    members = [{"value": mira["id"]}, {"value": otto["id"]}]
    _, crew = await program.call("POST", "/Groups", group("crew", members=members))
    _, taken = await program.call("POST", "/Groups", group("watch"))
    taken_name, new_name = (
        patch({"op": "replace", "path": "displayName", "value": name}) for name in ("crew", "Crew 2")
    )
    assert (await program.call("PATCH", f"/Groups/{taken['id']}", taken_name))[0] == 409
    assert (await program.call("PATCH", f"/Groups/{crew['id']}", new_name))[0] == 204
    assert await groups_of(rig, "mira") == await groups_of(rig, "otto") == ("Crew 2",)
    assert (await program.call("GET", f"/Groups/{crew['id']}"))[1]["displayName"] == "Crew 2"
    status, _ = await program.call("PUT", f"/Groups/{crew['id']}", group("Crew 2", members=members[:1]))
    assert status == 200
    assert await groups_of(rig, "otto") == ()
    assert (await program.call("DELETE", f"/Groups/{crew['id']}"))[0] == 204
    assert await groups_of(rig, "mira") == ()
    assert (await program.call("GET", f"/Groups/{crew['id']}"))[0] == 404


async def test_who_is_disabled_elsewhere_is_out_at_once_and_who_is_deleted_leaves_nothing(
    rig: Rig, program: Program
) -> None:
    await rig.add_user("alice")
    _, page = await program.call("GET", "/Users", filter='userName eq "alice"')
    alice = page["Resources"][0]
    async with rig.browser() as browser:
        await browser.sign_in()
        assert (await browser.get("/")).status == 200
        off = patch({"op": "replace", "path": "active", "value": False})
        assert (await program.call("PATCH", f"/Users/{alice['id']}", off))[0] == 200
        await browser.until_status(303)
    assert (await program.call("DELETE", f"/Users/{alice['id']}"))[0] == 204
    assert await rig.directory.get("alice") is None
    assert (await program.call("GET", f"/Users/{alice['id']}"))[0] == 404
    await rig.add_user("alice")
    _, page = await program.call("GET", "/Users", filter='userName eq "alice"')
    assert page["Resources"][0]["id"] != alice["id"], "the next owner of a name is somebody else"


async def test_what_changes_here_is_shown_over_what_was_written(rig: Rig, program: Program) -> None:
    made = await added(
        program, "mira", displayName="Mira", emails=[{"value": "old@harbour.test", "type": "work"}]
    )
    kept = await rig.directory.get("mira")
    assert kept is not None
    await rig.directory.replace(replace(kept, name="Mira Quay", email="new@harbour.test", disabled=True))
    _, now = await program.call("GET", f"/Users/{made['id']}")
    assert (now["displayName"], now["active"]) == ("Mira Quay", False)
    assert [one["value"] for one in now["emails"]] == ["new@harbour.test"]


async def test_many_come_at_once_and_are_told_page_by_page(rig: Rig, program: Program) -> None:
    made = await asyncio.gather(*(added(program, f"sailor{number:02}") for number in range(12)))
    _, crew = await program.call("POST", "/Groups", group("crew"))
    joins = [patch({"op": "add", "path": "members", "value": [{"value": one["id"]}]}) for one in made]
    answers = await asyncio.gather(
        *(program.call("PATCH", f"/Groups/{crew['id']}", one) for one in joins[:2])
    )
    assert [status for status, _ in answers] == [204, 204]
    seen: list[str] = []
    for start in (1, 6, 11):
        _, page = await program.call("GET", "/Users", startIndex=str(start), count="5")
        assert (page["totalResults"], page["startIndex"]) == (12, start)
        seen += [one["userName"] for one in page["Resources"]]
    assert seen == [f"sailor{number:02}" for number in range(12)]
    _, none = await program.call("GET", "/Users", count="0")
    assert (none["totalResults"], none["Resources"]) == (12, [])
