"""The question for a passkey after a sign-in by SMS, in a browser: no keeps the way, yes adds one on it."""

from pathlib import Path

import pytest
from playwright.async_api import Browser, expect

from tests.e2e.test_second_factors import HERE, address, plug_in
from tests.rig import PASSWORD, running_gateway

WANTED = "/dash?x=1#/deep"


@pytest.mark.parametrize(("width", "adds"), [(390, True), (1280, False)])
async def test_who_is_asked_for_a_passkey_arrives_all_the_same(
    tmp_path: Path, browser: Browser, width: int, adds: bool
) -> None:
    async with running_gateway(tmp_path, server=HERE) as rig:
        await rig.add_user()
        page = await (await browser.new_context(viewport={"width": width, "height": 844})).new_page()
        await plug_in(page)
        await page.goto(address(rig) + WANTED)
        await page.get_by_label("Username").fill("alice")
        await page.get_by_label("Password").fill(PASSWORD)
        await page.get_by_role("button", name="Continue").click()
        await expect(page.get_by_label("Code")).to_be_visible()
        await page.get_by_label("Code").fill(await rig.newest_code())
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("heading", name="Sign in without codes")).to_be_visible()
        if adds:
            await page.get_by_role("link", name="Add a passkey").click()
            await page.get_by_role("button", name="Add it now").click()
            await page.get_by_role("link", name="I have saved them").click()
        else:
            await page.get_by_role("link", name="Not now").click()
        await page.wait_for_url(f"**{WANTED}")
