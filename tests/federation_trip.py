"""The trip of a browser to a programmable provider and back, step by step."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import aiohttp

from tests.programmable_provider import ProgrammableProvider, provider_and_gateway
from tests.rig import Browser, Rig, csrf_of

MIRA = {"email": "mira@example.com", "email_verified": True}
ONE_FACTOR = [{"host": "*", "path": "/", "upstream": "UPSTREAM", "policy": {"require": "one_factor"}}]


@asynccontextmanager
async def auto(
    folder: Path, *, federation: dict[str, Any] | None = None, routes: Any = ONE_FACTOR, **settings: Any
) -> AsyncIterator[tuple[Rig, ProgrammableProvider, Browser]]:
    provider = ProgrammableProvider(id_token=dict(MIRA))
    sections = {"federation": {"auto": True, **(federation or {})}, "routes": routes}
    async with (
        provider_and_gateway(folder, provider, sections=sections, **settings) as (rig, _),
        rig.browser() as browser,
    ):
        await rig.add_user("mira", email="mira@example.com")
        yield rig, provider, browser


def onward(page: str) -> str:
    """Where a page leads by itself, by script and without one; "" if it waits for somebody."""
    link = re.search(r'<a class="button wide" href="([^"]*)" data-onward data-at-once>', page)
    refresh = re.search(r'<noscript><meta http-equiv="refresh" content="0;url=([^"]*)"></noscript>', page)
    assert (link and link[1]) == (refresh and refresh[1])
    return unescape(link[1]) if link else ""


async def led(browser: Browser, page: str = "/_auth/login?rd=/wiki", **headers: str) -> str:
    answer = await browser.get(page, **headers)
    assert answer.status == 200, await answer.text()
    return onward(await answer.text())


async def at_provider(browser: Browser, provider: ProgrammableProvider, way: str) -> dict[str, str]:
    leaving = await browser.get(way)
    assert leaving.status == 303, await leaving.text()
    return provider.begun(leaving.headers["Location"])


async def back(browser: Browser, asked: dict[str, str], **answer: str) -> aiohttp.ClientResponse:
    query = urlencode({"state": asked["state"], **(answer or {"code": "the-code"})})
    return await browser.get(f"/_auth/federated/corp/callback?{query}")


async def signed_in(browser: Browser, provider: ProgrammableProvider) -> None:
    asked = await at_provider(browser, provider, "/_auth/federated/corp?rd=/wiki")
    assert (await back(browser, asked)).headers["Location"] == "/wiki"


async def sign_out(browser: Browser, rd: str = "") -> aiohttp.ClientResponse:
    token = csrf_of(await (await browser.get("/_auth/logout")).text())
    return await browser.post("/_auth/logout", {"csrf_token": token, "rd": rd})
