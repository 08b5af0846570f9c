"""Unusual sign-ins through a whole gateway, with a real MaxMind DB file and a real mailbox."""

import json
import re
from pathlib import Path
from typing import Any

import maxminddb
import pytest

from gateway.authn.risk.geo import Geo, Location
from gateway.errors import ConfigError
from tests.geoip import geoip_file
from tests.mailbox import running_mailbox
from tests.rig import Rig, running_gateway

BERLIN, TOKYO, OSAKA = "203.0.113.10", "198.51.100.10", "198.51.100.200"
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"
HOUR = 3600


@pytest.fixture
def geoip(tmp_path: Path) -> Path:
    return geoip_file(tmp_path)


def overrides(geoip: Path, **risk: Any) -> dict[str, Any]:
    return {"server": {"trusted_proxies": ["127.0.0.1/32"]}, "risk": {"geoip_file": str(geoip), **risk}}


async def sign_in(rig: Rig, ip: str, *, agent: str = FIREFOX, rd: str = "/", remember: bool = False) -> str:
    """The whole sign-in from an address in a fresh browser; where the password led to."""
    async with rig.browser() as browser:
        browser.session.headers.update({"X-Forwarded-For": ip, "User-Agent": agent})
        response = await browser.password(rd=rd)
        if response.status != 303:
            return str(response.status)
        where = response.headers["Location"]
        if where.startswith("/_auth/verify"):
            assert (await browser.code(rd=rd)).status == 303
            assert (await browser.get(rd)).status == 200
        return where.partition("?")[0]


def recorded(caplog: pytest.LogCaptureFixture, event: str) -> list[dict[str, Any]]:
    lines = [json.loads(r.getMessage()) for r in caplog.records if r.name == "gateway.audit"]
    return [line for line in lines if line["event"] == event]


ONE_FACTOR = [{"host": "*", "path": "/", "upstream": "UPSTREAM", "policy": {"require": "one_factor"}}]


def test_locations_come_from_the_file(geoip: Path) -> None:
    from ipaddress import ip_address

    geo = Geo(geoip)
    assert geo.locate(ip_address(TOKYO)) == Location("JP", 35.68, 139.69)
    assert geo.locate(ip_address("2001:db8::1")) == Location("FR", 48.86, 2.35)
    assert geo.locate(ip_address("192.0.2.1")) == Location()
    assert geo.locate(ip_address("10.0.0.1")) == Location()
    geo.close()
    assert Geo(None).locate(ip_address(TOKYO)) == Location()


def test_places_are_told_in_the_readers_language_as_far_as_they_are_known(geoip: Path) -> None:
    geo = Geo(geoip)
    assert geo.place(BERLIN, "de") == "Berlin, Deutschland"
    assert geo.place(TOKYO, "fr") == "Tokyo, JP"
    assert geo.place("2001:db8::1", "en") == "FR"
    assert [geo.place(ip, "en") for ip in ("192.0.2.1", "10.0.0.1", "", "nowhere")] == [""] * 4
    geo.close()
    assert Geo(None).place(BERLIN, "de") == ""


async def test_the_account_page_says_where_each_session_and_device_is(tmp_path: Path, geoip: Path) -> None:
    async with running_gateway(tmp_path, **overrides(geoip)) as rig, rig.browser() as browser:
        await rig.add_user()
        browser.session.headers.update({"X-Forwarded-For": BERLIN})
        assert (await browser.password()).status == 303
        assert (await browser.code(remember_device="1")).status == 303
        page = await (await browser.get("/_auth/account", **{"Accept-Language": "de"})).text()
        assert page.count("Berlin, Deutschland") == 2
        assert BERLIN in page
    async with running_gateway(tmp_path) as rig, rig.browser() as browser:
        await browser.sign_in()
        assert "Berlin" not in await (await browser.get("/_auth/account")).text()


def test_a_file_that_is_no_database_is_a_mistake_in_the_configuration(tmp_path: Path) -> None:
    (tmp_path / "x.mmdb").write_text("not a database")
    for file in (tmp_path / "x.mmdb", tmp_path / "missing.mmdb"):
        with pytest.raises(ConfigError, match=r"risk\.geoip_file"):
            Geo(file)


def test_the_file_is_one_that_others_read_too(geoip: Path) -> None:
    with maxminddb.open_database(geoip) as reader:
        assert reader.metadata().database_type == "GeoLite2-City"


async def test_a_new_country_asks_for_a_second_factor_even_where_a_password_would_do(
    tmp_path: Path, geoip: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", logger="gateway.audit")
    async with running_gateway(tmp_path, routes=ONE_FACTOR, **overrides(geoip)) as rig:
        await rig.add_user()
        assert await sign_in(rig, BERLIN) == "/"
        rig.clock.advance(48 * HOUR)
        assert await sign_in(rig, TOKYO) == "/_auth/verify"
        rig.clock.advance(48 * HOUR)
        assert await sign_in(rig, TOKYO) == "/", "once proven, it is a usual place"
    signals = {line["signal"]: line for line in recorded(caplog, "risk_signal")}
    assert set(signals) == {"new_network", "new_country"}
    assert signals["new_country"] | {"at": 0} == {
        "at": 0,
        "event": "risk_signal",
        "user": "alice",
        "ip": TOKYO,
        "signal": "new_country",
        "action": "step_up",
        "country": "JP",
        "known": ["DE"],
    }


async def test_a_password_alone_teaches_no_new_country(tmp_path: Path, geoip: Path) -> None:
    async with running_gateway(tmp_path, routes=ONE_FACTOR, **overrides(geoip)) as rig:
        await rig.add_user()
        assert await sign_in(rig, BERLIN) == "/"
        rig.clock.advance(48 * HOUR)
        for _ in range(3):
            async with rig.browser() as thief:
                thief.session.headers.update({"X-Forwarded-For": TOKYO})
                assert (await thief.password()).headers["Location"].startswith("/_auth/verify")
                assert (await thief.get("/")).status == 303
        assert rig.upstream.requests == []


async def test_impossible_travel_makes_a_remembered_device_count_for_nothing(
    tmp_path: Path, geoip: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", logger="gateway.audit")
    async with (
        running_gateway(tmp_path, **overrides(geoip, new_country="allow")) as rig,
        rig.browser() as browser,
    ):
        await rig.add_user()
        browser.session.headers.update({"X-Forwarded-For": BERLIN, "User-Agent": FIREFOX})
        await browser.password()
        await browser.code(remember_device="1")
        for hours, ip, asked in ((5, BERLIN, False), (1, TOKYO, True), (20, BERLIN, False)):
            token = await browser.token("/_auth/logout")
            await browser.post("/_auth/logout", {"csrf_token": token})
            rig.clock.advance(hours * HOUR)
            browser.session.headers.update({"X-Forwarded-For": ip})
            where = (await browser.password()).headers["Location"]
            assert where.startswith("/_auth/verify") is asked, ip
            if asked:
                assert (await browser.code()).status == 303
    [signal] = [line for line in recorded(caplog, "risk_signal") if line["signal"] == "impossible_travel"]
    assert (signal["from"], signal["to"], signal["hours"]) == ("DE", "JP", 1.0)
    assert 8800 < signal["km"] < 9000


async def test_deny_refuses_with_a_reason_and_starts_no_session(
    tmp_path: Path, geoip: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", logger="gateway.audit")
    async with running_gateway(tmp_path, **overrides(geoip, new_country="deny")) as rig:
        await rig.add_user()
        assert await sign_in(rig, BERLIN) == "/_auth/verify"
        rig.clock.advance(48 * HOUR)
        async with rig.browser() as browser:
            browser.session.headers.update({"X-Forwarded-For": TOKYO, "User-Agent": FIREFOX})
            response = await browser.password()
            assert response.status == 403
            assert "from a country that we have not seen you in" in await response.text()
            assert (await browser.get("/")).headers["Location"].startswith("/_auth/login")
    [refusal] = recorded(caplog, "login_refused")
    assert refusal["signals"] == ["new_network", "new_country"]


async def test_a_new_device_is_told_by_mail_with_a_way_to_end_the_session(tmp_path: Path) -> None:
    async with running_mailbox() as (mailbox, email), running_gateway(tmp_path, email=email) as rig:
        await rig.add_user(email="alice@example.test")
        await sign_in(rig, "127.0.0.1")
        await sign_in(rig, "127.0.0.1", agent=FIREFOX.replace("128.0", "131.0"))
        assert mailbox.mails == []
        await sign_in(rig, "127.0.0.1", agent="curl/8.5 on a toaster")
        [mail] = await mailbox.wait(1)
        assert "from a device or browser that we have not seen you use" in mail
        assert f"{rig.url}/_auth/account" in mail
        assert not re.search(r"\d{6}", mail.replace(str(rig.port), "")), "no code in a notice"
