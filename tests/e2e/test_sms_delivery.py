"""A code on its way, in Chromium: the page follows the delivery by itself, and calls when asked to."""

from pathlib import Path

from playwright.async_api import Browser, Page, expect

from tests.e2e.page_checks import violations
from tests.fake_twilio import FakeTwilio
from tests.rig import PASSWORD, PHONE, Rig
from tests.sms_rig import SECOND_PHONE, sms_gateway


async def give_password(page: Page, rig: Rig) -> None:
    await page.goto(f"{rig.url}/dash")
    await page.get_by_label("Username").fill("alice")
    await page.get_by_label("Password").fill(PASSWORD)
    await page.get_by_role("button", name="Continue").click()


async def test_the_page_follows_the_message_and_calls_instead(tmp_path: Path, browser: Browser) -> None:
    async with FakeTwilio() as twilio, sms_gateway(tmp_path, twilio) as rig:
        await rig.add_user()
        page = await browser.new_page()
        errors: list[str] = []
        page.on("console", lambda line: errors.append(line.text) if line.type == "error" else None)
        await give_password(page, rig)
        line = page.locator(".delivery")
        await expect(line).to_have_text("Your message is on its way.")
        await twilio.report(twilio.messages[0], "sent")
        await expect(line).to_have_text("Sent. It should arrive in a moment.")
        await twilio.report(twilio.messages[0], "undelivered", 30003)
        await expect(line).to_contain_text("could not be delivered")
        await expect(line).to_have_class("delivery bad")
        assert await violations(page) == []

        rig.clock.advance(31)
        await page.reload()
        await page.get_by_role("button", name="Call me instead").click()
        await expect(page.get_by_text("We are calling")).to_have_count(2)
        await twilio.report(twilio.calls[0], "ringing")
        await expect(line).to_have_text("Your phone is ringing.")
        await twilio.report(twilio.calls[0], "completed")
        await expect(line).to_have_text("We have called you.")
        assert await violations(page) == []
        await page.get_by_label("Code").fill(twilio.calls[0].code)
        await page.get_by_role("button", name="Verify").click()
        await page.wait_for_url("**/dash")
        assert errors == []


async def test_without_javascript_a_reload_tells(tmp_path: Path, browser: Browser) -> None:
    async with FakeTwilio() as twilio, sms_gateway(tmp_path, twilio) as rig:
        await rig.add_user()
        page = await (await browser.new_context(java_script_enabled=False)).new_page()
        await give_password(page, rig)
        await twilio.report(twilio.messages[0], "delivered")
        await page.reload()
        await expect(page.locator(".delivery")).to_have_text("Delivered to your phone.")


async def test_a_second_number_is_added_and_takes_over_when_the_first_is_lost(
    tmp_path: Path, browser: Browser
) -> None:
    async with FakeTwilio() as twilio, sms_gateway(tmp_path, twilio, cool_off="0s") as rig:
        await rig.add_user()
        page = await (await browser.new_context(java_script_enabled=False)).new_page()
        await give_password(page, rig)
        await page.get_by_label("Code").fill(twilio.code_for(PHONE))
        await page.get_by_role("button", name="Verify").click()
        await page.goto(f"{rig.url}/_auth/account")
        await page.get_by_role("link", name="Second phone number").click()
        await page.get_by_label("Phone number").fill("+49 1511 2345679")
        await page.get_by_role("button", name="Send code").click()
        await page.get_by_label("Code").fill(twilio.code_for(SECOND_PHONE))
        await page.get_by_role("button", name="Confirm").click()
        await expect(page.get_by_text("+49•••••679")).to_be_visible()

        page = await (await browser.new_context(java_script_enabled=False)).new_page()
        rig.clock.advance(31)
        await give_password(page, rig)
        await expect(page.get_by_text("+49•••••678")).to_be_visible()
        rig.clock.advance(31)
        await page.reload()
        await page.get_by_role("button", name="Send it to my other number").click()
        await page.get_by_label("Code").fill(twilio.code_for(SECOND_PHONE))
        await page.get_by_role("button", name="Verify").click()
        await page.wait_for_url("**/dash")
