"""Details of the sign-in that only a browser shows, on a telephone and a desk, with scripts and without."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from aiohttp import web
from playwright.async_api import Browser, Page, expect

from tests.rig import PASSWORD, Rig, running_gateway

SIZES = [(390, True), (390, False), (1280, True), (1280, False)]
PAGE = "/app/x?y=1#/deep?z=2"


async def app(request: web.Request) -> web.Response:
    page = "<title>app</title><h1>Here</h1><a download href=/report.html>Report</a>"
    return web.Response(text=page, content_type="text/html")


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def rig(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Rig]:
    budgets = {"budgets": {"ip_hourly": 500, "number_hourly": 500, "user_hourly": 500}}
    folder, server = tmp_path_factory.mktemp("details"), {"public_url": "http://localhost:PORT"}
    async with running_gateway(
        folder, handler=app, sms=budgets, server=server, webauthn={"nudge": "0s"}
    ) as one:
        one.url = one.config.server.public_url  # an address is no relying party of passkeys
        await one.add_user()
        yield one


async def opened(browser: Browser, width: int, *, scripts: bool) -> Page:
    size = {"width": width, "height": 844}
    context = await browser.new_context(viewport=size, java_script_enabled=scripts)
    return await context.new_page()


async def give_password(page: Page) -> None:
    await page.get_by_label("Username").fill("alice ")
    await page.get_by_label("Password").fill(PASSWORD)
    await page.get_by_role("button", name="Continue").click()
    await expect(page.get_by_label("Code")).to_be_visible()


@pytest.mark.parametrize(("width", "scripts"), SIZES)
async def test_the_part_behind_the_hash_survives_the_sign_in(
    rig: Rig, browser: Browser, width: int, scripts: bool
) -> None:
    page = await opened(browser, width, scripts=scripts)
    await page.goto(rig.url + PAGE)
    await page.get_by_label("Username").fill("alice")
    await page.get_by_label("Password").fill("wrong")
    await page.get_by_role("button", name="Continue").click()
    await expect(page.get_by_role("alert")).to_be_visible()
    await give_password(page)
    await page.get_by_label("Code").fill(f"{await rig.newest_code()} is your code.")
    await page.keyboard.press("Enter")
    await page.wait_for_url(rig.url + PAGE)
    await expect(page.get_by_role("heading", name="Here")).to_be_visible()


async def test_a_tab_that_waits_keeps_its_own_part_behind_the_hash(rig: Rig, browser: Browser) -> None:
    first = await opened(browser, 1280, scripts=True)
    second = await first.context.new_page()
    await second.goto(rig.url + "/two#second")
    await first.goto(rig.url + "/one#first")
    await give_password(first)
    await expect(second.get_by_label("Code")).to_be_visible()
    await first.get_by_label("Code").fill(await rig.newest_code())
    await first.keyboard.press("Enter")
    await first.wait_for_url(rig.url + "/one#first")
    await second.wait_for_url(rig.url + "/two#second")


async def test_other_ways_to_sign_in_keep_it_too(rig: Rig, browser: Browser) -> None:
    page = await opened(browser, 390, scripts=True)
    await page.goto(rig.url + PAGE)
    await page.get_by_role("link", name="Sign in with a passkey").click()
    await page.get_by_role("link", name="Use your password").click()
    await give_password(page)
    await page.get_by_label("Code").fill(await rig.newest_code())
    await page.keyboard.press("Enter")
    await page.wait_for_url(rig.url + PAGE)


@pytest.mark.parametrize("scripts", [True, False])
async def test_a_download_after_the_session_has_ended_is_no_json(
    rig: Rig, browser: Browser, scripts: bool
) -> None:
    page = await opened(browser, 390, scripts=scripts)
    await page.goto(rig.url + "/files")
    await give_password(page)
    await page.get_by_label("Code").fill(await rig.newest_code())
    await page.keyboard.press("Enter")
    await page.wait_for_url(rig.url + "/files")
    await page.context.clear_cookies()
    async with page.expect_download() as waiting:
        await page.get_by_role("link", name="Report").click()
    download = await waiting.value
    saved = (await download.path()).read_text()
    assert "sign_in_required" not in saved
    assert "<h1>Sign in</h1>" in saved
