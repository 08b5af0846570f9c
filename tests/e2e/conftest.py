"""Debian's Chromium through Playwright's async API; its sync API refuses to run inside a running loop."""

import os
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
import pytest_asyncio
from aiohttp import web
from aiohttp.test_utils import TestServer
from playwright.async_api import Browser, async_playwright, expect

# On a busy machine a page may take its time; what never comes still fails.
expect.set_options(timeout=60_000)

PROGRAMS = ("chromium-headless-shell", "chromium", "chromium-browser")
"""The first one draws no window around a page, which is half of what Chromium has to do in a test."""
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
    return _found(*PROGRAMS)


@pytest.fixture(scope="session")
def whole_chromium() -> str:
    """Path of the browser with all that it can do: the headless shell keeps no keys for sessions."""
    return _found(*PROGRAMS[1:])


def _found(*programs: str) -> str:
    path = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, programs)), None)
    if path is not None:
        return path
    if os.environ.get("REQUIRE_SERVICES") == "1":
        pytest.fail("no chromium on the PATH, and REQUIRE_SERVICES=1")
    pytest.skip("no chromium on the PATH")


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def one_chromium(chromium: str) -> AsyncIterator[Browser]:
    """Started once: that takes longer than most tests."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium, args=list(ARGUMENTS))
        yield browser
        await browser.close()


@pytest_asyncio.fixture(loop_scope="session")
async def browser(one_chromium: Browser) -> AsyncIterator[Browser]:
    """A browser that knows nothing yet: what one test leaves behind stays in its contexts, which are closed."""
    yield one_chromium
    for context in one_chromium.contexts:
        await context.close()


@pytest_asyncio.fixture(loop_scope="session")
async def aiohttp_server() -> AsyncIterator[Callable[[web.Application], Awaitable[TestServer]]]:
    """The fixture of that name, with its servers started and ended in the browser's event loop."""
    servers: list[TestServer] = []

    async def start(app: web.Application) -> TestServer:
        servers.append(TestServer(app))
        await servers[-1].start_server()
        return servers[-1]

    yield start
    for server in servers:
        await server.close()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The browser lives in one event loop, so its tests run there."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent) and pytest_asyncio.is_async_test(item):
            item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)
