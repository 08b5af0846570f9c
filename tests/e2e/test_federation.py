"""Sign-in through a real OpenID provider, in a real browser."""

from pathlib import Path
from urllib.parse import urlencode

from aiohttp import web
from playwright.async_api import Browser

from tests.federation_rig import federated_rig
from tests.federation_trip import MIRA, ONE_FACTOR
from tests.programmable_provider import ProgrammableProvider, provider_and_gateway


async def test_a_person_signs_in_with_an_account_elsewhere_and_a_code(
    tmp_path: Path, browser: Browser
) -> None:
    async with federated_rig(tmp_path) as rig:
        await rig.add_user("mira", email="mira@example.com")
        page = await browser.new_page()
        await page.goto(f"{rig.url}/wiki")
        await page.get_by_role("link", name="Sign in with Corp").click()
        await page.locator("input[name=login]").fill("m1")
        await page.locator("input[name=password]").fill("any")
        await page.get_by_role("button", name="Sign-in").click()
        await page.get_by_role("button", name="Continue").click()
        await page.wait_for_url("**/_auth/verify**")
        await page.get_by_label("Code").fill(await rig.newest_code())
        await page.get_by_role("button", name="Verify").click()
        await page.wait_for_url(f"{rig.url}/wiki")
        assert '"Remote-User", "mira"' in await page.content()


async def test_a_sole_provider_is_gone_to_at_once_and_brings_back_to_the_very_place(
    tmp_path: Path, browser: Browser
) -> None:
    """With scripts what is behind # is kept, and the provider never sees it; without them the way is the same."""
    async with federated_rig(tmp_path, gateway={"federation": {"auto": True}}) as rig:
        await rig.add_user("mira", email="mira@example.com")
        for script in (True, False):
            context = await browser.new_context(java_script_enabled=script)
            page = await context.new_page()
            seen: list[str] = []
            page.on("framenavigated", lambda frame, seen=seen: seen.append(frame.url))  # type: ignore[misc]
            await page.goto(f"{rig.url}/wiki#part-7")
            await page.locator("input[name=login]").fill("m1")
            assert not any("#" in url for url in seen if "/_auth/" not in url and "/wiki" not in url)
            await page.locator("input[name=password]").fill("any")
            await page.get_by_role("button", name="Sign-in").click()
            await page.get_by_role("button", name="Continue").click()
            await page.get_by_label("Code").fill(await rig.newest_code())
            await page.get_by_role("button", name="Verify").click()
            await page.wait_for_url(f"{rig.url}/wiki{'#part-7' if script else ''}")
            rig.terminal.truncate(0)
            rig.clock.advance(60)


async def test_a_page_of_the_provider_signs_out_in_a_frame_and_others_can_not_frame_it(
    tmp_path: Path, browser: Browser
) -> None:
    framed = ""

    async def provider_page(request: web.Request) -> web.StreamResponse:
        if request.path == "/authorize":
            asked = provider.begun(str(request.url))
            back = urlencode({"code": "the-code", "state": asked["state"]})
            raise web.HTTPFound(f"{asked['redirect_uri']}?{back}")
        if request.path == "/signed-out":
            return web.Response(text=f"<iframe src='{framed}'></iframe>", content_type="text/html")
        return await provider.handle(request)

    provider = ProgrammableProvider(id_token={**MIRA, "sid": "p1"})
    async with provider_and_gateway(
        tmp_path, provider, sections={"routes": ONE_FACTOR}, handler=provider_page
    ) as (rig, _):
        await rig.add_user("mira", email="mira@example.com")
        page = await browser.new_page()
        await page.goto(f"{rig.url}/_auth/federated/corp?rd=/wiki")
        await page.wait_for_url(f"{rig.url}/wiki")
        framed = f"{rig.url}/_auth/federated/corp/frontchannel-logout?iss={provider.url}&sid=p1"
        elsewhere = provider.url.replace("127.0.0.1", "localhost")
        await page.goto(f"{elsewhere}/signed-out")  # another origin, which is another site
        assert len(await rig.gateway.stores.sessions.list()) == 1
        await page.goto(f"{provider.url}/signed-out")
        assert await rig.gateway.stores.sessions.list() == []
