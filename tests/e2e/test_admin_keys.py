"""The console by keyboard alone and on a phone: shortcuts that can be turned off, lists and charts that fit."""

from pathlib import Path

from playwright.async_api import Browser, expect

from tests.e2e.page_checks import complaints_of, violations
from tests.e2e.test_admin import ADMIN, sign_in_with_app
from tests.rig import running_gateway

OVERFLOW = "document.documentElement.scrollWidth - document.documentElement.clientWidth"


async def test_shortcuts_lead_to_pages_and_stay_out_of_fields(tmp_path: Path, browser: Browser) -> None:
    async with running_gateway(tmp_path) as rig:
        await rig.add_user("root", phone="", groups=("admins",))
        page = await browser.new_page()
        complaints = complaints_of(page)
        await sign_in_with_app(page, rig)
        await page.keyboard.press("g")
        await page.keyboard.press("u")
        await expect(page.get_by_role("heading", name="Users", exact=True)).to_be_visible()
        await page.keyboard.press("/")
        search = page.get_by_role("searchbox")
        await expect(search).to_be_focused()
        await page.keyboard.type("gr?/")
        await expect(search).to_have_value("gr?/")
        await search.blur()
        await page.keyboard.press("?")
        dialog = page.get_by_role("dialog", name="Keyboard shortcuts")
        await expect(dialog).to_be_visible()
        assert await violations(page) == []
        await dialog.get_by_label("Shortcuts are on in this browser").uncheck()
        await page.keyboard.press("Escape")
        await expect(dialog).to_be_hidden()
        await page.reload()
        await page.keyboard.press("/")
        await page.keyboard.press("?")
        await expect(search).not_to_be_focused()
        await expect(dialog).to_be_hidden()
        await page.get_by_role("button", name="Keyboard shortcuts").click()
        await expect(dialog).to_be_visible()
        assert complaints == []


async def test_lists_charts_and_acts_on_many_fit_a_phone(tmp_path: Path, browser: Browser) -> None:
    async with running_gateway(tmp_path) as rig:
        await rig.add_user("root", phone="", groups=("admins",))
        await rig.add_user("alice")
        page = await browser.new_page(viewport={"width": 390, "height": 800})
        await sign_in_with_app(page, rig)
        await rig.gateway.services.audit.flush()
        for path in ("", "/users?state=enabled", "/users/import", "/routes", "/sms", "/audit"):
            await page.goto(f"{rig.url}{ADMIN}{path}")
            assert await page.evaluate(OVERFLOW) == 0, path
            assert await violations(page) == [], path
        await page.goto(rig.url + ADMIN)
        chart = page.locator("svg.chart.narrow").first
        box = await chart.bounding_box()
        assert box
        assert box["width"] <= 390
        await page.goto(f"{rig.url}{ADMIN}/users")
        await page.get_by_label("Choose: alice").check()
        await page.get_by_label("What").select_option("disable")
        await page.get_by_role("button", name="Preview").click()
        await page.get_by_label("Number of users, to confirm").fill("1")
        assert await violations(page) == []
        await page.get_by_role("button", name="Disable").click()
        await expect(page.get_by_role("status")).to_contain_text("1 user was changed")
        await page.get_by_role("button", name="Undo").click()
        await expect(page.get_by_role("status")).to_contain_text("1 user was changed")
        alice = await rig.directory.get("alice")
        assert alice
        assert not alice.disabled
