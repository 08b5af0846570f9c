"""Asking for a link to a new password, following it, and proving a second factor behind it."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

from tests.mailbox import Mailbox, running_mailbox
from tests.rig import Browser, Rig, csrf_of, running_gateway

MAIL = "alice@example.test"
NEW = "an entirely new passphrase"


@asynccontextmanager
async def running(folder: Path, **overrides: Any) -> AsyncIterator[tuple[Rig, Mailbox]]:
    async with running_mailbox() as (mailbox, email):
        email |= overrides.pop("email", {})
        async with running_gateway(folder, email=email, **overrides) as rig:
            yield rig, mailbox


async def ask(browser: Browser, name: str = "alice") -> aiohttp.ClientResponse:
    token = await browser.token("/_auth/reset")
    return await browser.post("/_auth/reset", {"username": name, "csrf_token": token})


async def follow(browser: Browser, link: str) -> tuple[aiohttp.ClientResponse, dict[str, str]]:
    """Opens the link and presses Continue; the answer and the hidden fields of its form."""
    page = await (await browser.get(link)).text()
    token = link.partition("token=")[2]
    response = await browser.post("/_auth/reset", {"token": token, "csrf_token": csrf_of(page)})
    return response, hidden(await response.text())


def hidden(page: str) -> dict[str, str]:
    return dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', page))


async def prove(
    browser: Browser, rig: Rig, form: dict[str, str]
) -> tuple[aiohttp.ClientResponse, dict[str, str]]:
    response = await browser.post("/_auth/reset", form | {"code": rig.codes[-1]})
    return response, hidden(await response.text())
