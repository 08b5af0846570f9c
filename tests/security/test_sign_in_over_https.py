"""Where `public_url` is https, a page that was asked for over http leads to the sign-in over https, never over http."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.rig import HTML, Browser, running_gateway

SERVER = {"public_url": "https://login.test", "trusted_proxies": ["127.0.0.0/8"]}


@pytest_asyncio.fixture
async def browser(tmp_path: Path) -> AsyncIterator[Browser]:
    async with running_gateway(tmp_path, server=SERVER) as rig, rig.browser() as browser:
        yield browser


async def led_to(browser: Browser, path: str, **headers: str) -> tuple[int, str]:
    response = await browser.session.get(
        browser.rig.url + path, headers={**HTML, **headers}, allow_redirects=False
    )
    return response.status, response.headers.get("Location", "")


@pytest.mark.parametrize("said", [{"X-Forwarded-Proto": "http"}, {}], ids=["a proxy says http", "no proxy"])
async def test_an_app_over_http_leads_to_the_sign_in_over_https(
    browser: Browser, said: dict[str, str]
) -> None:
    assert await led_to(browser, "/app?x=1", Host="app.test", **said) == (
        303,
        "https://app.test/_auth/login?rd=/app%3Fx%3D1",
    )


async def test_a_proxy_that_asks_about_http_is_led_to_https_and_back_to_https(browser: Browser) -> None:
    asked = {
        "X-Forwarded-Proto": "http",
        "X-Forwarded-Host": "app.test",
        "X-Forwarded-Uri": "/app",
        "X-Forwarded-Method": "GET",
    }
    _, where = await led_to(browser, "/_auth/forward", **asked)
    assert where.startswith("https://")
    assert "http:" not in where
    assert "http%3A" not in where


async def test_who_comes_by_https_is_led_as_before(browser: Browser) -> None:
    said = {"X-Forwarded-Proto": "https", "Host": "app.test"}
    assert await led_to(browser, "/app", **said) == (303, "/_auth/login?rd=/app")


async def test_a_port_that_may_not_speak_https_is_kept(browser: Browser) -> None:
    """Which port has https beside http on 8080 is not known: nobody is sent to a port that may not answer."""
    assert await led_to(browser, "/app", Host="app.test:8080") == (303, "/_auth/login?rd=/app")


async def test_a_proxy_that_ends_tls_and_does_not_say_so_gets_the_page_and_no_circle(
    browser: Browser,
) -> None:
    status, where = await led_to(browser, "/_auth/login?rd=/app", Host="app.test")
    assert (status, where) == (200, "")


async def test_without_https_nobody_is_led_there(tmp_path: Path) -> None:
    async with running_gateway(tmp_path) as rig, rig.browser() as browser:
        assert await led_to(browser, "/app", Host="app.test") == (303, "/_auth/login?rd=/app")
