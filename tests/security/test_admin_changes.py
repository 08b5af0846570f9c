"""What administrators change: nothing that locks them out, or brings back what another took away."""

import asyncio
import json
from pathlib import Path

import aiohttp
import pytest

from gateway.admin.exports import csv_line
from gateway.authn.factors.bypass import Bypasses
from gateway.authn.factors.phone_lines import SECOND_PHONE
from gateway.model import User
from gateway.stores.protocols.core import Credential, Device
from gateway.stores.protocols.tokens import ApiToken
from tests.admin_rig import act, add_token, administered, api, shown
from tests.security.test_admin import FOREIGN, bob


async def test_fields_that_are_not_meant_to_be_changed_are_refused(tmp_path: Path) -> None:
    async with administered(tmp_path) as (rig, _), aiohttp.ClientSession() as client:
        token = await add_token(rig, "admin:write")
        before = await bob(rig)
        for body in FOREIGN:
            status, problem, _ = await api(client, rig, "PATCH", "/users/bob", token, json=body)
            assert status == 422, body
            assert problem["errors"]
        assert await bob(rig) == before


async def test_forms_change_no_more_than_they_show(tmp_path: Path) -> None:
    async with administered(tmp_path) as (rig, browser):
        before = await bob(rig)
        version = (await shown(browser, "/user?name=bob")).split('name="version" value="')[1][:16]
        fields = {"name": "B", "email": "", "phone": "", "groups": "x", "version": version}
        more = {"password_hash": "x", "username": "eve", "disabled": "1", "created_at": "1"}
        assert (await act(browser, "/user?name=bob", "save", **fields, **more))[0] == 303
        after = await bob(rig)
        assert (after.name, after.groups) == ("B", ("x",))
        assert (after.password_hash, after.disabled, after.created_at) == (
            before.password_hash,
            False,
            before.created_at,
        )


async def test_nobody_locks_themselves_or_the_last_administrator_out(tmp_path: Path) -> None:
    async with administered(tmp_path) as (rig, browser), aiohttp.ClientSession() as client:
        token = await add_token(rig, "admin:write")
        own = "/user?name=alice"
        version = (await shown(browser, own)).split('name="version" value="')[1][:16]
        for do, fields in (
            ("disable", {}),
            ("delete", {"confirm": "alice"}),
            ("save", {"version": version, "groups": "staff"}),
            ("factors", {}),
            ("link", {}),
        ):
            status, page = await act(browser, own, do, **fields)
            assert status == 409, do
            assert 'role="alert"' in page
        for method, path, body in (
            ("DELETE", "/users/alice", None),
            ("PATCH", "/users/alice", {"disabled": True}),
            ("PATCH", "/users/alice", {"groups": []}),
        ):
            status, problem, _ = await api(client, rig, method, path, token, json=body)
            assert (status, problem["detail"]) == (
                409,
                "This is the last administrator. Make somebody else one first.",
            )
        alice = await rig.directory.get("alice")
        assert alice
        assert alice.groups == ("admins",)


async def test_with_other_administrators_one_still_keeps_the_own_account(tmp_path: Path) -> None:
    async with administered(tmp_path) as (rig, browser), aiohttp.ClientSession() as client:
        await rig.add_user("carol", groups=("admins",))
        token = await add_token(rig, "admin:write")
        version = (await shown(browser, "/user?name=alice")).split('name="version" value="')[1][:16]
        for do, fields in (
            ("disable", {}),
            ("delete", {"confirm": "alice"}),
            ("save", {"version": version, "groups": "staff"}),
        ):
            status, page = await act(browser, "/user?name=alice", do, **fields)
            assert status == 409, do
            assert ("your own account" in page) is (do != "save")
        calls = (api(client, rig, "DELETE", f"/users/{name}", token) for name in ("alice", "carol"))
        statuses = sorted([answer[0] for answer in await asyncio.gather(*calls)])
        assert statuses in ([204, 409], [204, 429])


async def test_what_visitors_typed_is_shown_as_text(tmp_path: Path) -> None:
    attack = "<script>alert(1)</script>"
    async with administered(tmp_path) as (rig, browser), rig.browser() as visitor:
        await rig.add_user("carol", name=attack, groups=(attack,))
        rig.gateway.services.audit.record("password_failed", attack, "192.0.2.1")  # as older rows have it
        token = await visitor.token("/_auth/login")
        form = {"username": "carol", "password": "correct horse battery", "csrf_token": token, "rd": "/"}
        await visitor.post("/_auth/login", form, **{"User-Agent": attack})
        await rig.gateway.services.audit.flush()
        pages = (
            "/users",
            "/user?name=carol",
            "/sessions",
            "/audit",
            "/changes",
            f"/users?q={attack}",
            f"/audit?text={attack}",
            f"/routes?url={attack}&user={attack}",
        )
        for path in pages:
            assert attack not in await shown(browser, path), path
        assert "&lt;script&gt;" in await shown(browser, "/audit")


async def test_spreadsheets_run_nothing_of_what_was_typed(tmp_path: Path) -> None:
    async with administered(tmp_path) as (rig, browser):
        typed = '=HYPERLINK("http://evil.test")'
        rig.gateway.services.audit.record("password_failed", typed, "192.0.2.1")  # as older rows have it
        await rig.gateway.services.audit.flush()
        text = await shown(browser, "/audit/export?format=csv")
        assert "'=HYPERLINK" in text
        rows = [json.loads(line) for line in (await shown(browser, "/audit/export")).splitlines()]
        assert "password_failed" in [row["event"] for row in rows]
    for cell in ("=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", " =1", "＝1"):
        assert csv_line([cell]).lstrip('"').startswith("'")
    assert csv_line(["plain", 7]) == "plain,7\r\n"


async def test_no_whole_number_and_no_link_is_in_the_log(tmp_path: Path) -> None:
    async with administered(tmp_path) as (rig, browser):
        status, page = await act(
            browser, "/users", "invite", username="dora", email="", name="", phone="+4915199999999", groups=""
        )
        assert status == 200
        link = page.split("/_auth/invite?token=")[1].split('"')[0]
        await rig.gateway.services.audit.flush()
        log = await shown(browser, "/audit/export")
        assert "user_invited" in log
        assert "15199999999" not in log
        assert link not in log


async def test_a_reset_factor_ends_what_it_vouched_for(tmp_path: Path) -> None:
    async with administered(tmp_path) as (rig, browser), rig.browser() as other:
        await other.password("bob")
        await other.code()
        assert (await other.get("/")).status == 200
        bypasses = Bypasses(rig.gateway.services.stores.ledger, lambda: [b"k" * 32])
        await bypasses.issue("bob", 600)
        devices, now = rig.gateway.services.authn.devices.store, rig.clock()
        await devices.add(Device("d", "bob", "", "192.0.2.1", now, now, now + 999))
        assert (await act(browser, "/user?name=bob", "factors", id="bypass"))[0] == 303
        assert (await devices.list("bob"), (await other.get("/")).status) == ([], 303)
        await bypasses.issue("bob", 600)
        credentials = rig.gateway.stores.credentials
        await credentials.add(
            Credential("held", "bob", SECOND_PHONE, "+49•••••679", b"+4915112345679", rig.clock())
        )
        tokens = rig.gateway.stores.tokens
        await tokens.add(ApiToken("own", "own", "", (), (), (), rig.clock(), rig.clock() + 9, owner="bob"))
        assert "+49•••••679" in await (await browser.get("/_auth/admin/user?name=bob")).text()
        assert (await act(browser, "/user?name=bob", "factors"))[0] == 303
        assert await credentials.list("bob", SECOND_PHONE) == []
        assert not await bypasses.is_out("bob")
        assert await tokens.owned("bob") == []
        assert (await other.get("/")).status == 303
        assert (await bob(rig)).phone == ""


async def test_a_link_for_a_new_password_asks_for_the_second_factor(tmp_path: Path) -> None:
    async with administered(tmp_path) as (rig, browser), rig.browser() as other:
        _, page = await act(browser, "/user?name=bob", "link")
        assert "/_auth/reset?token=" in page
        link = "/_auth/reset?token=" + page.split("/_auth/reset?token=")[1].split('"')[0]
        response = await other.post(
            "/_auth/reset",
            {"csrf_token": await other.token(link), "do": "open", "token": link.split("=")[1]},
        )
        assert 'name="code"' in await response.text()
        await act(browser, "/user?name=bob", "factors")
        _, page = await act(browser, "/user?name=bob", "link")
        assert "/_auth/invite?token=" in page
        assert (await bob(rig)).password_hash == ""


async def test_a_change_at_the_same_time_brings_back_nothing_that_another_took_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also for who does not say which version they saw: what was read before the other change is not written back."""
    async with administered(tmp_path) as (rig, browser), aiohttp.ClientSession() as client:
        token = await add_token(rig, "admin:write")
        directory = rig.gateway.services.users.directory
        read, meanwhile = directory.get, [User("bob", groups=("staff",), disabled=True)]

        async def get(username: str) -> User | None:
            found = await read(username)
            if username == "bob" and meanwhile:
                await rig.directory.replace(meanwhile.pop())
            return found

        monkeypatch.setattr(directory, "get", get)
        status, problem, _ = await api(client, rig, "PATCH", "/users/bob", token, json={"name": "Bob"})
        assert (status, "meanwhile" in problem["detail"]) == (412, True)
        bob = await rig.directory.get("bob")
        assert bob
        assert bob.disabled
        meanwhile.append(User("bob"))
        status, page = await act(browser, "/user?name=bob", "disable")
        assert (status, "meanwhile" in page) == (412, True)
        bob = await rig.directory.get("bob")
        assert bob
        assert bob.groups == ()
