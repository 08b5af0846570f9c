"""Rule 1, for rules that ask where callers are: both paths of the proxy and every door ask about the real client."""

from pathlib import Path
from typing import Any

import pytest
from yarl import URL

from gateway.cli.replay import compare
from gateway.config.schema import Config
from tests.geoip import geoip_file
from tests.integration.test_forward_auth import Asker, ask, envoy, nginx, traefik
from tests.rig import Browser, running_gateway

BERLIN, TOKYO, NOWHERE = "203.0.113.10", "198.51.100.10", "192.0.2.10"
TRUSTED = {"trusted_proxies": ["127.0.0.1/32"]}
RULES: list[dict[str, Any]] = [{"countries": ["DE"], "require": "bypass"}, {"require": "deny"}]

BANNED = {"countries": ["JP"], "require": "deny"}
ANSWERS = (
    ("/x", BERLIN, 200),
    ("/x", TOKYO, 403),
    ("/x", NOWHERE, 403),
    ("/x", f"{BERLIN}, {TOKYO}", 403),
    ("/open", BERLIN, 200),
    ("/open", TOKYO, 403),
    ("/open", NOWHERE, 200),
)


def settings(folder: Path, **server: Any) -> dict[str, Any]:
    return {
        "server": {**TRUSTED, **server},
        "risk": {"geoip_file": str(geoip_file(folder))},
        "routes": [
            {"path": "/open", "upstream": "UPSTREAM", "rules": [dict(BANNED), {"require": "bypass"}]},
            {"path": "/", "upstream": "UPSTREAM", "rules": [dict(rule) for rule in RULES]},
        ],
    }


async def status(browser: Browser, path: str, client: str) -> int:
    url, headers = URL(browser.rig.url + path), {"X-Forwarded-For": client}
    async with browser.session.get(url, headers=headers) as response:
        return response.status


@pytest.mark.parametrize("fast_path", [True, False])
async def test_the_proxy_knows_where_each_client_is(tmp_path: Path, fast_path: bool) -> None:
    made = settings(tmp_path, fast_path=fast_path)
    async with running_gateway(tmp_path, **made) as rig, rig.browser() as browser:
        for path, client, expected in (*ANSWERS, *ANSWERS):
            assert await status(browser, path, client) == expected, (path, client)


async def test_who_is_no_trusted_proxy_is_where_it_is(tmp_path: Path) -> None:
    made = settings(tmp_path, trusted_proxies=[])
    async with running_gateway(tmp_path, **made) as rig, rig.browser() as browser:
        assert await status(browser, "/x", BERLIN) == 403


@pytest.mark.parametrize("dialect", [traefik, nginx, envoy])
async def test_every_door_knows_it(tmp_path: Path, dialect: Asker) -> None:
    async with running_gateway(tmp_path, **settings(tmp_path)) as rig, rig.browser() as browser:
        for path, client, expected in ANSWERS:
            response = await ask(browser, dialect, path, **{"X-Forwarded-For": client})
            assert response.status == expected, (path, client)


async def test_replay_finds_the_country_of_a_recorded_address(tmp_path: Path) -> None:
    given = {**settings(tmp_path), "routes": [{"upstream": "http://127.0.0.1:1", "rules": RULES}]}
    line = (
        '{"event": "request", "ts": "2027-01-15T08:00:00+00:00", "host": "a.test", "method": "GET", "path": "/",'
        ' "client": "%s", "user": "", "factors": {}, "verdict": "allow", "route": "*/"}'
    )

    async def nobody(name: str) -> None:
        return None

    outcome = await compare(Config.model_validate(given), [line % BERLIN, line % TOKYO], nobody)
    assert (outcome.requests, [one.would_be for one in outcome.differences]) == (2, ["deny"])
