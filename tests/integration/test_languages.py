"""Which language a page is in: from its address, a cookie, the browser's wishes, or the configuration."""

import re
from pathlib import Path

import aiohttp
import pytest

from tests.mailbox import running_mailbox
from tests.rig import Browser, running_gateway

GERMAN = "de-CH, de;q=0.9, en;q=0.5"


async def language_of(response: aiohttp.ClientResponse) -> str:
    found = re.search(r'<html lang="([^"]*)" dir="ltr">', await response.text())
    assert found is not None
    assert response.headers["Content-Language"] == found[1]
    return found[1]


def choice(browser: Browser) -> str:
    return next((c.value for c in browser.session.cookie_jar if c.key == "auth_lang"), "")


async def test_a_page_is_in_the_language_that_the_browser_wants_most(tmp_path: Path) -> None:
    async with running_gateway(tmp_path) as rig, rig.browser() as browser:
        for header, expected in ((GERMAN, "de"), ("", "en"), ("sv, fr;q=0.2", "fr"), ("tlh", "en")):
            page = await browser.get("/_auth/login", **{"Accept-Language": header})
            assert await language_of(page) == expected, header
            assert choice(browser) == ""


async def test_a_choice_outlives_the_page_and_is_stronger_than_the_browser(tmp_path: Path) -> None:
    async with running_gateway(tmp_path) as rig, rig.browser() as browser:
        page = await browser.get("/_auth/login?lang=ja&rd=%2Fx", **{"Accept-Language": GERMAN})
        assert await language_of(page) == "ja"
        cookie = page.headers.getall("Set-Cookie")[-1]
        assert cookie.startswith("auth_lang=ja;")
        assert all(part in cookie for part in ("HttpOnly", "Path=/_auth", "SameSite=Lax"))
        assert await language_of(await browser.get("/_auth/logout", **{"Accept-Language": GERMAN})) == "ja"
        refused = await browser.post("/_auth/login", {"csrf_token": "x"}, **{"Accept-Language": GERMAN})
        assert await language_of(refused) == "ja"
        assert "?lang=" not in await refused.text()  # the answer to a form can't be asked for again


async def test_the_switch_keeps_what_the_page_was_asked_for(tmp_path: Path) -> None:
    async with running_gateway(tmp_path) as rig, rig.browser() as browser:
        page = await (await browser.get("/_auth/login?rd=%2Fa%3Fb%3D1%26c&lang=de")).text()
        assert '<a href="?rd=%2Fa%3Fb%3D1%26c&amp;lang=fr" lang="fr" hreflang="fr" dir="auto">' in page
        assert page.count('aria-current="true"') == 1


@pytest.mark.parametrize("wanted", ["xx", "../de", "EN", ""])
async def test_a_language_that_is_not_offered_changes_nothing(tmp_path: Path, wanted: str) -> None:
    async with running_gateway(tmp_path) as rig, rig.browser() as browser:
        page = await browser.get(f"/_auth/login?lang={wanted}", **{"Accept-Language": GERMAN})
        assert await language_of(page) == "de"
        assert choice(browser) == ""


async def test_the_operator_says_what_is_offered_and_what_else_is_spoken(tmp_path: Path) -> None:
    branding = {"language": "fr", "languages": ["de"]}
    async with running_gateway(tmp_path, branding=branding) as rig, rig.browser() as browser:
        assert await language_of(await browser.get("/_auth/login", **{"Accept-Language": "en"})) == "fr"
        page = await browser.get("/_auth/login?lang=ja", **{"Accept-Language": GERMAN})
        assert await language_of(page) == "de"
        assert re.findall(r'hreflang="(\w+)"', await page.text()) == ["de", "fr"]


async def test_errors_are_in_the_readers_language_and_json_in_english(tmp_path: Path) -> None:
    async with running_gateway(tmp_path, routes=[]) as rig, rig.browser() as browser:
        page = await browser.get("/nothing", **{"Accept-Language": "fr"})
        assert (page.status, await language_of(page)) == (404, "fr")
        told = await browser.session.get(
            rig.url + "/nothing", headers={"Accept": "application/json", "Accept-Language": "fr"}
        )
        assert (await told.json())["message"] == "There is nothing here."


async def test_an_apps_own_lang_is_none_of_our_business(tmp_path: Path) -> None:
    routes = [{"host": "*", "path": "/", "upstream": "UPSTREAM", "policy": {"require": "deny"}}]
    async with running_gateway(tmp_path, routes=routes) as rig, rig.browser() as browser:
        page = await browser.get("/page?lang=de", **{"Accept-Language": "es"})
        assert (page.status, await language_of(page)) == (403, "es")
        assert choice(browser) == ""
        assert "hreflang" not in await page.text()


async def test_no_app_hears_of_the_choice(tmp_path: Path) -> None:
    routes = [{"host": "*", "path": "/", "upstream": "UPSTREAM", "policy": {"require": "bypass"}}]
    async with running_gateway(tmp_path, routes=routes) as rig, rig.browser() as browser:
        seen = await (await browser.get("/", Cookie="auth_lang=de; theirs=1")).text()
        assert "theirs=1" in seen
        assert "auth_lang" not in seen


async def test_mails_are_in_the_language_of_the_page_that_caused_them(tmp_path: Path) -> None:
    async with running_mailbox() as (mailbox, email), running_gateway(tmp_path, email=email) as rig:
        await rig.add_user(email="alice@example.test")
        async with rig.browser() as browser:
            browser.session.headers["Accept-Language"] = GERMAN
            token = await browser.token("/_auth/reset")
            await browser.post("/_auth/reset", {"csrf_token": token, "username": "alice"})
            [mail] = await mailbox.wait(1)
            assert "auth-gateway: neues Passwort" in mail
            assert "Der Link gilt einmal" in mail
            assert f"{rig.url}/_auth/reset?token=" in mail
            await browser.get("/_auth/login?lang=fr")
            await browser.password()
            await browser.get("/_auth/verify?factor=email")
            mails = await mailbox.wait(2)
            assert "Votre code auth-gateway" in mails[1]
            assert re.search(r"\d{6} est votre code auth-gateway\. Ne le partagez jamais\.", mails[1])
            assert re.search(r"@127\.0\.0\.1 #\d{6}", mails[1])


async def test_errors_of_a_form_are_in_the_readers_language(tmp_path: Path) -> None:
    async with running_gateway(tmp_path) as rig, rig.browser() as browser:
        await rig.add_user()
        browser.session.headers["Accept-Language"] = "es"
        page = await (await browser.password(password="not the password")).text()
        assert "Nombre de usuario o contraseña incorrectos." in page
        assert "<title>Error: Iniciar sesión – auth-gateway</title>" in page
