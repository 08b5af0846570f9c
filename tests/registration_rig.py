"""A gateway where people may register, and what a browser does there."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

from tests.mailbox import Mailbox, link_in, running_mailbox
from tests.rig import Browser, Rig, csrf_of, running_gateway

HERE = "/_auth/register"
ADDRESS = "mira@harbour.test"
NUMBER = "+4915112345670"
SECRET = "a quiet harbour at dawn"
ON: dict[str, Any] = {"mode": "open", "phone": "none"}


@asynccontextmanager
async def registering(
    folder: Path, registration: dict[str, Any] | None = None, **overrides: Any
) -> AsyncIterator[tuple[Rig, Mailbox]]:
    """`registration` is laid over an open one without a phone."""
    section = {**ON, **(registration or {})}
    async with (
        running_mailbox() as (mailbox, email),
        running_gateway(folder, email=email, registration=section, **overrides) as rig,
    ):
        yield rig, mailbox


async def ask(browser: Browser, address: str = ADDRESS, rd: str = "/", **more: str) -> aiohttp.ClientResponse:
    token = await browser.token(HERE)
    return await browser.post(HERE, {"email": address, "csrf_token": token, "rd": rd, **more})


async def asked(rig: Rig, browser: Browser, mailbox: Mailbox, address: str = ADDRESS, **more: str) -> str:
    """Ask, and return the link that was mailed."""
    before = len(mailbox.mails)
    assert (await ask(browser, address, **more)).status == 200
    await rig.gateway.services.messaging.notices.finish()
    return link_in((await mailbox.wait(before + 1))[-1])


async def step(browser: Browser, link: str, **fields: str) -> aiohttp.ClientResponse:
    """Open a link and send the form behind it, whatever it asks for."""
    page = await (await browser.get(link)).text()
    csrf = csrf_of(page) or await browser.token(HERE) or await browser.token("/_auth/logout")
    return await browser.post(HERE, {"token": link.partition("token=")[2], "csrf_token": csrf, **fields})


async def prove(rig: Rig, browser: Browser, link: str, number: str = NUMBER) -> aiohttp.ClientResponse:
    """Have a code sent to a number, and give it back."""
    before = len(rig.codes)
    assert (await step(browser, link, address=number)).status == 200
    assert len(rig.codes) == before + 1
    return await step(browser, link, code=rig.codes[-1])


async def details(browser: Browser, link: str, **fields: str) -> aiohttp.ClientResponse:
    return await step(browser, link, **{"name": "Mira Lund", "password": SECRET, **fields})
