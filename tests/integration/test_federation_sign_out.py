"""Signing out at the provider, too: the session here is gone first, the browser goes there and comes back."""

from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import aiohttp
import pytest
from joserfc import jwt

from tests.federation_rig import at_provider, federated_rig
from tests.federation_trip import MIRA, ONE_FACTOR, led, sign_out, signed_in
from tests.oidc_rig import GOODBYE, WEB, AppCalls, some_keys, tokens_for
from tests.programmable_provider import ProgrammableProvider, provider_and_gateway
from tests.rig import Browser, csrf_of
from tests.waiting import until


def ending(**discovery: Any) -> ProgrammableProvider:
    return ProgrammableProvider(id_token=dict(MIRA), more_discovery=discovery)


def asked(answer: aiohttp.ClientResponse, provider: ProgrammableProvider) -> dict[str, str]:
    """What the browser brings to the end-session endpoint."""
    assert answer.status == 303
    where = urlsplit(answer.headers["Location"])
    assert f"{where.scheme}://{where.netloc}{where.path}" == f"{provider.url}/end"
    return {name: values[0] for name, values in parse_qs(where.query).items()}


def with_end(provider: ProgrammableProvider) -> None:
    provider.more_discovery["end_session_endpoint"] = f"{provider.url}/end"


async def test_a_browser_signs_out_at_the_provider_and_comes_back(tmp_path: Path) -> None:
    sections = {"routes": ONE_FACTOR, "session": {"sign_out": {"allowed": ["https://www.example.com"]}}}
    async with (
        provider_and_gateway(tmp_path, ending(), sections=sections, logout=True) as (rig, provider),
        rig.browser() as browser,
    ):
        with_end(provider)
        await rig.add_user("mira", email="mira@example.com")
        for rd, onward in (
            ("", ""),
            ("/wiki?a=1", f"{rig.url}/wiki?a=1"),
            ("https://www.example.com/bye", "https://www.example.com/bye"),
            ("https://evil.test/", ""),
        ):
            await signed_in(browser, provider)
            query = asked(await sign_out(browser, rd), provider)
            assert (await rig.gateway.stores.sessions.list()) == []
            assert query["client_id"] == "gateway"
            assert query["post_logout_redirect_uri"] == f"{rig.url}/_auth/logout"
            assert jwt.decode(query["id_token_hint"], provider.key).claims["sub"] == "s1"
            back = f"/_auth/logout?{urlencode({'state': query['state']})}"
            answer = await browser.get(back)
            assert answer.headers.get("Location", "") == onward
            again = await browser.get(back)  # a state counts once, and a made-up one never
            assert again.status == 200
            assert "signed out" in await again.text()


async def test_nobody_is_sent_anywhere_by_a_state_that_we_did_not_make(tmp_path: Path) -> None:
    async with (
        provider_and_gateway(tmp_path, ending(), logout=True) as (rig, _),
        rig.browser() as browser,
    ):
        for state in ("https://evil.test/", "x", "%00", "%ED%A0%80", ""):
            answer = await browser.get(f"/_auth/logout?state={state}")
            assert answer.status == 200
        assert rig.url


@pytest.mark.parametrize(
    ("logout", "endpoint"),
    [(False, "{own}/end"), (True, ""), (True, "http://127.0.0.1:1/end"), (True, "/end")],
)
async def test_the_hint_goes_nowhere_where_it_is_not_meant_to(
    tmp_path: Path, logout: bool, endpoint: str
) -> None:
    async with (
        provider_and_gateway(tmp_path, ending(), sections={"routes": ONE_FACTOR}, logout=logout) as (
            rig,
            provider,
        ),
        rig.browser() as browser,
    ):
        if endpoint:
            provider.more_discovery["end_session_endpoint"] = endpoint.replace("{own}", provider.url)
        await rig.add_user("mira", email="mira@example.com")
        await signed_in(browser, provider)
        assert (await sign_out(browser)).headers["Location"] == "/_auth/logout"
        assert (await rig.gateway.stores.sessions.list()) == []


async def test_who_signed_in_with_a_password_has_nothing_to_end_there(tmp_path: Path) -> None:
    async with (
        provider_and_gateway(tmp_path, ending(), sections={"routes": ONE_FACTOR}, logout=True) as (
            rig,
            provider,
        ),
        rig.browser() as browser,
        rig.browser() as other,
    ):
        with_end(provider)
        await rig.add_user("mira", email="mira@example.com")
        await signed_in(other, provider)
        rig.clock.advance(1)
        await browser.password("mira")
        assert (await sign_out(browser)).headers["Location"] == "/_auth/logout"


async def test_a_provider_that_is_away_keeps_nobody_signed_in(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with (
        provider_and_gateway(tmp_path, ending(), sections={"routes": ONE_FACTOR}, logout=True) as (
            rig,
            provider,
        ),
        rig.browser() as browser,
    ):
        with_end(provider)
        await rig.add_user("mira", email="mira@example.com")
        await signed_in(browser, provider)
        provider.more_discovery["issuer"] = "https://somebody.else.test"
        rig.clock.advance(3601)
        rig.gateway.services.providers["corp"]._found_at = float("-inf")  # type: ignore[attr-defined]
        rig.clock.advance(-3600)
        assert (await sign_out(browser, "/wiki")).headers["Location"] == "/wiki"
        assert (await browser.get("/wiki")).headers["Location"] == "/_auth/login?rd=/wiki"
        assert "nobody is signed out at their provider" in caplog.text


async def test_an_app_that_signs_its_user_out_ends_the_providers_session_too(tmp_path: Path) -> None:
    (tmp_path / "oidc.keys").write_text(some_keys())
    (tmp_path / "oidc.keys").chmod(0o600)
    sections = {
        "oidc": {
            "clients": [{**WEB, "policy": {"require": "one_factor"}}],
            "keys_file": str(tmp_path / "oidc.keys"),
        },
        "federation": {"auto": True},
        "routes": ONE_FACTOR,
    }
    async with (
        provider_and_gateway(tmp_path, ending(), sections=sections, logout=True) as (rig, provider),
        rig.browser() as browser,
    ):
        with_end(provider)
        await rig.add_user("mira", email="mira@example.com")
        await signed_in(browser, provider)
        tokens = await tokens_for(browser, AppCalls(rig))
        query = urlencode(
            {"id_token_hint": tokens["id_token"], "post_logout_redirect_uri": GOODBYE, "state": "of-the-app"}
        )
        there = asked(await browser.get(f"/_auth/oidc/end-session?{query}"), provider)
        assert there["state"] != "of-the-app"
        assert jwt.decode(there["id_token_hint"], provider.key).claims["sub"] == "s1"
        back = await browser.get(f"/_auth/logout?{urlencode({'state': there['state']})}")
        assert back.headers["Location"] == f"{GOODBYE}?state=of-the-app"
        assert not await led(browser)  # nor is anybody signed in again at once


# -- the real one ------------------------------------------------------------------------------------------------------


async def arrive(browser: Browser, elsewhere: aiohttp.ClientSession) -> None:
    leaving = await browser.get("/_auth/federated/corp?rd=/wiki")
    back = await at_provider(elsewhere, leaving.headers["Location"], "m1")
    answer = await browser.get(back.removeprefix(browser.rig.url))
    assert answer.headers["Location"] == "/wiki", await answer.text()


async def at_end(elsewhere: aiohttp.ClientSession, url: str) -> str:
    """Say yes at the provider's own page, as a person would; returns where it sends the browser back."""
    async with elsewhere.get(url) as answer:
        page = await answer.text()
    xsrf, action = page.partition('name="xsrf" value="')[2], page.partition('action="')[2].partition('"')[0]
    form = {"xsrf": xsrf.partition('"')[0], "logout": "yes"}
    async with elsewhere.post(action, data=form, allow_redirects=False) as answer:
        return answer.headers["Location"]


async def test_a_real_provider_ends_its_session_with_ours_and_ours_with_its_own(tmp_path: Path) -> None:
    jar = aiohttp.CookieJar(unsafe=True)
    async with (
        federated_rig(tmp_path, gateway={"routes": ONE_FACTOR}, logout=True) as rig,
        rig.browser() as first,
        rig.browser() as second,
        aiohttp.ClientSession(cookie_jar=jar) as elsewhere,
        aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as another,
    ):
        await rig.add_user("mira", email="mira@example.com")
        await arrive(first, elsewhere)
        rig.clock.advance(1)
        await arrive(second, another)
        # Ours first: the browser comes back to our page, and the provider asks for its password again.
        token = csrf_of(await (await first.get("/_auth/logout")).text())
        leaving = await first.post("/_auth/logout", {"csrf_token": token, "rd": "/wiki"})
        back = await at_end(elsewhere, leaving.headers["Location"])
        assert back.startswith(f"{rig.url}/_auth/logout?state=")
        assert (await first.get(back.removeprefix(rig.url))).headers["Location"] == f"{rig.url}/wiki"
        async with elsewhere.get((await first.get("/_auth/federated/corp?rd=/")).headers["Location"]) as page:
            assert 'name="login"' in await page.text()
        assert (await second.get("/wiki")).status == 200
        # The provider's first: another app there signs its user out, and the provider tells us.
        issuer = rig.config.identity_providers[0].issuer  # type: ignore[union-attr]
        await at_end(another, f"{issuer}/session/end?client_id=gateway")

        async def ended() -> bool:
            return (await second.get("/wiki")).status == 303

        await until(ended, "the provider's end is heard of")
        await rig.gateway.services.audit.flush()
        rows = await rig.gateway.stores.audit_log.tail(100, event="provider_logout")
        assert [(row.username, row.data["provider"]) for row in rows] == [("mira", "corp")]
