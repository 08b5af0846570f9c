"""A provider ends the session of the browser that shows its page: its own alone, and nobody's by a link."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import aiohttp
import pytest

from tests.federation_trip import MIRA, ONE_FACTOR, signed_in
from tests.programmable_provider import ProgrammableProvider, provider_and_gateway
from tests.rig import Browser, Rig

Crew = tuple[Rig, ProgrammableProvider, Browser]
WHERE = "/_auth/federated/corp/frontchannel-logout"


@pytest.fixture
async def crew(tmp_path: Path) -> AsyncIterator[Crew]:
    provider = ProgrammableProvider(id_token={**MIRA, "sid": "p1"})
    async with (
        provider_and_gateway(tmp_path, provider, sections={"routes": ONE_FACTOR}) as (rig, _),
        rig.browser() as browser,
    ):
        await rig.add_user("mira", email="mira@example.com")
        await signed_in(browser, provider)
        yield rig, provider, browser


async def framed(browser: Browser, **query: str) -> aiohttp.ClientResponse:
    return await browser.get(f"{WHERE}?{urlencode(query)}", **{"Sec-Fetch-Dest": "iframe"})


async def test_the_session_ends_in_the_browser_that_has_it(crew: Crew) -> None:
    rig, provider, browser = crew
    answer = await framed(browser, iss=provider.url, sid="p1")
    assert answer.status == 200
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["Content-Security-Policy"] == (
        f"default-src 'none'; frame-ancestors {provider.url}"
    )
    assert "X-Frame-Options" not in answer.headers
    assert 'auth_session=""' in answer.headers["Set-Cookie"]
    assert await rig.gateway.stores.sessions.list() == []
    assert (await browser.get("/wiki")).status == 303
    await rig.gateway.services.audit.flush()
    [row] = await rig.gateway.stores.audit_log.tail(9, event="provider_logout")
    assert (row.username, row.data["provider"]) == ("mira", "corp")


@pytest.mark.parametrize(
    "query",
    [
        {"iss": "{own}", "sid": "p2"},
        {"iss": "{own}", "sid": ""},
        {"iss": "{own}"},
        {"sid": "p1"},
        {"iss": "https://evil.test", "sid": "p1"},
        {"iss": "{own}", "sid": "\ud800"},
        {},
    ],
)
async def test_an_address_that_anybody_could_write_signs_nobody_out(
    crew: Crew, query: dict[str, str]
) -> None:
    _, provider, browser = crew
    pairs = [(name, value.replace("{own}", provider.url)) for name, value in query.items()]
    written = "&".join(f"{name}={'%ED%A0%80' if value == chr(0xD800) else value}" for name, value in pairs)
    answer = await browser.get(f"{WHERE}?{written}")
    assert answer.status == 200
    assert "Set-Cookie" not in answer.headers
    assert (await browser.get("/wiki")).status == 200


async def test_who_is_not_signed_in_there_sees_the_same_page(crew: Crew) -> None:
    rig, provider, browser = crew
    async with rig.browser() as stranger, rig.browser() as local:
        rig.clock.advance(1)
        await local.password("mira")
        pages = [await framed(one, iss=provider.url, sid="p1") for one in (stranger, local, browser)]
        assert len({await page.text() for page in pages}) == 1
        assert {page.status for page in pages} == {200}
        assert (await local.get("/wiki")).status == 200


async def test_a_session_whose_provider_told_no_sid_is_not_named_by_an_empty_one(tmp_path: Path) -> None:
    provider = ProgrammableProvider(id_token=dict(MIRA))
    more: dict[str, Any] = {"sections": {"routes": ONE_FACTOR}}
    async with provider_and_gateway(tmp_path, provider, **more) as (rig, _), rig.browser() as browser:
        await rig.add_user("mira", email="mira@example.com")
        await signed_in(browser, provider)
        await framed(browser, iss=provider.url, sid="")
        assert (await browser.get("/wiki")).status == 200
