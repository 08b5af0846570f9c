"""The LDAP directory against a real slapd: search and bind, groups, TLS, hostile names, outages."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.errors import StoreUnavailable
from tests.ldap_rig import FOLDERS, group, opened, person, settings
from tests.ldap_service import Ldap, ldap_server
from tests.rig import PASSWORD, running_gateway
from tests.waiting import PATIENCE

FILETIME_2027 = (1_800_000_000 + 11_644_473_600) * 10_000_000


TREE = (
    FOLDERS
    + person(
        "alice",
        "cn: Alice A.",
        "mail: alice@example.com",
        "mobile: +49 151 12345678",
        "departmentNumber: 4",
        "l: Bonn",
    )
    + person("off", "cn: Off", "userAccountControl: 514")
    + person("on", "cn: On", "userAccountControl: 512", f"pwdLastSet: {FILETIME_2027}")
    + person("odd", "cn: Odd", "mobile: 12", "mail: odd@example.com")
    + person("national", "cn: Nat", "mobile: 0151 12345678")
    + person("trunk", "cn: Trunk", "mobile: 0049 151 12345678")
    + person("none", "cn: None", "mobile: n/a")
    + person("Anna  Maria", "cn: Anna Maria", "mobile: +49 151 12345678")
    + group("staff", "alice", "on")
    + group("ops", "alice")
    + group("a\\2cb", "alice")
)


@pytest.fixture(scope="module")
def ldap() -> Iterator[Ldap]:
    with ldap_server(TREE) as server:
        yield server


async def test_a_user_comes_with_name_address_number_and_groups(ldap: Ldap) -> None:
    async with opened(ldap) as directory:
        user = await directory.authenticate("ALICE", PASSWORD)
    assert user is not None
    assert (user.username, user.name, user.email) == ("alice", "Alice A.", "alice@example.com")
    assert user.phone == "+4915112345678"
    assert set(user.groups) == {"staff", "ops", "a,b"}
    assert not user.disabled
    assert len(user.directory_id) == 36, "entryUUID: whoever has this name later has another"


async def test_attributes_are_those_that_are_mapped(ldap: Ldap) -> None:
    async with opened(
        ldap, attributes={"more": {"department": "departmentNumber", "desk": "roomNumber"}}
    ) as one:
        user = await one.get("alice")
        assert user is not None
        assert user.attributes == (("department", ("4",)),)
        assert [found.attributes for found in await one.list("alice", limit=2)] == [user.attributes]


async def test_groups_may_be_searched_instead(ldap: Ldap) -> None:
    async with opened(ldap, group_base_dn="ou=groups,dc=example,dc=com") as directory:
        user = await directory.get("on")
    assert user is not None
    assert user.groups == ("staff",)


async def test_a_filter_that_finds_several_entries_signs_nobody_in(ldap: Ldap) -> None:
    """Which of them it is would be the server's whim."""
    async with opened(ldap, user_filter="(|(uid={username})(uid=*))") as directory:
        assert await directory.get("alice") is None
        assert await directory.authenticate("alice", PASSWORD) is None


@pytest.mark.parametrize("password", ["", "wrong", "\0", PASSWORD + "\0"])
async def test_wrong_and_empty_passwords_are_refused(ldap: Ldap, password: str) -> None:
    async with opened(ldap) as directory:
        assert await directory.authenticate("alice", password) is None


@pytest.mark.parametrize(
    "name",
    [
        "*",
        "a*",
        "alice)(uid=*",
        "*)(objectClass=*",
        "alice\0",
        "\\61lice",
        "nobody",
        "",
        "x" * 5000,
        "(",
        "\\",
    ],
)
async def test_hostile_names_find_no_one(ldap: Ldap, name: str) -> None:
    async with opened(ldap) as directory:
        assert await directory.get(name) is None
        assert await directory.authenticate(name, PASSWORD) is None
        assert await directory.get("alice") is not None


async def test_a_disabled_active_directory_account_is_refused(ldap: Ldap) -> None:
    async with opened(ldap) as directory:
        assert await directory.authenticate("off", PASSWORD) is None
        off, on = await directory.get("off"), await directory.authenticate("on", PASSWORD)
    assert off is not None
    assert off.disabled
    assert on is not None
    assert on.password_changed_at == 1_800_000_000


async def test_a_number_that_makes_no_sense_is_left_out_but_known_to_be_there(
    ldap: Ldap, caplog: pytest.LogCaptureFixture
) -> None:
    async with opened(ldap) as directory:
        user, national, none = [await directory.get(name) for name in ("odd", "national", "none")]
        await directory.get("national")
    assert user is not None
    assert (user.phone, user.email, user.phone_unreadable) == ("", "odd@example.com", True)
    assert national is not None
    assert (national.phone, national.phone_unreadable) == ("", True), "no country was named"
    assert none is not None
    assert not none.phone_unreadable, "no digit, no number"
    told = [line for line in caplog.messages if "national" in line]
    assert len(told) == 1, "once, not at each request"
    assert "sms.default_country" in told[0]
    assert "12345678" not in told[0], "no number in any log"


async def test_numbers_without_country_code_are_read_by_the_default_country(ldap: Ldap) -> None:
    async with opened(ldap, country="DE") as directory:
        found = [await directory.get(name) for name in ("national", "trunk", "alice")]
    assert [user.phone for user in found if user] == ["+4915112345678"] * 3


async def test_a_logon_name_with_a_blank_signs_in_by_every_spelling_of_it(ldap: Ldap) -> None:
    async with opened(ldap) as directory:
        found = [
            await directory.authenticate(name, PASSWORD)
            for name in ("Anna Maria", "anna  maria", "ANNA\u00a0MARIA")
        ]
    assert [user.username for user in found if user] == ["anna maria"] * 3


async def test_list_searches_and_escapes(ldap: Ldap) -> None:
    async with opened(ldap) as directory:
        assert [user.username for user in await directory.list(limit=9)] == [
            "alice",
            "anna maria",
            "national",
            "none",
            "odd",
            "off",
            "on",
            "trunk",
        ]
        assert [user.username for user in await directory.list("alice@", limit=9)] == ["alice"]
        assert await directory.list("*", limit=9) == []


async def test_tls_is_used_when_the_certificate_is_trusted(ldap: Ldap) -> None:
    async with opened(ldap, urls=[ldap.tls_url], ca_file=ldap.ca_file) as directory:
        assert await directory.authenticate("alice", PASSWORD) is not None
    async with opened(ldap, starttls=True, ca_file=ldap.ca_file) as directory:
        assert await directory.authenticate("alice", PASSWORD) is not None


@pytest.mark.parametrize("how", ["unknown ca", "unknown ca starttls", "wrong name", "wrong name starttls"])
async def test_a_certificate_that_does_not_hold_is_an_outage(ldap: Ldap, how: str) -> None:
    starttls = how.endswith("starttls")
    url = ldap.url if starttls else ldap.tls_url
    more: dict[str, Any] = {"urls": [url], "starttls": starttls}
    if how.startswith("wrong name"):
        more |= {"urls": [url.replace("localhost", "127.0.0.1")], "ca_file": ldap.ca_file}
    async with opened(ldap, **more) as directory:
        with pytest.raises(StoreUnavailable):
            await directory.authenticate("alice", PASSWORD)


async def test_the_next_server_is_asked_when_the_first_is_away(ldap: Ldap) -> None:
    async with opened(ldap, urls=["ldap://127.0.0.1:1", ldap.url]) as directory:
        assert await directory.authenticate("alice", PASSWORD) is not None


async def test_a_restart_of_the_server_is_not_noticed_and_an_outage_is_told(ldap: Ldap) -> None:
    async with opened(ldap) as directory:
        assert await directory.get("alice") is not None
        ldap.daemon.stop()
        ldap.daemon.start()
        assert await directory.get("alice") is not None
        ldap.daemon.stop()
        try:
            for _ in range(3):
                with pytest.raises(StoreUnavailable):
                    await directory.authenticate("alice", PASSWORD)
        finally:
            ldap.daemon.start()
        async with asyncio.timeout(PATIENCE):
            while True:
                try:
                    await directory.ping()
                    break
                except StoreUnavailable:
                    await asyncio.sleep(0.05)
        assert await directory.authenticate("alice", PASSWORD) is not None


async def test_a_wrong_service_account_is_an_outage_not_a_wrong_password(ldap: Ldap) -> None:
    async with opened(ldap, bind_password="wrong") as directory:
        with pytest.raises(StoreUnavailable, match="bind_dn"):
            await directory.authenticate("alice", PASSWORD)


async def test_many_at_once_all_get_their_answer(ldap: Ldap) -> None:
    async with opened(ldap) as directory:
        found = await asyncio.gather(
            *(directory.authenticate("alice", PASSWORD if n % 2 else "wrong") for n in range(40))
        )
    assert [user is not None for user in found] == [bool(n % 2) for n in range(40)]


async def test_signing_in_through_ldap_with_both_factors(tmp_path: Path, ldap: Ldap) -> None:
    config = settings(ldap, urls=[ldap.url])
    async with running_gateway(tmp_path, directory=config) as rig, rig.browser() as browser:
        await browser.sign_in("alice")
        seen = await (await browser.get("/")).json()
        headers = dict(seen["headers"])
        assert headers["Remote-User"] == "alice"
        assert set(headers["Remote-Groups"].split(",")) == {"staff", "ops", "a%2Cb"}
        async with rig.browser() as other:
            assert (await other.password("alice", "")).status in (400, 401)
            assert (await other.password("off")).status == 401


async def test_a_password_alone_adds_no_factor_where_the_directory_has_a_number_that_cannot_be_read(
    tmp_path: Path, ldap: Ldap
) -> None:
    """It is a second factor that the user has: whoever knows the password must not bring one along instead."""
    async with running_gateway(tmp_path, directory=settings(ldap)) as rig, rig.browser() as browser:
        assert (await browser.password("national")).status == 303
        page = await browser.get("/_auth/enrol?rd=/")
        assert page.status == 403
        assert "phone number that we can&#39;t read" in await page.text()
        assert (await browser.get("/")).status == 303
        await rig.gateway.services.audit.flush()
        _, found = await rig.gateway.services.stores.audit_log.since(0, event="phone_unreadable")
        assert [row.username for row in found] == ["national"]
        account = await browser.get("/_auth/account")
        assert account.status == 303, "the account is not open for changes, either"


async def test_with_the_default_country_that_user_gets_the_code_by_sms(tmp_path: Path, ldap: Ldap) -> None:
    config = settings(ldap)
    async with (
        running_gateway(tmp_path, directory=config, sms={"default_country": "DE"}) as rig,
        rig.browser() as browser,
    ):
        await browser.sign_in("national")
        assert (await browser.get("/")).status == 200


async def test_a_user_with_a_blank_in_the_name_signs_in_with_both_factors(tmp_path: Path, ldap: Ldap) -> None:
    async with running_gateway(tmp_path, directory=settings(ldap)) as rig, rig.browser() as browser:
        await browser.sign_in("Anna Maria")
        seen = dict((await (await browser.get("/")).json())["headers"])
        assert seen["Remote-User"] == "anna maria"
