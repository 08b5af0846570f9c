"""Staying signed in, in a browser: on a telephone and a desk, with scripts and without."""

import time
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from aiohttp.test_utils import TestServer
from playwright.async_api import Browser, expect

from gateway.config.schema import Branding
from gateway.portal.rendering.render import Pages
from tests.e2e.test_sign_in_details import SIZES, app, give_password, opened
from tests.page_samples import application
from tests.rig import FakeClock, Rig, running_gateway

DAY = 86400.0


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def rig(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Rig]:
    budgets = {"budgets": {"ip_hourly": 500, "number_hourly": 500, "user_hourly": 500}}
    async with running_gateway(
        tmp_path_factory.mktemp("keep"),
        handler=app,
        clock=FakeClock(time.time()),
        sms=budgets,
        session={"keep_signed_in": "30d"},
    ) as one:
        await one.add_user()
        yield one


@pytest.mark.parametrize(("width", "scripts"), SIZES)
async def test_the_tick_makes_a_cookie_that_outlives_the_browser(
    rig: Rig, browser: Browser, width: int, scripts: bool
) -> None:
    page = await opened(browser, width, scripts=scripts)
    await page.goto(rig.url)
    box = page.get_by_role("checkbox", name="Keep me signed in for 30 days")
    await expect(box).not_to_be_checked()
    await expect(box).to_have_accessible_description(
        "No sign-in at all here until then, also after closing the browser. Only on a device of your own."
    )
    await box.check()
    await give_password(page)
    remember = page.get_by_role("checkbox", name="Don’t ask again on this device for 30 days")
    await expect(remember).to_have_accessible_description(
        "Skips this second step only: you still sign in first."
    )
    await page.get_by_label("Code").fill(await rig.newest_code())
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", name="Here")).to_be_visible()
    [cookie] = [one for one in await page.context.cookies() if one["name"] == "auth_session"]
    assert 29 * DAY < cookie["expires"] - time.time() < 31 * DAY


@pytest.mark.parametrize("scripts", [True, False])
async def test_other_ways_to_sign_in_take_the_tick_along(browser: Browser, scripts: bool) -> None:
    server = TestServer(application(Pages(Branding())))
    await server.start_server()
    try:
        page = await opened(browser, 390, scripts=scripts)
        await page.goto(str(server.make_url("/show/login-keep")))
        google = page.get_by_role("link", name="Sign in with Google", exact=True)
        stay = page.get_by_role("link", name="Sign in with Google and stay signed in")
        assert "keep" not in (await google.get_attribute("href") or "")
        if not scripts:
            await expect(stay).to_have_attribute("href", "/_auth/federated/google?rd=/&keep=k")
            return
        await expect(stay).to_have_count(0)
        box = page.get_by_role("checkbox", name="Keep me signed in")
        await box.check()
        for name in ("Sign in with Google", "Sign in with a passkey"):
            link = page.get_by_role("link", name=name, exact=True)
            assert "keep=k" in (await link.get_attribute("href") or "")
        await box.uncheck()
        assert "keep" not in (await google.get_attribute("href") or "")
    finally:
        await server.close()
