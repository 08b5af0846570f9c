"""A person in a real browser signs in to a real app (Node, openid-client) through the gateway, and out again."""

import time
from pathlib import Path

from playwright.async_api import Browser, expect

from tests.oidc_rig import CALLBACK, SECRET, WEB, answer_of, authorize_path, pkce, provider
from tests.relying_parties.programs import node_app, until_it_answers
from tests.rig import PASSWORD, FakeClock
from tests.waiting import free_port


async def test_a_person_signs_in_to_an_app_with_consent_and_signs_out_of_both(
    tmp_path: Path, browser: Browser
) -> None:
    port = free_port()
    app = {
        **WEB,
        "consent": "once",
        "redirect_uris": [f"http://127.0.0.1:{port}/callback"],
        "post_logout_redirect_uris": [f"http://127.0.0.1:{port}/gone"],
    }
    (tmp_path / "node").mkdir()
    async with provider(tmp_path, app, clock=FakeClock(time.time())) as rig:
        await rig.add_user()
        with node_app(tmp_path / "node", rig.url, port, "web", SECRET) as home:
            await until_it_answers(f"{home}/ended")
            page = await browser.new_page()
            await page.goto(home)
            await page.get_by_label("Username").fill("alice")
            await page.get_by_label("Password").fill(PASSWORD)
            await page.get_by_role("button", name="Continue").click()
            await page.get_by_label("Code").fill(await rig.newest_code())
            await page.keyboard.press("Enter")
            await expect(page.get_by_role("heading", name="Allow Web App?")).to_be_visible()
            await page.get_by_role("button", name="Allow", exact=True).click()
            await expect(page.get_by_role("heading", name="Hello alice")).to_be_visible()
            await expect(page.locator("#acr")).to_have_text("2fa")
            await page.goto(f"{rig.url}/_auth/oidc/grants")
            await expect(page.get_by_role("heading", name="Web App")).to_be_visible()
            await page.goto(f"{home}/bye")
            await expect(page.get_by_role("heading", name="Goodbye")).to_be_visible()
            await expect(page.locator("#state")).to_have_text("s")
            await page.goto(rig.url)
            await expect(page.get_by_role("heading", name="Sign in")).to_be_visible()


async def test_an_answer_by_form_is_sent_on_its_own_and_by_hand(tmp_path: Path, browser: Browser) -> None:
    async with provider(tmp_path) as rig, rig.browser() as person:
        await rig.add_user()
        await person.sign_in()
        assert "code" in answer_of(await person.get(authorize_path(pkce())))
        for javascript in (True, False):
            context = await browser.new_context(java_script_enabled=javascript)
            await context.add_cookies([{"name": "auth_session", "value": person.cookie(), "url": rig.url}])
            await context.route(CALLBACK, lambda route: route.fulfill(body=route.request.post_data or ""))
            page = await context.new_page()
            await page.goto(rig.url + authorize_path(pkce(), response_mode="form_post"))
            if not javascript:
                await page.get_by_role("button", name="Continue").click()
            await page.wait_for_url(CALLBACK)
            await expect(page.locator("body")).to_contain_text("state=st4te")
            await context.close()
