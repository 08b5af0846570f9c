"""Signing in again without losing anything, in a real browser."""

import html
from pathlib import Path

import pytest
from aiohttp import web
from playwright.async_api import Browser, Page, expect

from tests.rig import PASSWORD, Rig, running_gateway

WANTED = [f"/page{number}?tab={number}" for number in range(5)]


async def app(request: web.Request) -> web.Response:
    if request.path == "/form":
        form = "<form method=post action='/save?x=1' enctype=multipart/form-data>"
        fields = "<input name=title value='Ünchanged &amp; whole'><input type=file name=f><button>Save</button></form>"
        return web.Response(
            text=f"<!doctype html><meta charset=utf-8>{form}{fields}", content_type="text/html"
        )
    if request.path == "/save":
        fields = await request.post()
        upload = fields["f"]
        assert isinstance(upload, web.FileField)
        got = f"{request.method} {request.path_qs} {fields['title']} {upload.filename} {upload.file.read()!r}"
        return web.Response(text=f"<meta charset=utf-8><h1>{html.escape(got)}</h1>", content_type="text/html")
    return web.Response(text=f"<title>app</title><h1>{request.path_qs}</h1>", content_type="text/html")


async def fill(page: Page, rig: Rig) -> None:
    """Whatever form stands there, filled in and sent."""
    code = page.get_by_label("Code")
    if await code.count():
        await code.fill(await rig.newest_code())
        await page.keyboard.press("Enter")
        return
    await page.get_by_label("Username").fill("alice")
    await page.get_by_label("Password").fill(PASSWORD)
    await page.get_by_role("button", name="Continue").click()


async def test_five_tabs_go_on_by_themselves_when_one_has_signed_in(tmp_path: Path, browser: Browser) -> None:
    async with running_gateway(tmp_path, handler=app) as rig:
        await rig.add_user()
        context = await browser.new_context()
        tabs = [await context.new_page() for _ in WANTED]
        for page, wanted in zip(tabs, WANTED, strict=True):
            await page.goto(rig.url + wanted)
        await fill(tabs[2], rig)
        for page in tabs:
            await expect(page.get_by_label("Code")).to_be_visible()
        await fill(tabs[4], rig)
        for page, wanted in zip(tabs, WANTED, strict=True):
            await page.wait_for_url(rig.url + wanted)
            await expect(page.get_by_role("heading")).to_have_text(wanted)


async def test_without_javascript_old_forms_lead_on(tmp_path: Path, browser: Browser) -> None:
    async with running_gateway(tmp_path, handler=app) as rig:
        await rig.add_user()
        context = await browser.new_context(java_script_enabled=False)
        tabs = [await context.new_page() for _ in WANTED[:3]]
        for page, wanted in zip(tabs, WANTED, strict=False):
            await page.goto(rig.url + wanted)
        for number in (2, 0, 2, 0, 1):
            if not tabs[number].url.endswith(WANTED[number]):
                await fill(tabs[number], rig)
                await expect(tabs[number].get_by_role("alert")).to_have_count(0)
        for page, wanted in zip(tabs, WANTED, strict=False):
            await page.wait_for_url(rig.url + wanted)


@pytest.mark.parametrize("javascript", [True, False])
async def test_a_form_sent_too_late_is_confirmed_and_arrives_whole(
    tmp_path: Path, browser: Browser, javascript: bool
) -> None:
    async with running_gateway(tmp_path, handler=app) as rig:
        await rig.add_user()
        context = await browser.new_context(java_script_enabled=javascript)
        page = await context.new_page()
        await page.goto(rig.url + "/form")
        await fill(page, rig)
        await expect(page.get_by_label("Code")).to_be_visible()
        await fill(page, rig)
        await page.wait_for_url(rig.url + "/form")
        payload = {"name": "a.bin", "mimeType": "application/octet-stream", "buffer": bytes(range(256))}
        await page.locator("input[type=file]").set_input_files(files=[payload])
        rig.clock.advance(4000)
        await page.get_by_role("button", name="Save").click()
        await fill(page, rig)
        await expect(page.get_by_label("Code")).to_be_visible()
        await fill(page, rig)
        await expect(page.get_by_role("heading", name="Send your form now?")).to_be_visible()
        assert not [one for one in rig.upstream.requests if "/save" in one]
        await page.get_by_role("button", name="Send it now").click()
        await page.wait_for_url(rig.url + "/save?x=1")
        told = f"POST /save?x=1 Ünchanged & whole a.bin {bytes(range(256))!r}"
        await expect(page.get_by_role("heading")).to_have_text(told)
