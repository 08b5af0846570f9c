"""Debian's Chromium through Playwright's async API; its sync API refuses to run inside a running loop."""

import os
import shutil
from collections.abc import AsyncIterator

import pytest
from playwright.async_api import Browser, async_playwright, expect

# On a busy machine a page may take its time; what never comes still fails.
expect.set_options(timeout=60_000)

ARGUMENTS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@pytest.fixture(scope="session")
def chromium() -> str:
    """Path of the browser. Skips where there is none, unless REQUIRE_SERVICES=1 says that there must be."""
    path = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    if path is not None:
        return path
    if os.environ.get("REQUIRE_SERVICES") == "1":
        pytest.fail("no chromium on the PATH, and REQUIRE_SERVICES=1")
    pytest.skip("no chromium on the PATH")


@pytest.fixture
async def browser(chromium: str) -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium, args=list(ARGUMENTS))
        yield browser
        await browser.close()
