"""Several tabs of one browser that sign in at once: each ends where it wanted, whoever goes first."""

import random
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.rig import PASSWORD, Browser, Rig, csrf_of, running_gateway

TABS = 5


async def tab(browser: Browser, number: int) -> AsyncIterator[str]:
    """One tab, a step at a time; each yield is a moment when other tabs may go on. Yields what happened."""
    wanted = f"/page{number}?tab={number}"
    response = await browser.get(wanted)
    for _ in range(12):
        yield f"{number}: {response.status} {response.url.path}"
        if response.status == 303:
            response = await browser.get(response.headers["Location"])
        elif response.url.path.startswith("/_auth/"):
            assert response.status == 200, f"{number}: {response.status} on {response.url.path}"
            response = await submit(browser, response.url.path, await response.text(), wanted)
            assert response.status == 303, f"{number}: the form of {response.url.path} got {response.status}"
        else:
            assert str(response.url).endswith(wanted)
            return
    raise AssertionError(f"tab {number} never arrived")


async def submit(browser: Browser, path: str, page: str, wanted: str):  # type: ignore[no-untyped-def]
    form = {"csrf_token": csrf_of(page), "rd": wanted}
    filled = {"username": "alice", "password": PASSWORD} if path.endswith("/login") else {"code": ""}
    if "code" in filled:
        filled["code"] = browser.rig.codes[-1]
    return await browser.post(path, {**form, **filled}, **{"Sec-Fetch-Site": "same-origin"})


@pytest.mark.parametrize("seed", range(8))
async def test_five_tabs_in_any_order_all_arrive(tmp_path: Path, seed: int) -> None:
    order = random.Random(seed)
    async with running_gateway(tmp_path) as rig, rig.browser() as browser:
        await rig.add_user()
        waiting = [tab(browser, number) for number in range(TABS)]
        while waiting:
            one = order.choice(waiting)
            if await anext(one, None) is None:
                waiting.remove(one)


async def first_visits(rig: Rig, count: int) -> list[tuple[str, str]]:
    """Tabs that open before any of them has a cookie: what each page's token and cookie are."""
    found = []
    for _ in range(count):
        async with rig.browser() as fresh:
            found.append((await fresh.token("/_auth/login"), fresh.cookie()))
    return found


async def test_tabs_that_opened_together_share_the_last_cookie_and_all_can_sign_in(tmp_path: Path) -> None:
    async with running_gateway(tmp_path) as rig:
        await rig.add_user()
        (token, _), (_, cookie) = await first_visits(rig, 2)
        form = {"username": "alice", "password": PASSWORD, "csrf_token": token, "rd": "/one"}
        async with rig.browser() as browser:
            sent = {"Cookie": f"auth_session={cookie}", "Sec-Fetch-Site": "same-origin"}
            assert (await browser.post("/_auth/login", form, **sent)).status == 303


async def test_a_waiting_tab_is_told_which_step_is_due(tmp_path: Path) -> None:
    async with running_gateway(tmp_path) as rig, rig.browser() as browser:
        await rig.add_user()

        async def due() -> dict[str, str]:
            return await (await browser.get("/_auth/tab?rd=/two")).json()

        assert await due() == {"step": "login", "location": "/_auth/login?rd=/two"}
        await browser.password(rd="/one")
        assert await due() == {"step": "verify", "location": "/_auth/verify?rd=/two"}
        assert rig.codes == []  # asking sends nothing
        await browser.code(rd="/one")
        assert await due() == {"step": "done", "location": "/two"}
