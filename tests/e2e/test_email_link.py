"""Signing in by a mailed link, in a browser: on a telephone and a desk, with scripts and without."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from playwright.async_api import Browser, expect

from tests.e2e.test_sign_in_details import SIZES, app, opened
from tests.mailbox import Mailbox, link_in, running_mailbox
from tests.rig import Rig, running_gateway
from tests.waiting import until


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def rigged(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[Rig, Mailbox]]:
    budgets = {"budgets": {"ip_hourly": 500, "number_hourly": 500, "user_hourly": 500}}
    async with (
        running_mailbox() as (mailbox, email),
        running_gateway(
            tmp_path_factory.mktemp("link"),
            handler=app,
            sms=budgets,
            email=email,
            email_link={"enabled": True},
        ) as rig,
    ):
        await rig.add_user(email="alice@example.test")
        yield rig, mailbox


@pytest.mark.parametrize(("width", "scripts"), SIZES)
async def test_the_link_signs_in_the_browser_that_asked_and_tells_another_what_to_do(
    rigged: tuple[Rig, Mailbox], browser: Browser, width: int, scripts: bool
) -> None:
    rig, mailbox = rigged
    before = len(mailbox.mails)
    page = await opened(browser, width, scripts=scripts)
    await page.goto(rig.url + "/app/x")
    await page.get_by_role("link", name="Sign in with a link by e-mail").click()
    await page.get_by_label("Username or e-mail address").fill("alice@example.test")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", name="Check your e-mail")).to_be_visible()
    await until(lambda: len(mailbox.mails) > before, "the link is mailed")
    link = rig.url + link_in(mailbox.mails[-1][1])
    elsewhere = await opened(browser, width, scripts=scripts)
    await elsewhere.goto(link)
    await expect(elsewhere.get_by_role("heading", name="Open the link in the other browser")).to_be_visible()
    await page.goto(link)
    await expect(page.get_by_text("You sign in as alice.")).to_be_visible()
    await page.keyboard.press("Enter")
    await expect(page.get_by_label("Code")).to_be_visible()
    await page.get_by_label("Code").fill(await rig.newest_code())
    await page.keyboard.press("Enter")
    await page.wait_for_url(rig.url + "/app/x")
    await expect(page.get_by_role("heading", name="Here")).to_be_visible()
