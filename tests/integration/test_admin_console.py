"""The admin console: users, sessions, audit log, routes, as an administrator walks through them."""

import re
from pathlib import Path

from tests.admin_rig import ADMIN, act, administered, shown
from tests.rig import PASSWORD

PAGES = ("", "/users", "/user?name=bob", "/sessions", "/audit", "/changes", "/routes", "/sms")


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
            browser, "/users", "add", username="Carol", name="Carol C", email="", phone="", groups="a, b",
            password=PASSWORD,
        )  # fmt: skip
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
