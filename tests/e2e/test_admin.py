"""Chromium walks through the admin console, with an authenticator app as the second factor."""

from pathlib import Path

import pyotp
from playwright.async_api import Browser, Page, expect

from tests.e2e.page_checks import complaints_of, violations
from tests.e2e.test_sign_in import give_code, give_password
from tests.rig import PASSWORD, Rig, running_gateway

ADMIN = "/_auth/admin"


async def sign_in_with_app(page: Page, rig: Rig) -> None:
    """The first sign-in adds the app, which counts at once."""
    await page.goto(rig.url + ADMIN)
    await page.get_by_label("Username").fill("root")
    await page.get_by_label("Password").fill(PASSWORD)
    await page.get_by_role("button", name="Continue").click()
    await page.get_by_role("link", name="Authenticator app").click()
    secret = (await page.locator("code").first.inner_text()).replace(" ", "")
    await page.get_by_label("Code").fill(pyotp.TOTP(secret).at(int(rig.clock())))
    await page.get_by_role("button", name="Confirm").click()
    await page.get_by_role("link", name="I have saved them").click()
    await expect(page.get_by_role("heading", name="Overview")).to_be_visible()


async def test_an_administrator_works_in_the_console(tmp_path: Path, browser: Browser) -> None:
    async with running_gateway(tmp_path) as rig:
        await rig.add_user("root", phone="", groups=("admins",))
        await rig.add_user("alice")
        page = await browser.new_page()
        complaints = complaints_of(page)
        await sign_in_with_app(page, rig)
        menu = page.get_by_role("navigation", name="Administration")

        await menu.get_by_role("link", name="Users").click()
        await page.get_by_label("Username", exact=True).fill("nora")
        await page.get_by_label("Groups", exact=True).fill("staff")
        await page.get_by_role("button", name="Invite").click()
        link = await page.get_by_label("Link", exact=True).input_value()
        assert "/_auth/invite?token=" in link
        assert await violations(page) == []
        guest = await (await browser.new_context()).new_page()
        await guest.goto(link)
        await expect(guest.get_by_role("heading", name="Welcome")).to_be_visible()

        await menu.get_by_role("link", name="Users").click()
        await page.get_by_label("Username", exact=True).fill("max")
        await page.get_by_label("Password").fill(PASSWORD)
        await page.get_by_role("button", name="Add", exact=True).click()
        await expect(page.get_by_role("status")).to_contain_text("The user is added.")
        await page.get_by_label("Name", exact=True).fill("Max M")
        await page.get_by_role("button", name="Save").click()
        await expect(page.get_by_role("heading", name="Max M")).to_be_visible()

        # A session ends in another browser as soon as it is revoked here.
        other = await (await browser.new_context()).new_page()
        await give_password(other, rig)
        await give_code(other, rig)
        await other.wait_for_url("**/dash?tab=2")
        await menu.get_by_role("link", name="Sessions").click()
        row = page.get_by_role("row").filter(has_text="alice")
        await row.get_by_role("button", name="Sign out").click()
        await expect(page.get_by_role("status")).to_contain_text("Signed out there.")
        await other.goto(rig.url + "/dash")
        await expect(other.get_by_role("heading", name="Sign in")).to_be_visible()

        await page.goto(f"{rig.url}{ADMIN}/user?name=alice")
        await page.get_by_role("button", name="Disable").click()
        await expect(page.get_by_role("button", name="Enable")).to_be_visible()

        await rig.gateway.services.audit.flush()
        await menu.get_by_role("link", name="Changes").click()
        await expect(page.get_by_role("table").filter(has_text="Max M")).to_be_visible()
        await menu.get_by_role("link", name="Audit log").click()
        await page.get_by_label("Event", exact=True).fill("user_disabled")
        await page.get_by_role("button", name="Search").click()
        rows = page.get_by_role("table").get_by_role("row")
        await expect(rows).to_have_count(2)
        async with page.expect_download() as download:
            await page.get_by_role("link", name="Export CSV").click()
        text = (await (await download.value).path()).read_text()
        assert len(text.splitlines()) == 2
        assert "user_disabled,alice" in text

        await menu.get_by_role("link", name="Routes").click()
        await page.get_by_label("Address", exact=True).fill(rig.url + "/x")
        await page.get_by_label("User", exact=True).fill("max")
        await page.get_by_role("button", name="Explain").click()
        await expect(page.get_by_role("status")).to_contain_text("allow")
        await menu.get_by_role("link", name="Overview").click()
        await expect(page.get_by_role("img", name="Sign-ins of the last 24 hours")).to_be_visible()
        assert [text for text in complaints if "Content Security Policy" in text] == []


async def test_without_javascript_a_deletion_is_confirmed(tmp_path: Path, browser: Browser) -> None:
    async with running_gateway(tmp_path) as rig:
        await rig.add_user("root", phone="", groups=("admins",))
        await rig.add_user("alice")
        page = await (await browser.new_context(java_script_enabled=False)).new_page()
        await sign_in_with_app(page, rig)
        await page.goto(f"{rig.url}{ADMIN}/user?name=alice")
        await page.get_by_text("Delete this user").click()
        await page.get_by_label("Username, to confirm").fill("bob")
        await page.get_by_role("button", name="Delete for ever").click()
        await expect(page.get_by_role("alert")).to_contain_text("Type the username")
        await page.get_by_text("Delete this user").click()
        await page.get_by_label("Username, to confirm").fill("alice")
        await page.get_by_role("button", name="Delete for ever").click()
        await expect(page.get_by_role("status")).to_contain_text("The user is deleted.")
        assert await rig.directory.get("alice") is None
