"""Administrators find users by what they have and did, and do one thing to many of them at once."""

import re
from pathlib import Path

from tests.admin_rig import ADMIN, administered, shown
from tests.rig import Browser, Rig

MANY = [f"user{number:02}" for number in range(60)]


def names(page: str) -> list[str]:
    """Users of the list, in its order."""
    return re.findall(r'name="pick" value="([^"]+)"', page)


async def post(browser: Browser, path: str, **fields: str) -> tuple[int, str]:
    token = await browser.token(ADMIN + "/users")
    response = await browser.post(ADMIN + path, {"csrf_token": token, **fields})
    return response.status, response.headers.get("Location") or await response.text()


async def confirmed(browser: Browser, query: str) -> str:
    """Look at the preview of an act and do it: where the report is."""
    page = await shown(browser, f"/users/bulk?{query}")
    seen = page.split('name="seen" value="')[1].split('"')[0]
    count = re.search(r'id="meant">(\d+)', page)
    assert count
    status, to = await post(browser, f"/users/bulk?{query}", seen=seen, confirm=count[1])
    assert status == 303, to
    return to.removeprefix(ADMIN)


async def fill(rig: Rig) -> None:
    await rig.add_user("carol", groups=("staff", "wiki"), phone="", email="z@example.test")
    await rig.add_user("dave", phone="", disabled=True)


async def test_the_list_is_filtered_and_sorted_by_its_address(tmp_path: Path) -> None:
    async with administered(tmp_path) as (rig, browser):
        await fill(rig)
        await rig.gateway.services.audit.flush()
        for query, found in (
            ("", ["alice", "bob", "carol", "dave"]),
            ("order=down", ["dave", "carol", "bob", "alice"]),
            ("group=staff", ["bob", "carol"]),
            ("group=staff&q=z@", ["carol"]),
            ("state=disabled", ["dave"]),
            ("state=enabled&idle=never", ["bob", "carol"]),
            ("factors=none", ["dave"]),
            ("factors=sms_alone", ["alice", "bob"]),
            ("factors=totp", []),
            ("idle=30", ["bob", "carol", "dave"]),
            ("sort=last_sign_in&order=down", ["alice", "dave", "carol", "bob"]),
            ("sort=last_sign_in&after=carol", ["dave", "alice"]),
            ("sort=username&after=bobby", ["carol", "dave"]),
        ):
            assert names(await shown(browser, f"/users?{query}")) == found, query
        for query in ("sort=password_hash", "state=x", "factors=x", "idle=x", "idle=-1", "order=up"):
            assert (await browser.get(f"{ADMIN}/users?{query}")).status == 422, query
        rig.clock.advance(31 * 86400)
        page = (await browser.get(f"{ADMIN}/users")).status
        assert page == 303  # signed out by now, so a visit is a sign-in
        await browser.sign_in(rd=ADMIN)
        await rig.gateway.services.audit.flush()
        assert names(await shown(browser, "/users?idle=30")) == ["bob", "carol", "dave"]


async def test_an_act_on_many_is_shown_first_then_done_then_undone_exactly(tmp_path: Path) -> None:
    async with administered(tmp_path) as (rig, browser):
        await fill(rig)
        page = await shown(browser, "/users/bulk?act=disable&all=1")
        assert 'id="meant">2 users' in page
        assert "You can’t disable" in page
        assert "Nothing to do." in page
        for name in ("bob", "carol"):
            user = await rig.directory.get(name)
            assert user
            assert not user.disabled  # looking changes nothing
        done = await confirmed(browser, "act=disable&all=1")
        assert {name for name in ("alice", "bob", "carol", "dave") if await disabled(rig, name)} == {
            "bob",
            "carol",
            "dave",
        }
        assert 'value="' in await shown(browser, done)
        assert (await post(browser, done))[0] == 303
        assert [name for name in ("bob", "carol", "dave") if await disabled(rig, name)] == ["dave"]
        assert (await post(browser, done))[0] == 409  # once
        assert "Undo" not in await shown(browser, done)
        await rig.gateway.services.audit.flush()
        rows = await rig.gateway.stores.audit_log.tail(100)
        assert [row.username for row in rows if row.event == "user_disabled"] == ["bob", "carol"]
        whole = [row.data for row in rows if row.event == "bulk_act"]
        assert [(one["act"], one["count"], one["by"]) for one in whole] == [
            ("disable", 2, "alice"),
            ("enable", 2, "alice"),
        ]


async def disabled(rig: Rig, name: str) -> bool:
    user = await rig.directory.get(name)
    return user is not None and user.disabled


async def test_picked_users_join_and_leave_groups(tmp_path: Path) -> None:
    async with administered(tmp_path) as (rig, browser):
        await fill(rig)
        done = await confirmed(browser, "act=add_group&with=wiki&pick=bob&pick=carol&pick=nobody")
        assert await groups(rig, "bob") == ("staff", "wiki")
        await post(browser, done)
        assert await groups(rig, "bob") == ("staff",)
        assert await groups(rig, "carol") == ("staff", "wiki")  # was in it before
        page = await shown(browser, "/users/bulk?act=remove_group&with=admins&all=1")
        assert "take yourself out" in page
        assert 'id="meant">0 users' in page


async def groups(rig: Rig, name: str) -> tuple[str, ...]:
    user = await rig.directory.get(name)
    assert user
    return user.groups


async def test_factors_and_sessions_of_many_end_but_not_the_own(tmp_path: Path) -> None:
    async with administered(tmp_path) as (rig, browser), rig.browser() as other:
        await other.sign_in("bob")
        assert (await other.get("/_auth/account")).status == 200
        page = await shown(browser, "/users/bulk?act=reset_factors&all=1")
        assert "can’t be undone" in page
        done = await confirmed(browser, "act=reset_factors&all=1")
        assert "Undo" not in await shown(browser, done)
        user = await rig.directory.get("bob")
        assert user
        assert user.phone == ""
        assert (await other.get("/_auth/account")).status == 303
        await confirmed(browser, "act=end_sessions&all=1")
        assert (await browser.get(ADMIN)).status == 200


async def test_nothing_is_done_without_token_number_and_the_same_users(tmp_path: Path) -> None:
    async with administered(tmp_path) as (rig, browser):
        query = "act=disable&all=1"
        page = await shown(browser, f"/users/bulk?{query}")
        seen = page.split('name="seen" value="')[1].split('"')[0]
        path = f"/users/bulk?{query}"
        assert (await browser.post(ADMIN + path, {"seen": seen, "confirm": "1"})).status == 403
        assert (await post(browser, path, seen=seen, confirm="2"))[0] == 422
        assert (await post(browser, path, seen=seen))[0] == 422
        await rig.add_user("carol")
        assert (await post(browser, path, seen=seen, confirm="2"))[0] == 412
        assert (await browser.get(f"{ADMIN}/users/bulk?act=delete&all=1")).status == 422
        assert (await browser.get(f"{ADMIN}/users/bulk?act=add_group&all=1")).status == 422
        assert (await browser.get(f"{ADMIN}/users/bulk?act=disable")).status == 422
        assert not await disabled(rig, "bob")
        assert (await browser.get(f"{ADMIN}/users/done?id=x")).status == 404


async def test_pages_go_on_where_the_one_before_ended(tmp_path: Path) -> None:
    async with administered(tmp_path) as (rig, browser):
        for name in MANY:
            await rig.add_user(name, groups=("many",), name="Same")
        query = "group=many&sort=name&order=down"
        first = await shown(browser, f"/users?{query}")
        link = re.search(r'href="/_auth/admin(/users\?[^"]*after=[^"]*)"', first)
        assert link
        second = await shown(browser, link[1].replace("&amp;", "&"))
        assert names(first) + names(second) == MANY[::-1]
