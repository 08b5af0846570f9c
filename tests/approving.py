"""Two browsers of one user: one that is signed in and approves, one that asks."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

from tests.rig import Browser, Rig, csrf_of, running_gateway

APPROVE = "/_auth/approve"
LATE, NO, WRONG, YES = (f"{APPROVE}?done={word}" for word in ("late", "no", "wrong", "yes"))


@asynccontextmanager
async def two_browsers(folder: Path, **overrides: Any) -> AsyncIterator[tuple[Rig, Browser, Browser]]:
    """The gateway, alice's signed-in browser, and another one where only her password was given."""
    async with (
        running_gateway(folder, **overrides) as rig,
        rig.browser() as owner,
        rig.browser() as asker,
    ):
        await rig.add_user()
        await owner.sign_in()
        assert (await asker.password()).status == 303
        yield rig, owner, asker


async def ask(asker: Browser) -> tuple[aiohttp.ClientResponse, str]:
    """Choose approval on the second step; the page, and the number that it shows."""
    form = {"factor": "approval", "csrf_token": await asker.token("/_auth/verify"), "rd": "/"}
    response = await asker.post("/_auth/verify", form)
    found = re.search(r'class="number" dir="ltr">(\d\d)<', await response.text())
    return response, found[1] if found else ""


async def check(asker: Browser) -> aiohttp.ClientResponse:
    """The button "Check again". The page it came from is not loaded again: that could ask anew."""
    form = {"method": "approval", "csrf_token": await asker.token("/_auth/logout"), "rd": "/"}
    return await asker.post("/_auth/verify", form)


async def question(owner: Browser) -> dict[str, str]:
    """The form that the approving device shows."""
    page = await (await owner.get(APPROVE)).text()
    found = re.search(r'name="id" value="([^"]+)"', page)
    return {"csrf_token": csrf_of(page), "id": found[1] if found else ""}


async def approve(owner: Browser, number: str, **more: str) -> str:
    """Where the approving page leads."""
    form = {**await question(owner), "do": "approve", "number": number, **more}
    return (await owner.post(APPROVE, form)).headers["Location"]


async def refuse(owner: Browser) -> str:
    return (await owner.post(APPROVE, {**await question(owner), "do": "refuse"})).headers["Location"]


def another(number: str) -> str:
    return str(10 + (int(number) - 9) % 90)
