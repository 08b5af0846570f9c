"""What axe and the browser complain of on a page."""

from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestServer
from axe_playwright_python.base import AXE_SCRIPT  # type: ignore[import-untyped]  # ships no types
from playwright.async_api import Page

from gateway.config.schema import Branding
from gateway.portal.rendering.render import Pages

ServerFor = Callable[[web.Application], Awaitable[TestServer]]
FIXED = {"csrf_token": "t", "rd": "/", "method": "sms"}
WCAG = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}
OF_COLOURS = {"runOnly": {"type": "rule", "values": ["color-contrast", "link-in-text-block"]}}
"""What axe judges by colours. All else in a page is the same in the dark."""
OF_LAYOUT = {
    "runOnly": {
        "type": "rule",
        "values": [
            *("color-contrast", "link-in-text-block", "target-size", "scrollable-region-focusable"),
            *(
                "html-has-lang",
                "html-lang-valid",
                "html-xml-lang-mismatch",
                "valid-lang",
                "css-orientation-lock",
            ),
        ],
    }
}
"""What axe judges by where things are, and by the language. All else is the same from right to left."""


def pages(color: str = "#2f5bea", form_action: Sequence[str] = (), templates: Path | None = None) -> Pages:
    branding = Branding(name="Harbour Labs", support="Ask help@harbour.example", color=color)
    return Pages(branding, form_action=form_action, templates=templates)


def complaints_of(page: Page) -> list[str]:
    """What the browser complains about from now on: CSP violations, failed loads, script errors."""
    found: list[str] = []
    page.on("console", lambda message: found.append(message.text))
    page.on("pageerror", lambda error: found.append(str(error)))
    return found


async def violations(page: Page, options: dict[str, Any] = WCAG) -> list[str]:
    """axe-core's findings, each with the elements it means."""
    if not await page.evaluate("'axe' in window"):  # it is half a megabyte
        await page.evaluate(AXE_SCRIPT)
    found = await page.evaluate(
        "options => axe.run(options).then(results => results.violations)",
        {**options, "resultTypes": ["violations"]},
    )
    return [f"{rule['id']}: {[node['html'] for node in rule['nodes']]}" for rule in found]
