"""Groups in LDAP: posixGroup, groups within groups, Active Directory's rule for these, and who is in a group."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.directory import ldap_groups
from gateway.directory.ldap_entries import LdapEntry
from tests.ldap_rig import (
    FOLDERS,
    GROUPS,
    SEARCH,
    FakeServer,
    group,
    opened,
    person,
    serving,
    settings,
)
from tests.ldap_service import Ldap, ldap_server
from tests.rig import PASSWORD, running_gateway

POSIX = f"dn: cn=unix,{GROUPS}\nobjectClass: posixGroup\ncn: unix\ngidNumber: 7\nmemberUid: alice\n\n"
TREE = (
    FOLDERS
    + person("alice", "cn: Alice", "mobile: +49 151 12345678")
    + person("bob", "cn: Bob")
    + person("off", "cn: Off", "userAccountControl: 514")
    + group("staff", "alice", "off")
    + group("department", "cn=staff", "bob")
    + group("company", "cn=department", "cn=ring")
    + group("ring", "cn=company")
    + POSIX
)
SEARCHED = {"group_base_dn": GROUPS}
NESTED = {**SEARCHED, "nested_groups": "search"}


@pytest.fixture(scope="module")
def ldap() -> Iterator[Ldap]:
    with ldap_server(TREE) as server:
        yield server


BOTH = "(|(member={dn})(memberUid={username}))"


@pytest.mark.parametrize(
    ("username", "more", "expected"),
    [
        ("alice", {}, {"staff"}),
        ("alice", SEARCHED, {"staff"}),
        ("alice", NESTED, {"staff", "department", "company", "ring"}),
        ("bob", NESTED, {"department", "company", "ring"}),
        ("alice", {**SEARCHED, "group_filter": "(memberUid={username})"}, {"unix"}),
        ("alice", {**SEARCHED, "group_filter": BOTH}, {"staff", "unix"}),
        ("bob", {**SEARCHED, "group_filter": "(memberUid={username})"}, set()),
    ],
)
async def test_a_user_is_in_these_groups(
    ldap: Ldap, username: str, more: dict[str, Any], expected: set[str]
) -> None:
    async with opened(ldap, **more) as directory:
        user = await directory.get(username)
    assert user is not None
    assert set(user.groups) == expected


@pytest.mark.parametrize(("name", "value"), [("MOST", 2), ("DEEPEST", 1)])
async def test_who_is_in_more_groups_than_can_be_read_is_nobody_and_the_log_says_so_once(
    ldap: Ldap, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, name: str, value: int
) -> None:
    """A rule may deny one of the groups that would be missing."""
    monkeypatch.setattr(ldap_groups, name, value)
    async with opened(ldap, **NESTED) as directory:
        for _ in range(2):
            assert await directory.get("alice") is None
            assert await directory.authenticate("alice", PASSWORD) is None
    assert sum("more groups than can be read" in line for line in caplog.messages) == 1


async def test_groups_that_active_directory_gives_in_part_make_nobody(ldap: Ldap) -> None:
    async with opened(ldap) as directory:
        entry = LdapEntry("cn=x", {"uid": [b"x"], "memberOf": [], "memberOf;range=0-1499": [b"cn=staff"]})
        assert directory._user(entry) is None


@pytest.mark.parametrize(
    ("groups", "more", "expected"),
    [
        (["staff"], {}, ["alice"]),
        (["staff"], SEARCHED, ["alice"]),
        (["company"], SEARCHED, []),
        (["company"], NESTED, ["alice", "bob"]),
        (["ring", "staff"], NESTED, ["alice", "bob"]),
        (["unix"], {**SEARCHED, "group_filter": "(memberUid={username})"}, ["alice"]),
        (["nobody", "*", "x)(cn=*"], NESTED, []),
    ],
)
async def test_the_enabled_users_of_a_group_are_found(
    ldap: Ldap, groups: list[str], more: dict[str, Any], expected: list[str]
) -> None:
    async with opened(ldap, **more) as directory:
        found = await directory.in_groups(groups, limit=5)
        assert sorted(user.username for user in found) == expected
        assert len(await directory.in_groups(groups, limit=1)) == min(1, len(expected))


async def test_active_directory_is_asked_to_follow_nested_groups_itself() -> None:
    dn = "cn=Alice (Sales),ou=people,dc=example,dc=com"
    fake = FakeServer(entries=[(dn, {"uid": "alice", "cn": "Alice"})])
    with serving(fake):
        async with opened(fake, group_base_dn=GROUPS, nested_groups="matching_rule") as directory:
            user = await directory.get("alice")
    assert user is not None
    _, asked = [operation for kind, operation in fake.asked if kind == SEARCH]
    # extensibleMatch [9]: matchingRule [1], type [2], matchValue [3] (RFC 4511 §4.5.1)
    rule = b"\x81\x171.2.840.113556.1.4.1941\x82\x06member\x83" + bytes([len(dn)]) + dn.encode()
    assert b"\xa9" + bytes([len(rule)]) + rule in asked


async def test_a_change_of_a_group_within_a_group_counts_for_running_sessions_a_minute_later(
    tmp_path: Path, ldap: Ldap
) -> None:
    route = {"host": "*", "path": "/", "upstream": "UPSTREAM", "rules": [{"groups": ["company"]}]}
    member = f"dn: cn=company,{GROUPS}\nchangetype: modify\n{{}}: member\nmember: cn=department,{GROUPS}\n"
    async with (
        running_gateway(
            tmp_path, directory=settings(ldap, **NESTED), routes=[{**route, "upstream": "UPSTREAM"}]
        ) as rig,
        rig.browser() as alice,
    ):
        await alice.sign_in("alice")
        assert (await alice.get("/")).status == 200
        ldap.change(member.format("delete"))
        try:
            rig.clock.advance(61)
            await alice.until_status(403)
        finally:
            ldap.change(member.format("add"))
        rig.clock.advance(61)
        await alice.until_status(200)
