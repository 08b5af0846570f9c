"""One sign-in for hosts of unrelated domains, in a real browser that finds all of them on loopback."""

from pathlib import Path

from aiohttp import web
from playwright.async_api import async_playwright, expect

from tests.domains_rig import CONFIG, PORTAL, SHOP, WIKI
from tests.e2e.conftest import ARGUMENTS
from tests.rig import PASSWORD, running_gateway


async def app(request: web.Request) -> web.Response:
    user = request.headers.get("Remote-User", "nobody")
    return web.Response(text=f"<h1>{request.host.partition(':')[0]}: {user}</h1>", content_type="text/html")


async def test_one_sign_in_opens_three_domains_and_one_sign_out_closes_them(
    tmp_path: Path, chromium: str
) -> None:
    names = f"MAP {PORTAL} 127.0.0.1,MAP *.other.org 127.0.0.1,MAP *.third.net 127.0.0.1"
    arguments = [*ARGUMENTS, f"--host-resolver-rules={names}"]
    async with running_gateway(tmp_path, handler=app, **CONFIG) as rig, async_playwright() as playwright:
        await rig.add_user()
        browser = await playwright.chromium.launch(executable_path=chromium, args=arguments)
        page = await browser.new_page()
        await page.goto(f"http://{WIKI}:{rig.port}/start?x=1")
        await expect(page.get_by_text("The Other", exact=True)).to_be_visible()
        assert page.url.startswith(f"http://{PORTAL}:")
        await page.get_by_label("Username").fill("alice")
        await page.get_by_label("Password").fill(PASSWORD)
        await page.get_by_role("button", name="Continue").click()
        await page.get_by_label("Code").fill(await rig.newest_code())
        await page.keyboard.press("Enter")
        await page.wait_for_url(f"http://{WIKI}:{rig.port}/start?x=1")
        await expect(page.get_by_role("heading")).to_have_text(f"{WIKI}: alice")
        await page.goto(f"http://{SHOP}:{rig.port}/cart")
        await expect(page.get_by_role("heading")).to_have_text(f"{SHOP}: alice")
        await page.goto(f"http://{SHOP}:{rig.port}/_auth/logout")
        await page.get_by_role("button", name="Sign out").click()
        await expect(page.get_by_role("heading", name="You’re signed out")).to_be_visible()
        for host in (WIKI, PORTAL):
            await page.goto(f"http://{host}:{rig.port}/")
            await expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
        await browser.close()
