"""A host that nobody configured shows no page of ours, so nothing can be proven there (security rule 1)."""

import json
import re
from collections.abc import Mapping
from html import unescape
from pathlib import Path
from typing import Any

import pytest

from tests.domains_rig import Traveller
from tests.rig import HTML, csrf_of, running_gateway
from tests.software_key import SoftwareKey

PORTAL, APP, UNKNOWN = "login.example.test", "app.example.test", "pages.example.test"
CONFIG: dict[str, Any] = {
    "server": {"public_url": f"http://{PORTAL}:PORT", "allow_plain_http": True},
    "session": {"domain": "example.test"},
    "routes": [
        {"host": APP, "upstream": "UPSTREAM"},
        {"host": "*.team.example.test", "upstream": "UPSTREAM"},
    ],
}
PAGES = ["login", "passkey", "verify", "enrol", "account", "logout", "reset", "admin", "across", "nothing"]


def options_in(page: str) -> str:
    found = re.search(r"data-options=\"([^\"]*)\"", page)
    assert found
    return unescape(found[1])


async def test_pages_are_shown_at_hosts_that_are_configured_and_at_no_other(tmp_path: Path) -> None:
    async with running_gateway(tmp_path, **CONFIG) as rig, Traveller(rig) as browser:
        for host, status in ((PORTAL, 200), (APP, 200), ("a.team.example.test", 200), (UNKNOWN, 404)):
            assert (await browser.get(browser.url(host, "/_auth/login"))).status == status, host
        for host in (UNKNOWN, "example.test", "evil.test", "127.0.0.1"):
            for page in PAGES:
                response = await browser.get(browser.url(host, f"/_auth/{page}"))
                assert response.status == 404, (host, page)
                assert "Set-Cookie" not in response.headers


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/healthz", 200),
        ("/readyz", 200),
        ("/metrics", 200),
        ("/jwks.json", 200),
        ("/admin/api/v1/users", 401),
    ],
)
async def test_programs_may_use_any_name_and_address(tmp_path: Path, path: str, status: int) -> None:
    async with running_gateway(tmp_path, **CONFIG) as rig, Traveller(rig) as browser:
        for host in ("127.0.0.1", UNKNOWN):
            response = await browser.session.get(browser.url(host, f"/_auth{path}"))
            assert response.status == status


async def test_a_proxy_may_ask_at_any_name(tmp_path: Path) -> None:
    config = {**CONFIG, "server": {**CONFIG["server"], "trusted_proxies": ["127.0.0.0/8"]}}
    async with running_gateway(tmp_path, **config) as rig, Traveller(rig) as browser:
        asked = {"X-Forwarded-Host": APP, "X-Forwarded-Method": "GET", "X-Forwarded-Uri": "/"}
        response = await browser.session.get(
            browser.url("auth", "/_auth/forward"),
            headers={**HTML, **asked, "X-Forwarded-Proto": "http"},
            allow_redirects=False,
        )
        assert response.status == 302
        assert response.headers["Location"].startswith(f"http://{PORTAL}:{rig.port}/_auth/login?rd=")


@pytest.mark.parametrize("relayed_at", [PORTAL, UNKNOWN, "b.team.example.test"])
async def test_a_passkey_used_on_a_strangers_page_is_worth_nothing_wherever_it_is_relayed(
    tmp_path: Path, relayed_at: str
) -> None:
    """The stranger holds a name below our domain: browsers let its pages ask for our keys."""
    async with running_gateway(tmp_path, **CONFIG) as rig, Traveller(rig) as attacker:
        await rig.add_user()
        key = SoftwareKey()
        await rig.gateway.stores.credentials.add(key.stored("alice"))
        page = await attacker.get(attacker.url(PORTAL, "/_auth/passkey"))
        text = await page.text()
        for origin_host in (relayed_at, UNKNOWN):
            if origin_host == PORTAL:
                continue
            answer = key.answer(options_in(text), attacker.url(origin_host, ""))
            assert (await _posted(attacker, relayed_at, text, answer)).status in (401, 403, 404)
            text = await (await attacker.get(attacker.url(PORTAL, "/_auth/passkey"))).text()
        answer = key.answer(options_in(text), attacker.url(PORTAL, ""))
        assert (await _posted(attacker, PORTAL, text, answer)).status == 303  # what the owner can do


async def _posted(browser: Traveller, host: str, page: str, answer: str) -> Any:
    form: Mapping[str, str] = {"csrf_token": csrf_of(page), "rd": "/", "credential": answer}
    return await browser.session.post(
        browser.url(host, "/_auth/passkey"),
        data=form,
        headers={**HTML, "Origin": browser.url(host, "")},
        allow_redirects=False,
    )


@pytest.mark.parametrize("credential", ["[" * 3000, '{"a":' * 1500, '"\\ud800"', json.dumps({"id": 1})])
async def test_an_answer_that_no_browser_sends_is_refused_without_a_fault(
    tmp_path: Path, credential: str
) -> None:
    async with running_gateway(tmp_path, **CONFIG) as rig, Traveller(rig) as browser:
        page = await (await browser.get(browser.url(PORTAL, "/_auth/passkey"))).text()
        assert (await _posted(browser, PORTAL, page, credential)).status == 401
