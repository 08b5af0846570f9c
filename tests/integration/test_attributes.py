"""Attributes from the console and the API to rules: a change counts at the next request, what can't be is refused."""

from pathlib import Path

import aiohttp

from gateway.directory.identifiers import attributes
from tests.admin_rig import act, add_token, administered, api, shown
from tests.waiting import until

ROUTES = [
    {
        "host": "*",
        "path": "/ops",
        "upstream": "UPSTREAM",
        "policy": {"require": "one_factor", "attributes": {"department": ["ops"]}},
    }
]
FORM = {"name": "Alice", "email": "", "phone": "+4915112345678", "groups": "admins"}


async def test_an_attribute_opens_what_a_rule_asks_for_until_it_is_taken_away(tmp_path: Path) -> None:
    settings = {"routes": ROUTES, "admin": {"groups": ["admins"]}}
    async with (
        administered(tmp_path, **settings) as (rig, browser),
        aiohttp.ClientSession() as client,
    ):
        token = await add_token(rig, "admin:read", "admin:write")
        assert (await browser.get("/ops")).status == 403

        async def opens() -> bool:
            return (await browser.get("/ops")).status == 200

        async def closed() -> bool:
            return (await browser.get("/ops")).status == 403

        body = {"attributes": {"department": ["ops", "dev"]}}
        status, user, _ = await api(client, rig, "PATCH", "/users/alice", token, json=body)
        assert (status, user["attributes"]) == (200, body["attributes"])
        await until(opens, "the attribute counts")
        for wrong in (
            {"groups": ["x"]},
            {"Department": ["x"]},
            {"a": ["x\r\ny"]},
            {"a": ["x"] * 101},
            {"a": 1},
        ):
            status, _, _ = await api(client, rig, "PATCH", "/users/alice", token, json={"attributes": wrong})
            assert status in (400, 422), wrong
        page = await shown(browser, "/user?name=alice")
        assert "department: ops\ndepartment: dev" in page

        user = await rig.directory.get("alice")
        assert user is not None
        version = page.split('name="version" value="')[1].split('"')[0]
        form = {**FORM, "version": version, "attributes": "site: a <b>, c\r\ndepartment: x"}
        assert (await act(browser, "/user?name=alice", "save", **form))[0] == 303
        await until(closed, "it no longer does")
        user = await rig.directory.get("alice")
        assert user is not None
        assert user.attributes == attributes({"department": ["x"], "site": ["a <b>, c"]})
        page = await shown(browser, "/user?name=alice")
        assert "site: a &lt;b&gt;, c" in page
        version = page.split('name="version" value="')[1].split('"')[0]
        status, page = await act(
            browser,
            "/user?name=alice",
            "save",
            **{**form, "version": version, "attributes": "groups: admins"},
        )
        assert status == 422
        audit = await shown(browser, "/audit")
        assert "user_changed" in audit
