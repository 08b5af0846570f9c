"""Adding and using second factors in Chromium; security keys with its virtual authenticator (WebAuthn over CDP)."""

import re
from pathlib import Path
from urllib.parse import parse_qsl

import pyotp
from playwright.async_api import Browser, Page, expect

from tests.e2e.page_checks import violations
from tests.rig import PASSWORD, Rig, running_gateway

KEY = {
    "protocol": "ctap2",
    "transport": "internal",
    "hasResidentKey": True,
    "hasUserVerification": True,
    "isUserVerified": True,
    "automaticPresenceSimulation": True,
}


async def plug_in(page: Page, *, autofill: bool = False, **options: object) -> None:
    """A security key that answers by itself, also where a person would choose it from a list (`autofill`)."""
    if not autofill:
        await page.add_init_script("PublicKeyCredential.isConditionalMediationAvailable = async () => false")
    devtools = await page.context.new_cdp_session(page)
    await devtools.send("WebAuthn.enable")
    await devtools.send("WebAuthn.addVirtualAuthenticator", {"options": {**KEY, **options}})


HERE = {"public_url": "http://localhost:PORT"}
"""Keys are bound to the name and count for the origin of `public_url`."""


def address(rig: Rig) -> str:
    """Browsers bind keys to names, not to addresses."""
    return f"http://localhost:{rig.port}"


async def give_password(page: Page, rig: Rig) -> None:
    await page.goto(address(rig) + "/dash")
    await page.get_by_label("Username").fill("alice")
    await page.get_by_label("Password").fill(PASSWORD)
    await page.get_by_role("button", name="Continue").click()


async def enrol_key(page: Page, rig: Rig) -> None:
    await give_password(page, rig)
    await page.get_by_role("link", name="Security key or passkey").click()
    assert await violations(page) == []
    await page.get_by_role("button", name="Add it now").click()
    await page.get_by_role("link", name="I have saved them").click()
    await page.wait_for_url("**/dash")


async def test_an_app_is_set_up_at_first_sign_in_and_signs_in(tmp_path: Path, browser: Browser) -> None:
    async with running_gateway(tmp_path) as rig:
        await rig.add_user(phone="")
        page = await browser.new_page()
        await give_password(page, rig)
        assert await violations(page) == []
        await page.get_by_role("link", name="Authenticator app").click()
        await expect(page.get_by_alt_text("QR code")).to_have_js_property("complete", True)
        assert await page.get_by_alt_text("QR code").evaluate("image => image.naturalWidth") > 100
        assert await violations(page) == []
        secret = (await page.locator("code").inner_text()).replace(" ", "")
        await page.get_by_label("Code").fill(pyotp.TOTP(secret).at(int(rig.clock.now)))
        await page.get_by_role("button", name="Confirm").click()
        await expect(page.locator(".codes li")).to_have_count(10)
        assert await violations(page) == []
        recovery = await page.locator(".codes li").first.inner_text()
        await page.get_by_role("link", name="I have saved them").click()
        await page.wait_for_url("**/dash")

        rig.clock.advance(60)
        second = await (await browser.new_context()).new_page()
        await give_password(second, rig)
        await second.get_by_label("Code").fill(pyotp.TOTP(secret).at(int(rig.clock.now)))
        await second.wait_for_url("**/dash")

        third = await (await browser.new_context()).new_page()
        await give_password(third, rig)
        await third.get_by_role("button", name="Recovery code").click()
        await third.get_by_label("Recovery code").fill(recovery)
        await third.get_by_role("button", name="Verify").click()
        await third.wait_for_url("**/dash")


async def test_a_security_key_is_added_and_signs_in(tmp_path: Path, browser: Browser) -> None:
    async with running_gateway(tmp_path, server=HERE) as rig:
        await rig.add_user(phone="")
        page = await browser.new_page()
        await plug_in(page)
        await enrol_key(page, rig)
        await page.context.clear_cookies()
        await give_password(page, rig)
        await expect(page.get_by_role("heading", name=re.compile("security key"))).to_be_visible()
        assert await violations(page) == []
        await page.get_by_role("button", name="Verify").click()
        await page.wait_for_url("**/dash")


async def test_a_passkey_signs_in_without_a_password(tmp_path: Path, browser: Browser) -> None:
    async with running_gateway(tmp_path, server=HERE) as rig:
        await rig.add_user(phone="")
        page = await browser.new_page()
        await plug_in(page)
        await enrol_key(page, rig)
        await page.context.clear_cookies()
        await page.goto(address(rig) + "/dash")
        await page.get_by_role("link", name="Sign in with a passkey").click()
        assert await violations(page) == []
        await page.get_by_role("button", name="Use your passkey").click()
        await page.wait_for_url("**/dash")


async def test_a_passkey_that_does_not_verify_its_user_is_no_password(
    tmp_path: Path, browser: Browser
) -> None:
    async with running_gateway(tmp_path, server=HERE) as rig:
        await rig.add_user(phone="")
        page = await browser.new_page()
        await plug_in(page, hasUserVerification=False, isUserVerified=False)
        await enrol_key(page, rig)
        await page.context.clear_cookies()
        await page.goto(address(rig) + "/_auth/passkey?rd=/dash")
        await page.get_by_role("button", name="Use your passkey").click()
        await expect(page.get_by_text("That did not work")).to_be_visible()
        await page.goto(address(rig) + "/dash")
        assert "/_auth/login" in page.url


async def test_an_answer_of_a_security_key_is_worth_nothing_in_another_sign_in(
    tmp_path: Path, browser: Browser
) -> None:
    async with running_gateway(tmp_path, server=HERE) as rig:
        await rig.add_user(phone="")
        page = await browser.new_page()
        await plug_in(page)
        await enrol_key(page, rig)
        await page.context.clear_cookies()
        await give_password(page, rig)
        await expect(page.get_by_role("heading", name=re.compile("security key"))).to_be_visible()
        async with page.expect_request(lambda request: request.method == "POST") as sent:
            await page.get_by_role("button", name="Verify").click()
        await page.wait_for_url("**/dash")
        form = dict(parse_qsl((await sent.value).post_data or ""))
        assert form["credential"]

        await page.context.clear_cookies()
        await give_password(page, rig)
        await expect(page.get_by_role("heading", name=re.compile("security key"))).to_be_visible()
        token = await page.locator("form [name=csrf_token]").first.get_attribute("value")
        answer = await page.context.request.post(
            address(rig) + "/_auth/verify",
            form={**form, "csrf_token": token or ""},
            headers={"Origin": address(rig)},
            max_redirects=0,
        )
        assert answer.status == 401
        await page.goto(address(rig) + "/dash")
        assert "/_auth/verify" in page.url
