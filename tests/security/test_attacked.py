"""Strangers who guess shut nobody out who is known, and the operator sees at whom they guess and from where."""

import logging
import re
from html import unescape
from pathlib import Path

import aiohttp
import pytest

from gateway.observability import metrics
from gateway.rate_limits import CODE_FAILURES, CODES_PER_USER, PASSWORD_FAILURES, PASSWORD_PER_USER
from tests.admin_rig import add_token, administered, api, shown
from tests.integration.test_sms_money import events
from tests.rig import Browser, csrf_of, running_gateway
from tests.software_key import SoftwareKey

PROXIED = {"server": {"trusted_proxies": ["127.0.0.0/8"]}}


async def by_passkey(browser: Browser, key: SoftwareKey) -> int:
    page = await (await browser.get("/_auth/passkey")).text()
    options = re.search(r"data-options=\"([^\"]*)\"", page)
    assert options
    answer = key.answer(unescape(options[1]), browser.rig.url)
    form = {"csrf_token": csrf_of(page), "rd": "/", "credential": answer}
    return (await browser.post("/_auth/passkey", form)).status


async def test_a_passkey_signs_in_while_every_lock_of_the_account_is_closed(tmp_path: Path) -> None:
    config = {"server": {"public_url": "http://localhost:PORT"}}
    async with running_gateway(tmp_path, **config) as rig, rig.browser() as owner, rig.browser() as stranger:
        rig.url = f"http://localhost:{rig.port}"
        await rig.add_user()
        key = SoftwareKey()
        await rig.gateway.stores.credentials.add(key.stored("alice"))
        for budget in (PASSWORD_FAILURES, PASSWORD_PER_USER, CODE_FAILURES, CODES_PER_USER):
            for _ in range(budget.limit):
                await rig.gateway.services.limits.spend(budget, "alice")
        assert (await stranger.password()).status == 429
        assert await by_passkey(owner, key) == 303
        assert (await owner.get("/")).status == 200
        assert (await stranger.password()).status == 429, "and lifts no lock of strangers by it"


async def test_the_operator_sees_who_is_attacked_from_where_and_since_when(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "gateway.audit")
    async with (
        administered(tmp_path, **PROXIED) as (rig, admin),
        rig.browser() as stranger,
        aiohttp.ClientSession() as client,
    ):
        began = rig.clock.now
        spent = metrics.tries_spent.labels("password", "tries_spent")._value.get()
        token = await stranger.token("/_auth/login")
        for attempt in range(10):
            form = {"username": "bob", "password": f"guess {attempt}", "csrf_token": token, "rd": "/"}
            source = "198.51.100.7" if attempt < 7 else f"2001:db8:1:2::{attempt}"
            await rig.gateway.services.audit.flush()
            await stranger.post("/_auth/login", form, **{"X-Forwarded-For": source})
            rig.clock.advance(1)
        await rig.gateway.services.audit.flush()
        (told,) = events(caplog, "tries_spent")
        assert told["user"] == "bob"
        assert (told["others"], told["since"]) == (0, began)
        assert told["failures"] in (9, 10), "the tenth may not be in the table yet"
        assert told["networks"][0] == "198.51.100.7 (7)"
        assert told["networks"][1].startswith("2001:db8:1:2::/64 (")
        assert metrics.tries_spent.labels("password", "tries_spent")._value.get() == spent + 1

        page = unescape(re.sub(r"<[^>]*>", "", await shown(admin, "/blocked")))
        assert "198.51.100.7 (7), 2001:db8:1:2::/64 (3)" in page
        reads = await add_token(rig, "admin:read")
        status, body, _ = await api(client, rig, "GET", "/attacks", reads)
        assert status == 200
        (attack,) = body["items"]
        assert (attack["username"], attack["failures"], attack["since"]) == ("bob", 10, began)
        assert attack["networks"][0] == {"network": "198.51.100.7", "failures": 7}
        rig.clock.advance(86400)
        assert (await api(client, rig, "GET", "/attacks", reads))[1]["items"] == []
