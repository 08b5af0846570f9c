"""The page of a user's apps by keyboard, and without scripts."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from aiohttp import web
from playwright.async_api import Browser, Page, expect

from tests.rig import PASSWORD, Rig, running_gateway

NAMES = ("Tides", "Wiki", "Öffnungen")


async def app(request: web.Request) -> web.StreamResponse:
    return web.Response(text=f"<title>app</title><h1>{request.path}</h1>", content_type="text/html")


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def rig(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Rig]:
    routes = [
        {
            "host": "*",
            "path": f"/{number}",
            "upstream": "UPSTREAM",
            "policy": {"require": "one_factor"},
            "app": {"name": name},
        }
        for number, name in enumerate(NAMES)
    ]
    async with running_gateway(tmp_path_factory.mktemp("apps"), handler=app, routes=routes) as one:
        await one.add_user()
        yield one


async def opened(rig: Rig, browser: Browser, *, width: int, scripts: bool) -> Page:
    """The page of apps after a sign-in, as somebody comes who has typed the portal's address."""
    size = {"width": width, "height": 844}
    context = await browser.new_context(viewport=size, java_script_enabled=scripts)
    page = await context.new_page()
    await page.goto(rig.url)
    await page.get_by_label("Username").fill("alice")
    await page.get_by_label("Password").fill(PASSWORD)
    await page.get_by_role("button", name="Continue").click()
    await expect(page.get_by_role("heading", name="Your apps")).to_be_visible()
    return page


async def test_apps_are_searched_and_opened_by_keyboard_alone(rig: Rig, browser: Browser) -> None:
    page = await opened(rig, browser, width=1280, scripts=True)
    await page.keyboard.press("/")
    await expect(page.get_by_label("Search your apps")).to_be_focused()
    await page.keyboard.type("off")  # without its accent
    await expect(page.locator(".app:visible")).to_have_text(["Öffnungen"])
    await page.keyboard.press("Escape")
    await expect(page.locator(".app:visible")).to_have_count(len(NAMES))
    await page.keyboard.type("nothing like it")
    await expect(page.get_by_role("status")).to_have_text("No app is called that.")
    await page.keyboard.press("Escape")
    await page.keyboard.press("ArrowDown")
    await expect(page.get_by_role("link", name="Tides")).to_be_focused()
    await page.keyboard.press("ArrowRight")
    await expect(page.get_by_role("link", name="Wiki")).to_be_focused()
    await page.keyboard.press("Enter")
    await page.wait_for_url(rig.url + "/1")


@pytest.mark.parametrize(("width", "scripts"), [(390, False), (1280, True)])
async def test_a_pinned_app_comes_first_also_without_scripts(
    rig: Rig, browser: Browser, width: int, scripts: bool
) -> None:
    page = await opened(rig, browser, width=width, scripts=scripts)
    names = page.locator(".app-name")
    await expect(names).to_have_text(list(NAMES))
    await expect(page.get_by_role("search")).to_be_visible(visible=scripts)
    await page.get_by_role("button", name="Pin Wiki", pressed=False).click()
    await expect(names).to_have_text(["Wiki", "Tides", "Öffnungen"])
    await page.get_by_role("button", name="Pin Wiki", pressed=True).click()
    await expect(names).to_have_text(list(NAMES))
    await page.get_by_role("link", name="Tides").click()
    await page.wait_for_url(rig.url + "/0")


async def test_who_does_not_want_to_sign_in_gets_back(rig: Rig, browser: Browser) -> None:
    page = await (await browser.new_context()).new_page()
    await page.route(
        "http://elsewhere.test/",
        lambda route: route.fulfill(body=f'<a href="{rig.url}/1">w</a>', content_type="text/html"),
    )
    await page.goto("http://elsewhere.test/")
    await page.get_by_role("link").click()
    await expect(page.get_by_text("Sign in to open Wiki.")).to_be_visible()
    await page.get_by_role("link", name="Back without signing in").click()
    await page.wait_for_url("http://elsewhere.test/")
