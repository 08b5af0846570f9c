"""Our pages in a real browser: without JavaScript, on small screens, in the dark, with assistive technology."""

from pathlib import Path

import pytest
from playwright.async_api import Browser, Response

from gateway.i18n.catalogues import NAMES as LANGUAGES
from tests.e2e.page_checks import OF_COLOURS, ServerFor, complaints_of, pages, violations
from tests.e2e.test_code_page import Desk
from tests.page_samples import NAMES, application


async def test_axe_finds_nothing_on_any_page(aiohttp_server: ServerFor, browser: Browser) -> None:
    server = await aiohttp_server(application(pages()))
    page = await browser.new_page()
    for name in NAMES:
        await page.emulate_media(color_scheme="light")
        await page.goto(str(server.make_url(f"/show/{name}")))
        assert await violations(page) == [], name
        await page.emulate_media(color_scheme="dark")
        assert await violations(page, OF_COLOURS) == [], f"{name} in the dark"


@pytest.mark.parametrize("color", ["#ffe600", "#fafafa", "#0e1117"])
async def test_axe_finds_nothing_with_awkward_brand_colours(
    aiohttp_server: ServerFor, browser: Browser, color: str
) -> None:
    server = await aiohttp_server(application(pages(color)))
    page = await browser.new_page()
    await page.goto(str(server.make_url("/show/verify")))
    for scheme in ("light", "dark"):
        await page.emulate_media(color_scheme=scheme)
        assert await violations(page) == [], scheme


async def test_axe_would_find_something(aiohttp_server: ServerFor, browser: Browser, tmp_path: Path) -> None:
    """The twin of the tests above."""
    (tmp_path / "login.html").write_text("<!doctype html><title>x</title><input><img src=x>")
    server = await aiohttp_server(application(pages(templates=tmp_path)))
    page = await browser.new_page()
    await page.goto(str(server.make_url("/show/login")))
    found = {violation.partition(":")[0] for violation in await violations(page)}
    assert {"html-has-lang", "label", "image-alt"} <= found


@pytest.mark.parametrize("javascript", [True, False])
async def test_no_page_breaks_its_own_security_policy(
    aiohttp_server: ServerFor, browser: Browser, javascript: bool
) -> None:
    server = await aiohttp_server(application(pages()))
    page = await (await browser.new_context(java_script_enabled=javascript)).new_page()
    complaints = complaints_of(page)
    for name in NAMES:
        response = await page.goto(str(server.make_url(f"/show/{name}")))
        assert response is not None
        # The browser notes 4xx and 5xx of the page itself on the console; everything else is a complaint.
        expected = [
            text for text in complaints if response.status >= 400 and f"status of {response.status}" in text
        ]
        assert complaints == expected, name
        complaints.clear()


async def test_the_browser_does_report_violations_of_the_policy(
    aiohttp_server: ServerFor, browser: Browser, tmp_path: Path
) -> None:
    """The twin of the test above: it would see one."""
    (tmp_path / "login.html").write_text('<p style="color:red">x</p><script>document.title = "ran"</script>')
    server = await aiohttp_server(application(pages(templates=tmp_path)))
    page = await browser.new_page()
    complaints = complaints_of(page)
    await page.goto(str(server.make_url("/show/login")))
    assert await page.title() != "ran"
    assert len([text for text in complaints if "Content Security Policy" in text]) == 2


@pytest.mark.parametrize("width", [320, 390])
async def test_small_screens_never_scroll_sideways(
    aiohttp_server: ServerFor, browser: Browser, width: int
) -> None:
    server = await aiohttp_server(application(pages()))
    page = await browser.new_page(viewport={"width": width, "height": 640})
    for name in NAMES:
        await page.goto(str(server.make_url(f"/show/{name}")))
        assert await page.evaluate("document.documentElement.scrollWidth") <= width, name


TOO_SMALL = """() => [...document.querySelectorAll('button, a.button, input:not([aria-hidden=true])')]
  .filter(one => one.checkVisibility({visibilityProperty: true}))
  .filter(one => { const box = one.getBoundingClientRect(); return Math.min(box.width, box.height) < 24 })
  .map(one => one.outerHTML)"""


async def test_targets_are_large_enough_to_hit(aiohttp_server: ServerFor, browser: Browser) -> None:
    """WCAG 2.5.8: 24 by 24 CSS pixels; links inside a sentence are exempt."""
    server = await aiohttp_server(application(pages()))
    page = await browser.new_page(viewport={"width": 320, "height": 640})
    for name in NAMES:
        await page.goto(str(server.make_url(f"/show/{name}")))
        assert await page.evaluate(TOO_SMALL) == [], name


async def test_dark_and_light_are_what_the_visitor_prefers(
    aiohttp_server: ServerFor, browser: Browser
) -> None:
    server = await aiohttp_server(application(pages()))
    page = await browser.new_page()
    await page.goto(str(server.make_url("/show/login")))
    colors = {}
    for scheme in ("light", "dark"):
        await page.emulate_media(color_scheme=scheme)
        colors[scheme] = await page.evaluate(
            "getComputedStyle(document.querySelector('main')).backgroundColor"
        )
    assert colors == {"light": "rgb(255, 255, 255)", "dark": "rgb(23, 27, 36)"}


async def test_the_first_load_of_login_is_below_50_kilobytes_in_every_language(
    aiohttp_server: ServerFor, browser: Browser
) -> None:
    server = await aiohttp_server(application(pages()))
    page = await browser.new_page()
    answers: list[Response] = []
    page.on("response", lambda answer: answers.append(answer))
    await page.goto(str(server.make_url("/show/login")), wait_until="networkidle")
    sizes = {answer.url: await answer.request.sizes() for answer in answers}
    assert {url.rsplit("/", 1)[1].split("?")[0] for url in sizes} >= {
        "login",
        "style.css",
        "brand.css",
        "app.js",
    }
    total = sum(size["responseBodySize"] + size["responseHeadersSize"] for size in sizes.values())
    own = len(await answers[0].body())
    texts = {
        tag: len(await (await page.request.get(f"{answers[0].url}?lang={tag}")).body()) for tag in LANGUAGES
    }
    assert {tag: size for tag, size in texts.items() if total - own + size >= 50_000} == {}
    assert texts["ja"] != texts["en"] == own


async def test_the_keyboard_reaches_all_in_order_with_visible_focus(
    aiohttp_server: ServerFor, browser: Browser
) -> None:
    server = await aiohttp_server(application(pages()))
    page = await browser.new_page()
    await page.goto(str(server.make_url("/show/verify")))
    seen = []
    for _ in range(6):
        seen.append(await page.evaluate("document.activeElement.name"))
        outline = await page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert outline == "solid", seen[-1]
        await page.keyboard.press("Tab")
    assert seen == ["code", "remember_device", "", "resend", "factor", "factor"]


async def test_the_skip_link_leads_to_the_content(aiohttp_server: ServerFor, browser: Browser) -> None:
    server = await aiohttp_server(application(pages()))
    page = await browser.new_page()
    await page.goto(str(server.make_url("/show/error-404")))
    await page.keyboard.press("Tab")
    assert await page.evaluate("document.activeElement.className") == "skip"
    await page.keyboard.press("Enter")
    assert await page.evaluate("document.activeElement.id") == "main"


@pytest.mark.parametrize("listed", [True, False])
async def test_a_post_ends_at_another_host_only_if_form_action_lists_it(
    aiohttp_server: ServerFor, browser: Browser, listed: bool
) -> None:
    app = await aiohttp_server(Desk(pages()).application())
    other = str(app.make_url("/landed"))
    desk = Desk(pages(form_action=[other.removesuffix("/landed")] if listed else []), landing=other)
    portal = await aiohttp_server(desk.application())
    page = await browser.new_page()
    complaints = complaints_of(page)
    await page.goto(str(portal.make_url("/_auth/verify")))
    async with page.expect_event("console" if not listed else "load"):
        await page.get_by_role("button", name="Send another code").click()
    assert len(desk.posts) == 1
    assert (page.url == other) is listed
    assert any("form-action" in text for text in complaints) is not listed
