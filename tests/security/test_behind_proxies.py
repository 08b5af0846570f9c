"""A proxy that writes addresses, ports and lists in its own way: its clients gain nothing by it, and lose nothing."""

from pathlib import Path
from typing import Any

import pytest

from tests.rig import HTML, Browser, csrf_of, running_gateway

TRUSTED: dict[str, Any] = {"trusted_proxies": ["127.0.0.0/8", "10.0.0.0/8"]}
ROUTES = [
    {
        "host": "*",
        "path": "/",
        "upstream": "UPSTREAM",
        "rules": [
            {"networks": ["127.0.0.0/8", "10.0.0.0/8"], "require": "bypass"},
            {"require": "two_factor"},
        ],
    }
]


@pytest.mark.parametrize(
    ("said", "status"),
    [
        ("203.0.113.9:51234", 303),
        ("[2001:db8::9]:443", 303),
        ("2001:db8::9", 303),
        ("203.0.113.9", 303),
        ("unknown", 400),
        ("nonsense", 400),
        ("10.1.2.3", 200),  # who is in that network
        ("10.1.2.3:4444", 200),
    ],
)
async def test_no_form_of_an_address_makes_a_client_the_proxy(tmp_path: Path, said: str, status: int) -> None:
    async with running_gateway(tmp_path, server=TRUSTED, routes=ROUTES) as rig, rig.browser() as browser:
        for _ in range(2):  # the second request may go another way through the gateway
            assert (await browser.get("/", **{"X-Forwarded-For": said})).status == status
        forwarded = {"server": {**TRUSTED, "proxy_headers": "forwarded"}}
    (tmp_path / "b").mkdir()
    async with running_gateway(tmp_path / "b", **forwarded, routes=ROUTES) as rig, rig.browser() as browser:
        element = f'for="{said}"'
        assert (await browser.get("/", Forwarded=element, **{"X-Forwarded-For": "10.0.0.1"})).status == status


async def test_guesses_through_a_proxy_that_names_ports_lock_nobody_else_out(tmp_path: Path) -> None:
    async with running_gateway(tmp_path, server=TRUSTED) as rig:
        await rig.add_user()
        async with rig.browser() as attacker:
            token = await attacker.token("/_auth/login")
            for number in range(31):
                form = {"username": f"nobody{number}", "password": "wrong", "csrf_token": token, "rd": "/"}
                where = {"X-Forwarded-For": f"203.0.113.9:{40000 + number}"}
                response = await attacker.post("/_auth/login", form, **where)
            assert response.status == 429
        async with rig.browser() as owner:
            page = await owner.get("/_auth/login", **{"X-Forwarded-For": "198.51.100.7:1234"})
            form = {"username": "alice", "password": "correct horse battery", "rd": "/"}
            form["csrf_token"] = csrf_of(await page.text())
            response = await owner.post("/_auth/login", form, **{"X-Forwarded-For": "198.51.100.7:1234"})
            assert response.status == 303


async def signed_in_with(browser: Browser, **headers: str) -> int:
    page = await browser.get("/_auth/login", **headers)
    form = {
        "username": "alice",
        "password": "correct horse battery",
        "csrf_token": csrf_of(await page.text()),
    }
    response = await browser.session.post(
        f"{browser.rig.url}/_auth/login",
        data={**form, "rd": "/"},
        headers={**HTML, **headers},
        allow_redirects=False,
    )
    return response.status


@pytest.mark.parametrize(
    ("site", "status"),
    [("same-origin", 303), ("same-site", 403), ("cross-site", 403), ("none", 403), ("", 403)],
)
async def test_where_the_origin_is_hidden_the_browser_says_which_site_sent_the_form(
    tmp_path: Path, site: str, status: int
) -> None:
    """A proxy before us that adds `Referrer-Policy: no-referrer` makes browsers send `Origin: null`."""
    fetched = {"Sec-Fetch-Site": site} if site else {}
    async with running_gateway(tmp_path) as rig, rig.browser() as browser:
        await rig.add_user()
        assert await signed_in_with(browser, Origin="null", **fetched) == status


@pytest.mark.parametrize(
    ("site", "status"),
    [("same-origin", 303), ("none", 303), ("same-site", 403), ("cross-site", 403), ("", 303)],
)
async def test_without_any_origin_the_site_decides(tmp_path: Path, site: str, status: int) -> None:
    """A neighbour below the same domain is same-site, and no friend; browsers of old say nothing."""
    fetched = {"Sec-Fetch-Site": site} if site else {}
    async with running_gateway(tmp_path) as rig, rig.browser() as browser:
        await rig.add_user()
        assert await signed_in_with(browser, **fetched) == status


async def test_a_form_behind_nginx_on_another_port_is_ours(tmp_path: Path) -> None:
    """`proxy_set_header Host $host; proxy_set_header X-Forwarded-Port $server_port;`"""
    async with running_gateway(tmp_path, server=TRUSTED) as rig, rig.browser() as browser:
        await rig.add_user()
        sent = {"Host": "app.test", "X-Forwarded-Port": "8443", "X-Forwarded-Proto": "https"}
        assert await signed_in_with(browser, **sent, Origin="https://app.test:8443") == 303
        assert await signed_in_with(browser, **sent, Origin="https://app.test:9443") == 403
        assert await signed_in_with(browser, **sent, Origin="https://app.test") == 403
