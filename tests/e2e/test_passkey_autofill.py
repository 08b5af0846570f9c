"""Passkeys among the names that a browser fills in, on the sign-in page itself."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from aiohttp import web
from playwright.async_api import Browser, expect

from tests.e2e.test_second_factors import HERE, address, enrol_key, plug_in
from tests.rig import Rig, running_gateway


async def app(request: web.Request) -> web.StreamResponse:
    return web.Response(text=f"<title>app</title><h1>{request.path}</h1>", content_type="text/html")


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def rig(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Rig]:
    async with running_gateway(tmp_path_factory.mktemp("autofill"), handler=app, server=HERE) as one:
        await one.add_user(phone="")
        yield one


async def test_the_sign_in_page_takes_a_passkey_that_the_browser_fills_in(rig: Rig, browser: Browser) -> None:
    page = await (await browser.new_context(viewport={"width": 390, "height": 844})).new_page()
    await plug_in(page, autofill=True)
    await enrol_key(page, rig)
    await page.context.clear_cookies()
    await page.goto(address(rig) + "/dash?x=1#/deep")
    await page.wait_for_url("**/dash?x=1#/deep")
    await expect(page.get_by_role("heading", name="/dash")).to_be_visible()


async def test_without_a_passkey_the_sign_in_page_is_as_ever(rig: Rig, browser: Browser) -> None:
    page = await (await browser.new_context(viewport={"width": 1280, "height": 844})).new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    async with page.expect_response("**/_auth/passkey/options") as asked:
        await page.goto(address(rig) + "/dash")
    assert (await asked.value).status == 200
    await expect(page.get_by_label("Username")).to_have_attribute("autocomplete", "username webauthn")
    await expect(page.get_by_label("Username")).to_be_visible()
    assert errors == []
