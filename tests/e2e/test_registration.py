"""Making an account, in a browser: on a telephone and a desk, with scripts and without."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from playwright.async_api import Browser, expect

from tests.e2e.test_sign_in_details import app, opened
from tests.mailbox import Mailbox, link_in, running_mailbox
from tests.rig import Rig, running_gateway
from tests.waiting import until


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def rigged(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[Rig, Mailbox]]:
    async with (
        running_mailbox() as (mailbox, email),
        running_gateway(
            tmp_path_factory.mktemp("register"), handler=app, email=email, registration={"mode": "open"}
        ) as rig,
    ):
        yield rig, mailbox


@pytest.mark.parametrize(("width", "scripts"), [(390, False), (1280, True)])
async def test_somebody_new_arrives_at_the_app(
    rigged: tuple[Rig, Mailbox], browser: Browser, width: int, scripts: bool
) -> None:
    rig, mailbox = rigged
    before, codes = len(mailbox.mails), len(rig.codes)
    page = await opened(browser, width, scripts=scripts)
    await page.goto(rig.url + "/app/x")
    await page.get_by_role("link", name="Create an account").click()
    await page.get_by_label("E-mail address").fill(f"Mira{width}@Harbour.test")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", name="Check your e-mail")).to_be_visible()
    await until(lambda: len(mailbox.mails) > before, "the link is mailed")
    link = rig.url + link_in(mailbox.mails[-1][1])
    elsewhere = await opened(browser, width, scripts=scripts)
    await elsewhere.goto(link)
    await expect(elsewhere.get_by_role("heading", name="Open the link in the other browser")).to_be_visible()
    await page.goto(link)
    await page.get_by_label("Phone number, with country code").fill(f"+49 151 1234 {width:04d}")
    await page.keyboard.press("Enter")
    await expect(page.get_by_label("Code", exact=True)).to_be_visible()
    await until(lambda: len(rig.codes) > codes, "a code is sent")
    await page.get_by_label("Code", exact=True).fill(rig.codes[-1])
    await page.keyboard.press("Enter")
    await expect(page.get_by_label("Username")).to_have_value(f"mira{width}@harbour.test")
    await page.get_by_label("Your name").fill("Mira Lund")
    await page.get_by_label("Password").fill("short")
    await page.keyboard.press("Enter")
    await expect(page.get_by_text("There is a problem")).to_be_visible()
    await expect(page.get_by_label("Your name")).to_have_value("Mira Lund")
    await page.get_by_label("Password").fill("a quiet harbour at dawn")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", name="Save your recovery codes")).to_be_visible()
    await page.get_by_role("link", name="I have saved them").click()
    await page.wait_for_url(rig.url + "/app/x")
    await expect(page.get_by_role("heading", name="Here")).to_be_visible()
