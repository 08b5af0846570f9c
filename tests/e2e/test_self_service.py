"""In a real browser: remember this device, a new password by mailed link, an invitation up to the first sign-in."""

from pathlib import Path

import pyotp
from playwright.async_api import Browser, Page, expect

from gateway.authn.invitations import Invitations
from gateway.model import User
from gateway.stores.sql.engine import open_engine
from gateway.stores.sql.ledger import SqlLedger
from tests.e2e.test_sign_in import app, give_password
from tests.mailbox import link_in, running_mailbox
from tests.rig import PASSWORD, Rig, running_gateway

NEW = "an entirely new passphrase"


async def sign_out(page: Page, rig: Rig) -> None:
    await page.goto(rig.url + "/_auth/logout")
    await page.get_by_role("button", name="Sign out").click()
    await expect(page.get_by_role("heading", name="You’re signed out")).to_be_visible()


async def give_password_alone(page: Page, rig: Rig, password: str = PASSWORD) -> None:
    await page.goto(rig.url + "/dash")
    await page.get_by_label("Username").fill("alice")
    await page.get_by_label("Password").fill(password)
    await page.get_by_role("button", name="Continue").click()


async def test_a_remembered_device_is_asked_for_the_password_only(tmp_path: Path, browser: Browser) -> None:
    async with running_gateway(tmp_path, handler=app) as rig:
        await rig.add_user()
        page = await browser.new_page()
        await give_password(page, rig)
        await page.get_by_label("Don’t ask again on this device").check()
        await page.get_by_label("Code").fill(await rig.newest_code())
        await page.get_by_role("button", name="Verify").click()
        await expect(page.get_by_role("heading", name="Hello alice")).to_be_visible()
        await sign_out(page, rig)
        await give_password_alone(page, rig)
        await expect(page.get_by_role("heading", name="Hello alice")).to_be_visible()
        assert len(rig.codes) == 1
        other = await (await browser.new_context()).new_page()
        await give_password_alone(other, rig)
        await expect(other.get_by_role("heading", name="Check your phone")).to_be_visible()


async def test_a_forgotten_password_is_replaced_by_link_and_second_factor(
    tmp_path: Path, browser: Browser
) -> None:
    async with (
        running_mailbox() as (mailbox, email),
        running_gateway(tmp_path, handler=app, email=email) as rig,
    ):
        await rig.add_user(email="alice@example.test")
        page = await (await browser.new_context(java_script_enabled=False)).new_page()
        await page.goto(rig.url + "/")
        await page.get_by_role("link", name="Forgot your password?").click()
        await page.get_by_label("Username or e-mail address").fill("alice")
        await page.get_by_role("button", name="Send link").click()
        await expect(page.get_by_role("heading", name="Check your e-mail")).to_be_visible()
        [mail] = await mailbox.wait(1)
        await page.goto(rig.url + link_in(mail))
        await page.get_by_role("button", name="Continue").click()
        await expect(page.get_by_role("heading", name="Check your phone")).to_be_visible()
        await page.get_by_label("Code").fill("000000" if await rig.newest_code() != "000000" else "111111")
        await page.get_by_role("button", name="Verify").click()
        await expect(page.get_by_role("alert")).to_contain_text("not right")
        await page.get_by_label("Code").fill(await rig.newest_code())
        await page.get_by_role("button", name="Verify").click()
        await page.get_by_label("New password").fill("password1")
        await page.get_by_role("button", name="Set password").click()
        await expect(page.get_by_role("alert")).to_be_visible()
        await page.get_by_label("New password").fill(NEW)
        await page.get_by_role("button", name="Set password").click()
        await expect(page.get_by_role("heading", name="Your password is changed")).to_be_visible()
        await give_password_alone(page, rig, NEW)
        await expect(page.get_by_role("heading", name="Check your phone")).to_be_visible()


async def test_an_invited_person_chooses_a_password_and_adds_an_app(tmp_path: Path, browser: Browser) -> None:
    async with running_gateway(tmp_path, handler=app) as rig:
        engine = open_engine(rig.config.storage.url)
        base = f"{rig.url}/_auth"
        invitations = Invitations(rig.directory, SqlLedger(engine, rig.clock), rig.clock, base=base)
        link = await invitations.invite(User("nora", name="Nora"))
        await engine.dispose()
        page = await browser.new_page()
        await page.goto(link)
        await expect(page.get_by_role("heading", name="Welcome")).to_be_visible()
        await page.get_by_label("Password").fill(NEW)
        await page.get_by_role("button", name="Continue").click()
        await page.get_by_role("link", name="Authenticator app").click()
        secret = (await page.locator("code").first.inner_text()).replace(" ", "")
        await page.get_by_label("Code").fill(pyotp.TOTP(secret).at(int(rig.clock())))
        await page.get_by_role("button", name="Confirm").click()
        await page.get_by_role("link", name="I have saved them").click()
        await expect(page.get_by_role("heading", name="Hello nora")).to_be_visible()
        await page.goto(link)
        await expect(page.get_by_role("heading", name="This invitation is over")).to_be_visible()
