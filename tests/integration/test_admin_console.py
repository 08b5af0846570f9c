"""The admin console: users, sessions, audit log, routes, as an administrator walks through them."""

import re
from pathlib import Path

from gateway.config.loader import read_text
from gateway.config.schema import PasswordRules as PasswordSettings
from gateway.directory.password_hashing import PasswordHashing
from tests.admin_rig import ADMIN, act, administered, shown
from tests.rig import PASSWORD, running_gateway

PAGES = ("", "/users", "/user?name=bob", "/sessions", "/blocked", "/audit", "/changes", "/routes", "/sms")


async def test_every_page_opens_and_is_like_all_our_pages(tmp_path: Path) -> None:
    async with administered(tmp_path) as (_, browser):
        await browser.get("/")
        for path in PAGES:
            response = await browser.get(ADMIN + path)
            assert response.status == 200, path
            assert response.headers["Cache-Control"] == "no-store"
            assert "script-src 'self';" in response.headers["Content-Security-Policy"]
        assert (await browser.get(ADMIN + "/nothing")).status == 404


async def test_a_user_is_added_edited_disabled_enabled_and_deleted(tmp_path: Path) -> None:
    async with administered(tmp_path) as (rig, browser):
        status, where = await act(
            browser,
            "/users",
            "add",
            username="Carol",
            name="Carol C",
            email="",
            phone="",
            groups="a, b",
            password=PASSWORD,
        )
        assert (status, where) == (303, f"{ADMIN}/user?name=carol&done=added")
        page = await shown(browser, "/user?name=carol")
        version = re.findall(r'name="version" value="(\w+)"', page)[0]
        fields = {"name": "Carol D", "email": "", "phone": "+49 1511 2345679", "groups": "b"}
        assert (await act(browser, "/user?name=carol", "save", version=version, **fields))[0] == 303
        assert (await act(browser, "/user?name=carol", "save", version=version, **fields))[0] == 412
        carol = await rig.directory.get("carol")
        assert carol
        assert (carol.name, carol.phone, carol.groups) == ("Carol D", "+4915112345679", ("b",))
        assert (await act(browser, "/user?name=carol", "disable"))[0] == 303
        assert "disabled" in await shown(browser, "/user?name=carol")
        assert (await act(browser, "/user?name=carol", "enable"))[0] == 303
        status, page = await act(browser, "/user?name=carol", "delete", confirm="bob")
        assert status == 422
        assert "Type the username" in page
        assert (await act(browser, "/user?name=carol", "delete", confirm="carol"))[0] == 303
        assert await rig.directory.get("carol") is None


async def test_an_invitation_is_mailed_and_shown_once(tmp_path: Path) -> None:
    async with administered(tmp_path) as (rig, browser):
        fields = {"username": "dora", "email": "dora@example.test", "name": "Dora", "phone": "", "groups": ""}
        status, page = await act(browser, "/users", "invite", **fields)
        assert status == 200
        link = re.findall(r'value="(http[^"]+/_auth/invite\?token=[^"]+)"', page)[0]
        await rig.gateway.services.messaging.notices.finish()
        assert link in rig.terminal.getvalue()
        assert "/_auth/invite?token=" not in await shown(browser, "/user?name=dora")
        assert (await browser.get(link.removeprefix(rig.url))).status == 200
        status, page = await act(browser, "/users", "invite", **fields)
        assert status == 409
        assert 'value="Dora"' in page  # what was entered is still there


async def test_sessions_are_listed_and_ended(tmp_path: Path) -> None:
    async with administered(tmp_path) as (rig, browser), rig.browser() as other:
        await other.password("bob")
        await other.code()
        page = await shown(browser, "/sessions")
        assert page.count('value="sessions"') == 1  # not the own one
        [id] = re.findall(r'name="id" value="(\w+)"', page)
        assert (await act(browser, "/sessions", "sessions", id=id))[0] == 303
        assert (await other.get("/")).status == 303
        await other.password("bob")
        assert (await act(browser, "/sessions?user=bob", "end_all", user="bob"))[0] == 303
        assert "bob" not in (await shown(browser, "/sessions")).partition("<tbody>")[2]


async def test_changes_show_what_was_before_and_who_did_it(tmp_path: Path) -> None:
    async with administered(tmp_path) as (rig, browser):
        await act(browser, "/user?name=bob", "disable")
        await rig.gateway.services.audit.flush()
        page = await shown(browser, "/changes")
        assert "user_disabled" in page
        assert "<bdi>alice</bdi>" in page


async def test_the_audit_log_is_filtered_paged_and_mistakes_are_told(tmp_path: Path) -> None:
    async with administered(tmp_path) as (rig, browser):
        for number in range(230):
            rig.gateway.services.audit.record("logout", "bob", "203.0.113.9", n=number)
        await rig.gateway.services.audit.flush()
        page = await shown(browser, "/audit?event=logout")
        older = re.findall(r'/audit\?(event=logout&amp;before=\d+)"', page)[0].replace("&amp;", "&")
        assert page.count("logout</td>") == 100
        assert (await shown(browser, f"/audit?{older}")).count("logout</td>") == 100
        assert (await shown(browser, "/audit?ip=192.")).count("<tr>") <= 1
        assert (await browser.get(f"{ADMIN}/audit?since=yesterday")).status == 422
        lines = (await shown(browser, "/audit/export?event=logout")).splitlines()
        assert len(lines) == 230


async def test_routes_say_where_they_are_declared_and_why_somebody_may_pass(tmp_path: Path) -> None:
    async with administered(tmp_path) as (rig, browser):
        page = await shown(browser, f"/routes?url={rig.url}/x&user=bob&amr=password")
        assert "step_up" in page
        assert "there is no user eve" in await shown(browser, f"/routes?url={rig.url}/x&user=eve")
        assert "no route" not in page
    text = "server: {listen: '127.0.0.1:0'}\nroutes:\n  - {path: /, upstream: 'http://127.0.0.1:9'}\n"
    assert read_text(text, "config.yaml", {}).config.where("routes", 0) == "config.yaml:3"


async def test_users_of_a_file_are_shown_with_their_line_and_not_changed(tmp_path: Path) -> None:
    hashed = await PasswordHashing(PasswordSettings(argon2_memory=65536, argon2_passes=1)).hash(PASSWORD)
    file = tmp_path / "users.yaml"
    file.write_text(
        f"users:\n  alice: {{password: '{hashed}', phone: '+4915112345678', groups: [admins]}}\n"
        "  bob: {groups: [staff]}\n"
    )
    directory = {"kind": "file", "path": str(file)}
    async with running_gateway(tmp_path, directory=directory) as rig, rig.browser() as browser:
        await browser.sign_in(rd=ADMIN)
        assert f"{file}:3" in await shown(browser, "/user?name=bob")
        page = await shown(browser, "/users")
        assert f"{file}:3" in page
        assert "Add a user" not in page
        assert (await act(browser, "/user?name=bob", "disable"))[0] == 409
