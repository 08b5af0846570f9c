"""Our pages in every language, and in one that is written from right to left and says everything at length.

Axe looks at each page in English (test_pages.py, light and dark) and from right to left (here, by its rules of layout).
Catalogues change nothing that axe judges but words: that their markup is the English one, and that each page names its
language, tests/unit/i18n/test_locales.py knows. What words can break is the width of small screens: the made-up
language has the longest ones; those that we ship are tried on the pages that hold the most side by side.
"""

import gettext
import re
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from playwright.async_api import Browser, Page

from gateway.config.schema import Branding
from gateway.i18n.catalogues import NAMES, Language
from gateway.portal.rendering.render import Pages
from tests.e2e.page_checks import OF_LAYOUT, violations
from tests.page_samples import NAMES as SAMPLES
from tests.page_samples import application
from tests.rig import running_gateway

ServerFor = Callable[[web.Application], Awaitable[TestServer]]

SMALL = {"width": 320, "height": 640}


class Wordy(gettext.NullTranslations):
    """Says everything in Arabic letters and half as long again as German would, with unbreakable compounds."""

    def gettext(self, message: str) -> str:
        parts = re.split(r"(%\(\w+\)s|<[^>]*>|\{\w+\})", message)
        return "".join(part if odd % 2 else self._long(part) for odd, part in enumerate(parts))

    def ngettext(self, one: str, many: str, n: int) -> str:
        return self.gettext(many)

    def _long(self, text: str) -> str:
        return re.sub(r"\w+", lambda word: "ض" * round(len(word[0]) * 1.5 + 1), text)


def from_right_to_left(tag: str) -> Language:
    return Language("ar", Wordy())


def pages(**settings: object) -> Pages:
    return Pages(Branding(name="Harbour Labs", support="Ask help@harbour.example"), **settings)  # type: ignore[arg-type]


async def width_of(page: Page) -> int:
    width: int = await page.evaluate("document.documentElement.scrollWidth")
    return width


async def left(page: Page, selector: str) -> float:
    box = await page.locator(selector).first.bounding_box()
    assert box is not None
    return box["x"]


async def test_from_right_to_left_axe_finds_nothing_and_nothing_overflows(
    aiohttp_server: ServerFor, browser: Browser
) -> None:
    server = await aiohttp_server(application(pages(spoken=from_right_to_left)))
    page = await browser.new_page(viewport=SMALL)
    for name in SAMPLES:
        await page.goto(str(server.make_url(f"/show/{name}")))
        assert await page.evaluate("document.documentElement.dir") == "rtl"
        # Chromium lets nothing scroll to the left of a page from right to left but what does overflow.
        assert await width_of(page) <= 320, name
        assert await violations(page, OF_LAYOUT) == [], name


async def test_the_layout_is_mirrored(aiohttp_server: ServerFor, browser: Browser) -> None:
    server = await aiohttp_server(application(pages()))
    page = await browser.new_page()
    places = {}
    for direction, lang in (("ltr", "en"), ("rtl", "ar")):
        await page.goto(str(server.make_url(f"/show/account?lang={lang}")))
        assert await page.evaluate("document.documentElement.dir") == direction
        places[direction] = {
            "mark before name": await left(page, ".mark") < await left(page, ".name"),
            "name before navigation": await left(page, ".name") < await left(page, ".nav"),
            "first column first": await left(page, "thead th:nth-of-type(1)") < await left(page, "thead td"),
            "text before tools": await left(page, ".item p") < await left(page, ".item .tools"),
            "headings start": await page.evaluate("getComputedStyle(document.querySelector('th')).textAlign"),
        }
    starts = places["ltr"].pop("headings start"), places["rtl"].pop("headings start")
    assert starts == ("start", "start")
    assert set(places["ltr"].values()) == {True}
    assert set(places["rtl"].values()) == {False}


@pytest.mark.parametrize(
    ("name", "selectors"),
    [
        ("verify", ["#hint b", "#code"]),
        ("enrol-totp", ["main code", "#code"]),
        ("enrol-sms", ["#address"]),
        ("recovery-codes", [".codes code"]),
        ("account", ["td.mono bdi", ".item .hint bdi"]),
        ("error-403", [".facts bdi"]),
    ],
)
async def test_numbers_codes_and_addresses_still_read_from_left_to_right(
    aiohttp_server: ServerFor, browser: Browser, name: str, selectors: list[str]
) -> None:
    server = await aiohttp_server(application(pages(spoken=from_right_to_left)))
    page = await browser.new_page()
    await page.goto(str(server.make_url(f"/show/{name}")))
    for selector in selectors:
        style = await page.locator(selector).first.evaluate("e => getComputedStyle(e).direction")
        assert style == "ltr", selector


FULL = {"admin-user", "account", "verify", "approvals"}
"""Pages with buttons, tables and labels side by side. German, whose words are long, is tried on all pages."""


async def test_every_language_fits_small_screens_too(aiohttp_server: ServerFor, browser: Browser) -> None:
    server = await aiohttp_server(application(pages()))
    page = await browser.new_page(viewport=SMALL)
    wrong: list[object] = []
    for tag in NAMES:
        for name in SAMPLES if tag == "de" else FULL:
            await page.goto(str(server.make_url(f"/show/{name}?lang={tag}")), wait_until="domcontentloaded")
            assert await page.evaluate("document.documentElement.lang") == tag
            width = await width_of(page)
            wrong += [(tag, name, width)] if width > 320 else []
            wrong += [(tag, name, word) for word in await page.evaluate(CUT)]
    assert wrong == []


CUT = """[...document.querySelectorAll('button, .button, .nav a, .tag')]
    .filter(e => e.offsetParent && e.scrollWidth > e.clientWidth + 1).map(e => e.textContent.trim())"""
"""What is pressed, and whose words don't fit into it."""


async def test_readers_switch_the_language_without_javascript(tmp_path: Path, browser: Browser) -> None:
    async with running_gateway(tmp_path) as rig:
        await rig.add_user()
        context = await browser.new_context(java_script_enabled=False, locale="en-GB")
        page = await context.new_page()
        await page.goto(f"{rig.url}/_auth/login?rd=%2Fthere%3Fa%3D1")
        await page.get_by_role("navigation", name="Language").get_by_role("link", name="Deutsch").click()
        assert await page.locator("h1").inner_text() == "Anmelden"
        assert await page.locator("html").get_attribute("lang") == "de"
        await page.get_by_label("Benutzername").fill("alice")
        await page.get_by_label("Passwort", exact=True).fill("not the password")
        await page.get_by_role("button", name="Weiter").click()
        assert "Benutzername oder Passwort ist falsch." in await page.inner_text("main")
        await page.get_by_label("Passwort", exact=True).fill("correct horse battery")
        await page.get_by_role("button", name="Weiter").click()
        assert await page.locator("h1").inner_text() == "Sehen Sie auf Ihr Telefon"
        await page.get_by_label("Code", exact=True).fill(await rig.newest_code())
        await page.get_by_role("button", name="Bestätigen").click()
        assert page.url == f"{rig.url}/there?a=1"
        assert "ist Ihr Code für auth-gateway. Geben Sie ihn niemals weiter." in rig.terminal.getvalue()
