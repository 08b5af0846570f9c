"""Signing in with a real browser through the proxies that we export configurations for."""

from pathlib import Path

import pytest
from playwright.async_api import Browser, expect

from tests.e2e.test_sign_in import app, give_code, give_password
from tests.integration.engines import ENGINES, behind


@pytest.mark.parametrize("engine", ENGINES)
async def test_a_person_signs_in_and_uses_the_app_behind_an_engine(
    engine: str, tmp_path: Path, browser: Browser
) -> None:
    async with behind(engine, tmp_path, handler=app) as rig:
        await rig.add_user()
        page = await (await browser.new_context()).new_page()
        await give_password(page, rig)
        await give_code(page, rig)
        await expect(page.get_by_role("heading", name="Hello alice")).to_be_visible()
        await expect(page.locator("#ws")).to_have_text("echo hi")
        await expect(page.locator("#sse")).to_have_text("tick")
        await page.reload()
        await expect(page.get_by_role("heading", name="Hello alice")).to_be_visible()
        assert page.url == f"{rig.url}/dash?tab=2"
