"""The page for a code, in a browser: with JavaScript and without."""

from typing import Any

import pytest
from aiohttp import web
from playwright.async_api import Browser

from gateway.portal.rendering.render import Pages
from tests.e2e.page_checks import FIXED, ServerFor, pages
from tests.page_samples import ENGLISH
from tests.second_step_samples import VERIFY


class Desk:
    """A verify page whose form really posts; it keeps what arrived and answers as told."""

    def __init__(self, pages: Pages, landing: str = "/landed", **context: Any) -> None:
        self._pages, self._landing, self._context = pages, landing, VERIFY | context
        self.posts: list[dict[str, str]] = []
        self.origins: list[str | None] = []

    def application(self) -> web.Application:
        app = web.Application()
        app.add_routes(self._pages.static_routes())
        app.add_routes([web.get("/_auth/verify", self._page), web.post("/_auth/verify", self._post)])
        app.add_routes([web.get("/landed", self._landed)])
        return app

    async def _page(self, _: web.Request) -> web.Response:
        return self._pages.render("verify.html", reader=ENGLISH, **self._context)

    async def _post(self, request: web.Request) -> web.Response:
        self.posts.append({key: str(value) for key, value in (await request.post()).items()})
        self.origins.append(request.headers.get("Origin"))
        return web.Response(status=303, headers={"Location": self._landing})

    async def _landed(self, _: web.Request) -> web.Response:
        return web.Response(text="landed")


async def test_without_javascript_a_code_is_sent_by_its_button(
    aiohttp_server: ServerFor, browser: Browser
) -> None:
    desk = Desk(pages())
    server = await aiohttp_server(desk.application())
    page = await (await browser.new_context(java_script_enabled=False)).new_page()
    await page.goto(str(server.make_url("/_auth/verify")))
    await page.locator("#code:focus").wait_for()
    await page.keyboard.insert_text("123 456")
    await page.get_by_label("Don’t ask again").check()
    await page.get_by_role("button", name="Verify").click()
    await page.wait_for_url("**/landed")
    assert desk.posts == [FIXED | {"code": "123 456", "remember_device": "1"}]


@pytest.mark.parametrize(
    ("button", "field", "value"),
    [("Send another code", "resend", "1"), ("Authenticator app", "factor", "totp")],
)
async def test_other_ways_need_no_code(
    aiohttp_server: ServerFor, browser: Browser, button: str, field: str, value: str
) -> None:
    desk = Desk(pages())
    server = await aiohttp_server(desk.application())
    page = await (await browser.new_context(java_script_enabled=False)).new_page()
    await page.goto(str(server.make_url("/_auth/verify")))
    await page.get_by_role("button", name=button).click()
    await page.wait_for_url("**/landed")
    assert desk.posts == [FIXED | {"code": "", field: value}]


async def test_enter_verifies_and_does_not_resend(aiohttp_server: ServerFor, browser: Browser) -> None:
    desk = Desk(pages())
    server = await aiohttp_server(desk.application())
    page = await browser.new_page()
    await page.goto(str(server.make_url("/_auth/verify")))
    await page.locator("#code:focus").wait_for()
    await page.keyboard.type("123456")
    await page.keyboard.press("Enter")
    await page.wait_for_url("**/landed")
    assert desk.posts == [FIXED | {"code": "123456"}]


async def test_a_form_post_names_its_origin(aiohttp_server: ServerFor, browser: Browser) -> None:
    """The CSRF check needs this; Referrer-Policy: no-referrer would make it "null"."""
    desk = Desk(pages())
    server = await aiohttp_server(desk.application())
    page = await browser.new_page()
    await page.goto(str(server.make_url("/_auth/verify")))
    await page.get_by_role("button", name="Send another code").click()
    await page.wait_for_url("**/landed")
    assert desk.origins == [str(server.make_url("/")).rstrip("/")]


async def test_a_complete_code_sends_itself_once(aiohttp_server: ServerFor, browser: Browser) -> None:
    desk = Desk(pages(), can_remember=False)
    server = await aiohttp_server(desk.application())
    page = await browser.new_page()
    await page.goto(str(server.make_url("/_auth/verify")))
    await page.locator("#code:focus").wait_for()
    assert "as soon as all digits are in" in await page.locator("#hint").inner_text()
    await page.keyboard.type("12345")
    assert desk.posts == []
    await page.keyboard.type("67")
    await page.wait_for_url("**/landed")
    assert [post["code"] for post in desk.posts] == ["123456"]


async def test_another_code_is_offered_when_the_pause_is_over(
    aiohttp_server: ServerFor, browser: Browser
) -> None:
    desk = Desk(pages(), resend_after=1)
    server = await aiohttp_server(desk.application())
    page = await browser.new_page()
    await page.goto(str(server.make_url("/_auth/verify")))
    await page.get_by_role("button", name="Send another code").click()
    await page.wait_for_url("**/landed")
    assert [post.get("resend") for post in desk.posts] == ["1"]
