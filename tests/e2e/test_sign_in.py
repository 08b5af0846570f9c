"""The whole way in a real browser: stranger, password, code, app, sign-out; without JavaScript too."""

from pathlib import Path

import pytest
from aiohttp import web
from playwright.async_api import Browser, Page, expect

from tests.rig import PASSWORD, Rig, running_gateway


async def app(request: web.Request) -> web.StreamResponse:
    """A small app as people have: a page, a form, a script that fetches, a WebSocket and server-sent events."""
    if request.path == "/ws":
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        async for message in socket:
            await socket.send_str(f"echo {message.data}")
        return socket
    if request.path == "/events":
        stream = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await stream.prepare(request)
        await stream.write(b"data: tick\n\n")
        await stream.write_eof()
        return stream
    if request.path == "/app.js":
        script = (
            "new WebSocket(`ws://${location.host}/ws`).onopen = e => {"
            " e.target.onmessage = m => document.getElementById('ws').textContent = m.data; e.target.send('hi'); };"
            "new EventSource('/events').onmessage = m => document.getElementById('sse').textContent = m.data;"
        )
        return web.Response(text=script, content_type="text/javascript")
    user = request.headers.get("Remote-User", "nobody")
    page = f"<h1>Hello {user}</h1><p id=ws></p><p id=sse></p><script src=/app.js></script>"
    return web.Response(text=page, content_type="text/html")


async def give_password(page: Page, rig: Rig, path: str = "/dash?tab=2") -> None:
    await page.goto(rig.url + path)
    await page.get_by_label("Username").fill("alice")
    await page.get_by_label("Password").fill(PASSWORD)
    await page.get_by_role("button", name="Continue").click()
    await expect(page.get_by_role("heading", name="Check your phone")).to_be_visible()


async def give_code(page: Page, rig: Rig) -> None:
    """As people do who press Enter after the last digit, though the page has sent it by then."""
    await page.get_by_label("Code").fill(await rig.newest_code())
    await page.keyboard.press("Enter")


@pytest.mark.parametrize("javascript", [True, False])
async def test_a_person_signs_in_uses_the_app_and_signs_out(
    tmp_path: Path, browser: Browser, javascript: bool
) -> None:
    async with running_gateway(tmp_path, handler=app) as rig:
        await rig.add_user()
        context = await browser.new_context(java_script_enabled=javascript)
        page = await context.new_page()
        await give_password(page, rig)
        await give_code(page, rig)
        await page.wait_for_url(rig.url + "/dash?tab=2")
        await expect(page.get_by_role("heading", name="Hello alice")).to_be_visible()
        if javascript:
            await expect(page.locator("#ws")).to_have_text("echo hi")
            await expect(page.locator("#sse")).to_have_text("tick")
        await page.goto(rig.url + "/_auth/logout")
        await page.get_by_role("button", name="Sign out").click()
        await expect(page.get_by_role("heading", name="You’re signed out")).to_be_visible()
        await page.goto(rig.url + "/dash")
        await expect(page.get_by_role("heading", name="Sign in")).to_be_visible()


async def test_mistakes_are_told_and_can_be_mended(tmp_path: Path, browser: Browser) -> None:
    async with running_gateway(tmp_path, handler=app) as rig:
        await rig.add_user()
        page = await browser.new_page()
        await page.goto(rig.url + "/")
        await page.get_by_label("Username").fill("alice")
        await page.get_by_label("Password").fill("not the password")
        await page.get_by_role("button", name="Continue").click()
        await expect(page.get_by_role("alert")).to_contain_text("Wrong username or password.")
        await expect(page.get_by_label("Username")).to_have_value("alice")
        await page.get_by_label("Password").fill(PASSWORD)
        await page.get_by_role("button", name="Continue").click()
        await expect(page.get_by_label("Code")).to_be_visible()
        good = await rig.newest_code()
        await page.get_by_label("Code").fill(f"{(int(good) + 1) % 1_000_000:06d}")
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("alert")).to_contain_text("not right")
        await page.get_by_label("Code").fill(good)
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("heading", name="Hello alice")).to_be_visible()


@pytest.mark.parametrize("scripts", [True, False])
async def test_two_tabs_that_sign_in_at_once_both_arrive(
    tmp_path: Path, browser: Browser, scripts: bool
) -> None:
    async with running_gateway(tmp_path, handler=app) as rig:
        await rig.add_user()
        context = await browser.new_context(java_script_enabled=scripts)
        first, second = await context.new_page(), await context.new_page()
        await first.goto(rig.url + "/one")
        await second.goto(rig.url + "/two")
        await give_password(first, rig, "/one")
        await give_code(first, rig)
        await first.wait_for_url(rig.url + "/one")
        if not scripts:  # else the tab that waits goes on by itself
            await second.get_by_label("Username").fill("alice")
            await second.get_by_label("Password").fill(PASSWORD)
            await second.get_by_role("button", name="Continue").click()
        await second.wait_for_url(rig.url + "/two")
