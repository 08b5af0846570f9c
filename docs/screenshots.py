"""Photographs the pages with sample data in Chromium into docs/screenshots/: light, dark and on a phone.

Run `python docs/screenshots.py`; it needs Playwright (dev extra), a `chromium` on the PATH and fonts for all
languages (the footer has their names).
"""

import asyncio
import os
import shutil
import sys
from pathlib import Path

from aiohttp import web
from playwright.async_api import Browser, async_playwright

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from gateway.config.schema import Branding  # noqa: E402  # the path above comes first
from gateway.portal.rendering.render import Pages  # noqa: E402
from tests.page_samples import application  # noqa: E402

BRANDING = Branding(name="Harbour Labs", support="Trouble signing in? help@harbour.example")
DESKTOP, PHONE, WIDE = (800, 640), (390, 760), (1240, 800)
SHOTS = (
    ("", WIDE, "light", ("admin", "admin-user", "admin-routes")),
    ("-dark", WIDE, "dark", ("admin", "admin-audit")),
    ("", DESKTOP, "light", ("login", "verify", "verify-send-failed", "logout", "error-403", "error-502")),
    ("", DESKTOP, "light", ("enrol", "enrol-totp", "recovery-codes", "passkey", "account")),
    ("-dark", DESKTOP, "dark", ("login", "login-error", "verify", "error-429", "account")),
    ("-phone", PHONE, "light", ("login", "verify-error", "error-404", "account", "admin-user")),
)


async def shoot(browser: Browser, base: str) -> None:
    for suffix, (width, height), scheme, names in SHOTS:
        page = await browser.new_page(viewport={"width": width, "height": height})
        await page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
        for name in names:
            await page.goto(f"{base}/show/{name}")
            await page.screenshot(path=HERE / "screenshots" / f"{name}{suffix}.png", full_page=True)
        await page.close()


async def main() -> None:
    runner = web.AppRunner(application(Pages(BRANDING)))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    async with async_playwright() as playwright:
        path = os.environ.get("CHROMIUM") or shutil.which("chromium")
        browser = await playwright.chromium.launch(
            executable_path=path, args=["--no-sandbox", "--disable-gpu"]
        )
        await shoot(browser, f"http://{host}:{port}")
        await browser.close()
    await runner.cleanup()


if __name__ == "__main__":
    asyncio.run(main())
