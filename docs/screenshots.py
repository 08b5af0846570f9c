"""Renders every page with sample data through Chromium into docs/screenshots/: light, dark and on a phone.

Run `python docs/screenshots.py`; it needs Playwright (dev extra) and a `chromium` on the PATH.
"""

import asyncio
import os
import shutil
import sys
from pathlib import Path

from aiohttp import web
from playwright.async_api import Browser, async_playwright

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from gateway.config.schema import Branding
from gateway.portal.render import Pages

FOLDER = Path(__file__).parent / "screenshots"
DESKTOP, PHONE = (960, 760), (390, 780)
VERIFY = {
    "csrf_token": "t",
    "rd": "/",
    "factor": "sms",
    "masked": "+49•••••678",
    "code_length": 6,
    "can_remember": True,
    "remember_days": 30,
    "others": [("totp", "Authenticator app"), ("recovery", "Recovery code")],
    "resend_after": 0,
    "send_failed": False,
}
LOGIN = {"csrf_token": "t", "rd": "/", "username": ""}
SAMPLES: dict[str, tuple[str, dict[str, object]]] = {
    "login": ("login.html", LOGIN),
    "login-error": ("login.html", LOGIN | {"username": "mira", "error": "Wrong username or password."}),
    "verify": ("verify.html", VERIFY),
    "verify-error": (
        "verify.html",
        VERIFY | {"error": "That code is not right. 3 tries left.", "resend_after": 25, "can_remember": False},
    ),
    "verify-send-failed": ("verify.html", VERIFY | {"send_failed": True}),
    "verify-recovery": ("verify.html", VERIFY | {"factor": "recovery", "others": [("sms", "Code by SMS")]}),
    "logout": ("logout.html", {"csrf_token": "t", "done": False}),
    "logout-done": ("logout.html", {"csrf_token": "", "done": True}),
}
ERRORS: dict[str, dict[str, object]] = {
    "error-403": {"status": 403, "reason": "group_required", "actions": [("Use another account", "/_auth/logout")]},
    "error-404": {"status": 404},
    "error-429": {"status": 429, "retry_after": 540, "reason": "too_many_codes"},
    "error-502": {"status": 502, "actions": [("Try again", "/"), ("Sign out", "/_auth/logout")]},
}


def application(pages: Pages) -> web.Application:
    async def show(request: web.Request) -> web.Response:
        name = request.match_info["name"]
        if name in SAMPLES:
            template, context = SAMPLES[name]
            return pages.render(template, request_id="01JD7Q4ZK3", **context)
        sample = ERRORS[name]
        return pages.error(request_id="01JD7Q4ZK3", **sample)  # type: ignore[arg-type]  # mixed sample data

    app = web.Application()
    app.add_routes([*pages.static_routes(), web.get("/show/{name}", show)])
    return app


async def shoot(browser: Browser, base: str, suffix: str, size: tuple[int, int], scheme: str) -> None:
    context = await browser.new_context(
        viewport={"width": size[0], "height": size[1]},
        color_scheme=scheme,  # type: ignore[arg-type]  # a literal type of Playwright's
    )
    page = await context.new_page()
    for name in (*SAMPLES, *ERRORS):
        await page.goto(f"{base}/show/{name}")
        await page.screenshot(path=FOLDER / f"{name}{suffix}.png", full_page=True)
    await context.close()


async def main() -> None:
    pages = Pages(Branding(name="Harbour Labs", support="Trouble signing in? help@harbour.example"))
    runner = web.AppRunner(application(pages))
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    FOLDER.mkdir(exist_ok=True)
    async with async_playwright() as playwright:
        path = os.environ.get("CHROMIUM") or shutil.which("chromium")
        browser = await playwright.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])
        await shoot(browser, f"http://{host}:{port}", "", DESKTOP, "light")
        await shoot(browser, f"http://{host}:{port}", "-dark", DESKTOP, "dark")
        await shoot(browser, f"http://{host}:{port}", "-phone", PHONE, "light")
        await browser.close()
    await runner.cleanup()


if __name__ == "__main__":
    asyncio.run(main())
