"""What a stranger who holds a host of ours can get by a hand-off between domains: nothing that is not that host's.

The attacker of these tests has a name in DNS below one of `domains` (a forgotten entry that points to a machine of
theirs), may ask the gateway for anything under that name, and gets a signed-in victim to follow a link.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, urljoin, urlsplit

import aiohttp
import pytest

from gateway.session.cross_domain_code import digest
from tests.domains_rig import CONFIG, PORTAL, SHOP, WIKI, Traveller
from tests.rig import HTML, csrf_of, running_gateway

TAKEN_OVER = "takeover.other.org"
BEHIND_PROXY: dict[str, Any] = {
    **CONFIG,
    "server": {**CONFIG["server"], "trusted_proxies": ["127.0.0.0/8"]},
    "routes": [{"host": "*.other.org", "path": "/", "upstream": "UPSTREAM"}, *CONFIG["routes"]],
}


async def victim_signs_in(victim: Traveller) -> None:
    await victim.rig.add_user()
    await victim.sign_in(PORTAL, "/")


async def begun_elsewhere(attacker: Traveller, host: str, **headers: str) -> str:
    """Where the attacker's own browser is sent to sign in, from a host that they hold."""
    response = await attacker.session.get(
        attacker.url(host, "/_auth/login?rd=/"), headers={**HTML, **headers}, allow_redirects=False
    )
    return urljoin(str(response.url), response.headers["Location"])


async def followed(
    browser: Traveller, url: str, headers: Mapping[str, str] | None = None
) -> aiohttp.ClientResponse:
    response = await browser.session.get(url, headers={**HTML, **(headers or {})}, allow_redirects=False)
    await response.read()
    return response


async def test_a_host_that_only_a_wildcard_serves_gets_no_code(tmp_path: Path) -> None:
    async with running_gateway(tmp_path, **BEHIND_PROXY) as rig, Traveller(rig) as victim:
        await victim_signs_in(victim)
        async with Traveller(rig) as attacker:
            across = await begun_elsewhere(attacker, TAKEN_OVER)
        response = await followed(victim, across)
        assert response.status == 400
        assert "Location" not in response.headers


async def test_a_link_that_no_host_of_ours_made_hands_nothing_over(tmp_path: Path) -> None:
    async with running_gateway(tmp_path, **BEHIND_PROXY) as rig, Traveller(rig) as victim:
        await victim_signs_in(victim)
        to = quote(victim.url(WIKI), safe="")
        for nonce in (f"nonce={digest('known')}", "begun=forged", "begun=", ""):
            response = await followed(victim, victim.url(PORTAL, f"/_auth/across?to={to}&{nonce}"))
            assert response.status == 400, nonce


async def test_what_began_for_one_page_is_no_good_for_another(tmp_path: Path) -> None:
    async with running_gateway(tmp_path, **BEHIND_PROXY) as rig, Traveller(rig) as victim:
        await victim_signs_in(victim)
        across = await begun_elsewhere(victim, WIKI)
        begun = parse_qs(urlsplit(across).query)["begun"][0]
        for host, path in ((SHOP, "/"), (WIKI, "/other")):
            to = quote(victim.url(host, path), safe="")
            url = victim.url(PORTAL, f"/_auth/across?to={to}&begun={quote(begun)}")
            assert (await followed(victim, url)).status == 400


ELSEWHERE = [
    {"X-Forwarded-For": "203.0.113.9"},
    {"User-Agent": "another browser"},
]


@pytest.mark.parametrize("differs", ELSEWHERE, ids=["address", "browser"])
async def test_what_began_in_another_browser_asks_before_anything_is_handed_over(
    tmp_path: Path, differs: dict[str, str]
) -> None:
    async with running_gateway(tmp_path, **BEHIND_PROXY) as rig, Traveller(rig) as victim:
        await victim_signs_in(victim)
        async with Traveller(rig) as attacker:
            across = await begun_elsewhere(attacker, WIKI, **differs)
        page = await followed(victim, across)
        assert page.status == 200
        assert WIKI in await page.text()
        answer = await victim.session.post(
            across,
            data={"csrf_token": csrf_of(await page.text())},
            headers={**HTML, "Origin": victim.url(PORTAL, "").rstrip("/")},
            allow_redirects=False,
        )
        assert answer.status == 303  # said so by the user, on the portal's own page
        assert answer.headers["Location"].startswith(victim.url(WIKI, "/_auth/handoff?code="))


async def test_nobody_says_yes_for_the_user(tmp_path: Path) -> None:
    async with running_gateway(tmp_path, **BEHIND_PROXY) as rig, Traveller(rig) as victim:
        await victim_signs_in(victim)
        async with Traveller(rig) as attacker:
            across = await begun_elsewhere(attacker, WIKI, **{"User-Agent": "another"})
        for headers in ({"Origin": victim.url(TAKEN_OVER, "")}, {"Sec-Fetch-Site": "cross-site"}, {}):
            answer = await victim.session.post(
                across, data={"csrf_token": "guess"}, headers={**HTML, **headers}, allow_redirects=False
            )
            assert "Location" not in answer.headers


async def test_a_session_that_was_handed_over_counts_at_its_host_alone(tmp_path: Path) -> None:
    """The worst case: the attacker has the cookie of a host. It opens that host and nothing else."""
    async with running_gateway(tmp_path, **BEHIND_PROXY) as rig, Traveller(rig) as victim:
        await rig.add_user()
        page = await victim.sign_in(WIKI, "/")
        assert page.status == 200
        stolen = {"Cookie": f"auth_session={victim.cookie(WIKI)}", **HTML}
        async with aiohttp.ClientSession() as attacker:

            async def status(host: str, path: str, **headers: str) -> int:
                response = await attacker.get(
                    f"http://127.0.0.1:{rig.port}{path}",
                    headers={"Host": f"{host}:{rig.port}", **stolen, **headers},
                    allow_redirects=False,
                )
                await response.read()
                return response.status

            assert await status(WIKI, "/") == 200
            for host in (PORTAL, SHOP, "sister.other.org", "any.example"):
                rig.gateway.sessions.forget_user("alice")
                assert await status(host, "/") == 303, host  # read from the store
                assert await status(WIKI, "/") == 200
                for _ in range(2):  # from memory
                    assert await status(host, "/") == 303, host
                    assert await status(host, "/", Accept="application/json") == 401, host
            for page_of_ours in ("/_auth/account", "/_auth/admin", "/_auth/enrol"):
                assert await status(PORTAL, page_of_ours) in (303, 403), page_of_ours
            asked = {"X-Forwarded-Proto": "http", "X-Forwarded-Method": "GET", "X-Forwarded-Uri": "/"}
            for host, answer in ((WIKI, 200), (SHOP, 302), (PORTAL, 302)):
                assert await status("auth", "/_auth/forward", **asked, **{"X-Forwarded-Host": host}) == answer
            for host, answer in ((WIKI, 200), (SHOP, 401)):  # nginx asks under the app's name or its own
                original = {"X-Original-URL": f"http://{host}:{rig.port}/", "X-Original-Method": "GET"}
                for asks_as in ("auth", WIKI):
                    assert await status(asks_as, "/_auth/forward", **original) == answer
            assert await status(WIKI, "/") == 200


async def test_the_portals_own_cookie_does_not_count_where_one_must_be_handed_over(tmp_path: Path) -> None:
    async with running_gateway(tmp_path, **BEHIND_PROXY) as rig, Traveller(rig) as victim:
        await victim_signs_in(victim)
        async with aiohttp.ClientSession(headers=HTML) as attacker:
            for host, answer in ((PORTAL, 200), (WIKI, 303)):
                headers = {"Host": f"{host}:{rig.port}", "Cookie": f"auth_session={victim.cookie(PORTAL)}"}
                url = f"http://127.0.0.1:{rig.port}/"
                response = await attacker.get(url, headers=headers, allow_redirects=False)
                assert response.status == answer


async def test_what_has_waited_too_long_begins_anew_at_its_host(tmp_path: Path) -> None:
    async with running_gateway(tmp_path, **BEHIND_PROXY) as rig, Traveller(rig) as victim:
        await victim_signs_in(victim)
        across = await begun_elsewhere(victim, WIKI)
        rig.clock.advance(601)
        response = await followed(victim, across)
        assert (response.status, response.headers["Location"]) == (303, victim.url(WIKI, "/"))


@pytest.mark.parametrize("ahead", [-30.0, 30.0])
async def test_clocks_that_differ_between_replicas_send_nobody_round_in_circles(
    tmp_path: Path, ahead: float
) -> None:
    """The host and the portal may be answered by two machines."""
    async with running_gateway(tmp_path, **BEHIND_PROXY) as rig, Traveller(rig) as victim:
        await victim_signs_in(victim)
        rig.clock.advance(ahead)
        across = await begun_elsewhere(victim, WIKI)
        rig.clock.advance(-ahead)
        response = await followed(victim, across)
        assert response.headers["Location"].startswith(victim.url(WIKI, "/_auth/handoff?code="))


async def test_a_pattern_that_domains_names_is_served(tmp_path: Path) -> None:
    named = {**BEHIND_PROXY, "domains": [{"domain": "other.org", "hosts": ["*.team.other.org"]}]}
    async with running_gateway(tmp_path, **named) as rig, Traveller(rig) as browser:
        await rig.add_user()
        page = await browser.sign_in("a.team.other.org", "/x")
        assert (page.status, page.url.host) == (200, "a.team.other.org")
        assert (await browser.follow(browser.url(TAKEN_OVER))).status == 400
