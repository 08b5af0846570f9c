"""Approval on another device in Chromium: two contexts are two devices; live with scripts, by buttons without."""

from pathlib import Path

from playwright.async_api import Browser, Page, expect

from tests.e2e.page_checks import complaints_of, violations
from tests.rig import PASSWORD, Rig, running_gateway


async def give_password(page: Page, rig: Rig) -> None:
    await page.goto(f"{rig.url}/dash")
    await page.get_by_label("Username").fill("alice")
    await page.get_by_label("Password").fill(PASSWORD)
    await page.get_by_role("button", name="Continue").click()
    await expect(page.get_by_label("Code")).to_be_visible()


async def sign_in(page: Page, rig: Rig) -> None:
    await give_password(page, rig)
    await page.get_by_label("Code").fill(await rig.newest_code())
    await page.get_by_role("button", name="Verify").click()
    await page.wait_for_url("**/dash")


async def number_on(page: Page) -> str:
    await page.get_by_role("button", name="Approve on another device").click()
    return await page.locator(".number").inner_text()


async def test_both_devices_follow_each_other_live(tmp_path: Path, browser: Browser) -> None:
    async with running_gateway(tmp_path) as rig:
        await rig.add_user()
        owner, asker = await browser.new_page(), await (await browser.new_context()).new_page()
        complaints = complaints_of(owner)
        await sign_in(owner, rig)
        complaints.clear()  # the app's favicon is not ours
        await owner.goto(f"{rig.url}/_auth/approve")
        await expect(owner.get_by_text("Nobody waits")).to_be_visible()
        await give_password(asker, rig)
        number = await number_on(asker)
        assert await violations(asker) == []
        await expect(owner.get_by_text("127.0.0.1")).to_be_visible()
        assert await violations(owner) == []
        await owner.get_by_label("Number on the other device").fill(number)
        await owner.get_by_role("button", name="Approve").click()
        await expect(owner.get_by_text("is being signed in")).to_be_visible()
        await asker.wait_for_url("**/dash")
        assert complaints == []


async def test_without_scripts_buttons_do_the_same(tmp_path: Path, browser: Browser) -> None:
    async with running_gateway(tmp_path) as rig:
        await rig.add_user()
        plain = [await browser.new_context(java_script_enabled=False) for _ in range(2)]
        owner, asker = [await context.new_page() for context in plain]
        await sign_in(owner, rig)
        await give_password(asker, rig)
        number = await number_on(asker)
        await owner.goto(f"{rig.url}/_auth/account")
        await owner.get_by_role("link", name="See who, and approve or refuse").click()
        await owner.get_by_label("Number on the other device").fill(number)
        await asker.get_by_role("button", name="Check again").click()
        await expect(asker.get_by_text("Nobody has answered yet.")).to_be_visible()
        await owner.get_by_role("button", name="Approve").click()
        await asker.get_by_role("button", name="Check again").click()
        await asker.wait_for_url("**/dash")


async def test_a_refusal_reaches_the_waiting_page(tmp_path: Path, browser: Browser) -> None:
    async with running_gateway(tmp_path) as rig:
        await rig.add_user()
        owner, asker = await browser.new_page(), await (await browser.new_context()).new_page()
        await sign_in(owner, rig)
        await give_password(asker, rig)
        await number_on(asker)
        await owner.goto(f"{rig.url}/_auth/approve")
        await owner.get_by_role("button", name="It is not me: refuse").click()
        await expect(asker.get_by_text("refused on the other device")).to_be_visible()
        await asker.goto(f"{rig.url}/dash")
        assert "/_auth/login" in asker.url
