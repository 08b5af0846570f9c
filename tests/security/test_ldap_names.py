"""A directory elsewhere knows a user by many spellings; they share the tries, and the next owner of a name inherits
nothing.

Active Directory compares names without their accents. slapd does so with `~=`, and a filter that asks for name or
mail address is the same thing in a common form.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.test_factor_enrolment import code_of, enrol_totp
from tests.integration.test_ldap_directory import TREE, settings
from tests.ldap_service import Ldap, ldap_server
from tests.rig import PASSWORD, running_gateway

ACCENTS = [
    "alice",
    "alicé",
    "àlice",
    "alìce",
    "aliçe",
    "álicé",
    "alïce",
    "âlice",
    "aliĉe",
    "alicë",
    "alīce",
    "ålice",
]
FILTER = "(|(uid~={username})(mail={username}))"
MAIL = "alice@example.com"


@pytest.fixture(scope="module")
def ldap() -> Iterator[Ldap]:
    with ldap_server(TREE) as server:
        yield server


async def test_no_spelling_that_the_directory_takes_for_a_user_brings_fresh_tries(
    tmp_path: Path, ldap: Ldap
) -> None:
    directory = settings(ldap, user_filter=FILTER)
    async with running_gateway(tmp_path, directory=directory) as rig, rig.browser() as browser:
        for name in (MAIL, "aliçe"):
            async with rig.browser() as other:
                assert (await other.password(name)).status == 303, "this is alice, too"
        statuses = [(await browser.password(name, "wrong")).status for name in ACCENTS]
        assert statuses == [401] * 10 + [429] * 2
        assert (await browser.password(MAIL)).status == 429, "not even the right password"
        await rig.gateway.services.audit.flush()
        _, rows = await rig.gateway.services.stores.audit_log.since(0, event="password_failed")
        assert {row.username for row in rows} == {"alice"}


async def test_a_name_that_nobody_has_is_counted_the_same_way(tmp_path: Path, ldap: Ldap) -> None:
    """Otherwise the spelling at which tries end would tell who exists."""
    directory = settings(ldap, user_filter=FILTER)
    async with running_gateway(tmp_path, directory=directory) as rig, rig.browser() as browser:
        names = [f"bob{name}" for name in ACCENTS]
        statuses = [(await browser.password(name, "wrong")).status for name in names]
        assert statuses == [401] * 10 + [429] * 2


async def test_a_right_password_forgets_the_failures_of_every_spelling(tmp_path: Path, ldap: Ldap) -> None:
    directory = settings(ldap, user_filter=FILTER)
    async with running_gateway(tmp_path, directory=directory) as rig, rig.browser() as browser:
        for _ in range(2):
            for name in ("alicé", MAIL, "alice") * 3:
                assert (await browser.password(name, "wrong")).status == 401
            for name in ("alicé", MAIL):
                async with rig.browser() as owner:
                    assert (await owner.password(name)).status == 303


FACTS = f"objectClass: inetOrgPerson\nuid: temp\nsn: X\ncn: Temp\nuserPassword: {PASSWORD}\n"
RECREATED = "dn: uid=temp,ou=people,dc=example,dc=com\nchangetype: "


async def test_who_gets_the_name_of_another_inherits_no_factor_session_or_device(
    tmp_path: Path, ldap: Ldap
) -> None:
    """The one before had an authenticator app; whoever comes next has not, and the old one's phone opens nothing."""
    ldap.change(f"{RECREATED}add\n{FACTS}")
    async with running_gateway(tmp_path, directory=settings(ldap)) as rig, rig.browser() as before:
        await before.password("temp")
        secret, codes = await enrol_totp(rig, before)
        assert (await before.get("/")).status == 200
        ldap.change(f"{RECREATED}delete\n")
        ldap.change(f"{RECREATED}add\n{FACTS}")
        async with rig.browser() as after:
            assert (await after.password("temp")).headers["Location"].startswith("/_auth/verify")
            assert (await after.get("/_auth/verify")).headers["Location"].startswith("/_auth/enrol")
            for code in (codes[0], code_of(rig, secret)):
                form = {"csrf_token": await after.token("/_auth/logout"), "code": code, "method": "recovery"}
                assert (await after.post("/_auth/verify", form)).headers.get("Location") != "/"
            await before.until_status(303)
            await enrol_totp(rig, after)
            assert (await after.get("/")).status == 200
        await rig.gateway.services.audit.flush()
        _, rows = await rig.gateway.services.stores.audit_log.since(0, event="name_passed_on")
        assert [row.username for row in rows] == ["temp"]
