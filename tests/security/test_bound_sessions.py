"""`session.bind`: a cookie that turns up where its session was not proven opens nothing there, by whatever door."""

import logging
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from gateway.config.sections.session import Bind
from gateway.model import SessionRecord
from gateway.session.binding import SessionBinding
from tests.integration.test_sms_money import events
from tests.mailbox import running_mailbox
from tests.rig import HTML, Browser, Rig, running_gateway

HOME, NEXT_DOOR, ABROAD = "198.51.100.7", "198.51.100.200", "203.0.113.66"
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:144.0) Gecko/20100101 Firefox/144.0"
LATER = "Mozilla/5.0 (X11; Linux x86_64; rv:144.0) Gecko/20100101 Firefox/144.7"
UPDATED = "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0"
CURL = "curl/8.5.0"
CONFIG: dict[str, Any] = {
    "server": {"trusted_proxies": ["127.0.0.0/8"]},
    "session": {"bind": {"network": "/24", "user_agent": "major"}},
}


def record(ip: str = HOME, agent: str = FIREFOX) -> SessionRecord:
    return SessionRecord("s", "alice", ("password",), {"password": 1.0}, 1.0, 1.0, 9e9, ip, agent)


@pytest.mark.parametrize(
    ("bind", "began", "now", "differs"),
    [
        ({"network": "/24"}, HOME, NEXT_DOOR, ()),
        ({"network": "/24"}, HOME, ABROAD, ("network",)),
        ({"network": "/32"}, HOME, NEXT_DOOR, ("network",)),
        ({"network": "/24"}, "2001:db8:17:1::5", "2001:db8:17:ffff::9", ()),
        ({"network": "/24"}, "2001:db8:17:1::5", "2001:db8:18::9", ("network",)),
        ({"network": "/24", "network6": "/64"}, "2001:db8:17:1::5", "2001:db8:17:2::9", ("network",)),
        ({"network": "/24"}, HOME, "2001:db8::1", ("network",)),
        ({"network": "/24"}, "", HOME, ("network",)),
        ({"network": "/24"}, HOME, "", ("network",)),
        ({"country": True}, HOME, NEXT_DOOR, ()),
        ({"country": True}, HOME, ABROAD, ("country",)),
        ({"country": True}, HOME, "", ("country",)),
        ({}, HOME, ABROAD, ()),
    ],
)
def test_networks_are_compared_by_family_and_what_cannot_be_read_is_elsewhere(
    bind: dict[str, Any], began: str, now: str, differs: tuple[str, ...]
) -> None:
    countries = {ip_address(HOME): "DE", ip_address(NEXT_DOOR): "DE", ip_address(ABROAD): "US"}
    binding = SessionBinding(Bind.model_validate(bind), lambda address: countries.get(address, ""))
    assert binding.differs(record(began), ip_address(now) if now else None, FIREFOX) == differs


@pytest.mark.parametrize(
    ("how", "agent", "same"),
    [
        ("major", LATER, True),
        ("major", UPDATED, False),
        ("browser", UPDATED, True),
        ("browser", CURL, False),
        ("major", "", False),
        ("browser", FIREFOX.replace("Linux", "Windows"), False),
    ],
)
def test_browsers_are_compared_by_kind_and_main_version(how: str, agent: str, same: bool) -> None:
    binding = SessionBinding(Bind.model_validate({"user_agent": how}), lambda address: "")
    assert (binding.differs(record(), ip_address(ABROAD), agent) == ()) is same


async def asks(
    rig: Rig, cookie: str, path: str = "/", ip: str = HOME, agent: str = FIREFOX, **more: str
) -> aiohttp.ClientResponse:
    headers = {**HTML, "Cookie": f"auth_session={cookie}", "X-Forwarded-For": ip, "User-Agent": agent, **more}
    async with (
        aiohttp.ClientSession() as client,
        client.get(rig.url + path, headers=headers, allow_redirects=False) as response,
    ):
        await response.read()
        return response


async def signed_in(rig: Rig, browser: Browser) -> str:
    browser.session.headers.update({"X-Forwarded-For": HOME, "User-Agent": FIREFOX})
    await rig.add_user(email="alice@example.com")
    await browser.sign_in()
    return browser.cookie()


@pytest.mark.parametrize("fast", [True, False], ids=["fast path", "ordinary path"])
@pytest.mark.parametrize(("ip", "agent"), [(ABROAD, FIREFOX), (HOME, CURL)], ids=["network", "browser"])
async def test_a_stolen_cookie_opens_no_app_elsewhere_and_the_owner_goes_on(
    tmp_path: Path, fast: bool, ip: str, agent: str
) -> None:
    config = {**CONFIG, "server": {**CONFIG["server"], "fast_path": fast}}
    async with running_gateway(tmp_path, **config) as rig, rig.browser() as browser:
        cookie = await signed_in(rig, browser)
        for _ in range(3):  # read, then remembered, then on the fast path
            assert (await asks(rig, cookie)).status == 200
            assert (await asks(rig, cookie, ip=NEXT_DOOR, agent=LATER)).status == 200
            before = len(rig.upstream.requests)
            refused = await asks(rig, cookie, ip=ip, agent=agent)
            assert refused.status == 303
            assert refused.headers["Location"].startswith("/_auth/login")
            assert (await asks(rig, cookie, "/api", ip, agent, Accept="application/json")).status == 401
            assert len(rig.upstream.requests) == before


async def test_nor_the_account_the_forward_auth_question_or_a_pass(tmp_path: Path) -> None:
    async with running_gateway(tmp_path, **CONFIG) as rig, rig.browser() as browser:
        cookie = await signed_in(rig, browser)
        forwarded = {
            "X-Forwarded-Method": "GET",
            "X-Forwarded-Proto": "http",
            "X-Forwarded-Host": f"127.0.0.1:{rig.port}",
            "X-Forwarded-Uri": "/",
        }
        for _ in range(2):
            assert (await asks(rig, cookie, "/_auth/account")).status == 200
            assert (await asks(rig, cookie, "/_auth/forward", **forwarded)).status == 200
            assert (await asks(rig, cookie, "/_auth/account", ABROAD)).status == 303
            assert (await asks(rig, cookie, "/_auth/forward", ABROAD, **forwarded)).status == 302
        given = await asks(rig, cookie, "/_auth/pass?rd=/")
        refused = await asks(rig, cookie, "/_auth/pass?rd=/", ABROAD)
        assert len(given.headers["Set-Cookie"]) > len(refused.headers["Set-Cookie"]) + 100


async def test_the_operator_hears_of_each_network_and_the_owner_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "gateway.audit")
    async with (
        running_mailbox() as (mailbox, email),
        running_gateway(tmp_path, email=email, **CONFIG) as rig,
        rig.browser() as browser,
    ):
        cookie = await signed_in(rig, browser)
        for ip in (ABROAD, ABROAD, "192.0.2.1", ABROAD):
            await asks(rig, cookie, ip=ip)
        told = events(caplog, "session_elsewhere")
        assert [event["ip"] for event in told] == [ABROAD, "192.0.2.1"]
        assert (told[0]["user"], told[0]["proven_at"], told[0]["differs"]) == ("alice", HOME, ["network"])
        mails = [one for one in await mailbox.wait(1) if "used elsewhere" in one]
        assert len(mails) == 1
        assert ABROAD in mails[0]
        assert HOME in mails[0]


async def test_who_moves_signs_in_again_and_goes_on(tmp_path: Path) -> None:
    async with running_gateway(tmp_path, **CONFIG) as rig, rig.browser() as browser:
        await signed_in(rig, browser)
        browser.session.headers["X-Forwarded-For"] = ABROAD
        assert (await browser.get("/")).status == 303
        await browser.sign_in()
        assert (await browser.get("/")).status == 200


async def test_without_the_key_a_session_goes_wherever_its_cookie_goes(tmp_path: Path) -> None:
    async with running_gateway(tmp_path, server=CONFIG["server"]) as rig, rig.browser() as browser:
        cookie = await signed_in(rig, browser)
        assert (await asks(rig, cookie, ip=ABROAD, agent=CURL)).status == 200
