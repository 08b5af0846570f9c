"""A lock that strangers cause by guessing holds strangers, and not the owner at a device that is known."""

from pathlib import Path

import pytest

from gateway.rate_limits import DEVICE_FAILURES, PASSWORD_FAILURES, PASSWORD_PER_USER, Budget
from tests.rig import Browser, Rig, running_gateway


async def remembered(browser: Browser) -> None:
    """The owner's device: signed in once with a second factor, remembered, signed out since."""
    await browser.password()
    assert (await browser.code(remember_device="on")).status == 303
    token = await browser.token("/_auth/logout")
    assert (await browser.post("/_auth/logout", {"csrf_token": token})).status == 303


async def locked_by_strangers(rig: Rig, budget: Budget) -> None:
    for _ in range(budget.limit):
        await rig.gateway.services.limits.spend(budget, "alice")


@pytest.mark.parametrize("budget", [PASSWORD_PER_USER, PASSWORD_FAILURES], ids=lambda one: one.name)
async def test_a_known_device_signs_in_while_strangers_have_locked_the_account(
    tmp_path: Path, budget: Budget
) -> None:
    async with running_gateway(tmp_path) as rig, rig.browser() as owner, rig.browser() as stranger:
        await rig.add_user()
        await remembered(owner)
        await locked_by_strangers(rig, budget)
        assert (await stranger.password()).status == 429
        assert (await owner.password()).status == 303
        assert (await owner.get("/")).status == 200
        assert (await stranger.password()).status == 429, "the owner's sign-in lifts no lock of strangers"


async def test_a_known_device_has_ten_tries_and_a_hundred_in_a_row(tmp_path: Path) -> None:
    async with running_gateway(tmp_path) as rig, rig.browser() as owner:
        await rig.add_user()
        await remembered(owner)
        statuses = [(await owner.password(password="wrong")).status for _ in range(11)]
        assert statuses == [401] * 10 + [429]
        assert (await owner.password()).status == 429
        rig.clock.advance(601)
        devices = await rig.gateway.devices.store.list("alice")
        limits = rig.gateway.services.limits
        for _ in range(await limits.check(DEVICE_FAILURES, devices[0].id), DEVICE_FAILURES.limit):
            await limits.spend(DEVICE_FAILURES, devices[0].id)
        assert (await owner.password()).status == 429


async def test_the_device_of_one_user_is_none_of_another(tmp_path: Path) -> None:
    async with running_gateway(tmp_path) as rig, rig.browser() as mallory:
        await rig.add_user()
        await rig.add_user("mallory")
        await mallory.password("mallory")
        assert (await mallory.code(remember_device="on")).status == 303
        token = await mallory.token("/_auth/logout")
        await mallory.post("/_auth/logout", {"csrf_token": token})
        await locked_by_strangers(rig, PASSWORD_PER_USER)
        assert (await mallory.password("alice")).status == 429
        assert (await mallory.password("mallory")).status == 303
