"""Recovery codes are copied, downloaded and printed; downloading needs no script."""

from collections.abc import Awaitable, Callable

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from playwright.async_api import Browser, expect

from tests.e2e.test_pages import pages
from tests.page_samples import CODES, application

ServerFor = Callable[[web.Application], Awaitable[TestServer]]


@pytest.mark.parametrize(("width", "scripts"), [(390, True), (1280, False)])
async def test_recovery_codes_are_downloaded_with_and_without_scripts(
    aiohttp_server: ServerFor, browser: Browser, width: int, scripts: bool
) -> None:
    server = await aiohttp_server(application(pages()))
    size = {"width": width, "height": 844}
    page = await (await browser.new_context(viewport=size, java_script_enabled=scripts)).new_page()
    await page.goto(str(server.make_url("/show/recovery-codes")))
    async with page.expect_download() as waiting:
        await page.get_by_role("link", name="Download").click()
    download = await waiting.value
    assert download.suggested_filename == "recovery-codes.txt"
    assert (await download.path()).read_text().split() == ["Harbour", "Labs", *CODES]
    await expect(page.get_by_role("button", name="Copy")).to_be_visible(visible=scripts)
    await expect(page.get_by_role("button", name="Print")).to_be_visible(visible=scripts)


async def test_recovery_codes_are_copied_and_the_paper_shows_nothing_to_press(
    aiohttp_server: ServerFor, browser: Browser
) -> None:
    server = await aiohttp_server(application(pages()))
    context = await browser.new_context(permissions=["clipboard-read", "clipboard-write"])
    page = await context.new_page()
    await page.goto(str(server.make_url("/show/recovery-codes")))
    await page.get_by_role("button", name="Copy").click()
    await expect(page.get_by_role("status")).to_have_text("Copied")
    assert (await page.evaluate("navigator.clipboard.readText()")).split() == CODES
    await page.emulate_media(media="print")
    await expect(page.get_by_text(CODES[0])).to_be_visible()
    await expect(page.get_by_role("link", name="Download")).to_be_hidden()
    await expect(page.get_by_role("link", name="I have saved them")).to_be_hidden()
