"""Rule 1, for rules that ask about the query: the same answer on both paths of the proxy and through every door."""

import logging
from pathlib import Path
from typing import Any

import pytest

from tests.integration.test_forward_auth import Asker, ask, envoy, nginx, through_the_proxy, traefik
from tests.rig import running_gateway

TRUSTED = {"trusted_proxies": ["127.0.0.1/32"]}
OPENING = {"query": [{"key": {"matches": "k[0-9]+"}}], "require": "bypass"}
CLOSING = {"query": [{"admin": {"present": True}}], "require": "deny"}
ALLOWED = ("/?key=k1", "/x?a=b&key=k22", "/?key=%6b1", "/?key=k1&key=k2", "/open", "/open?a=b", "/open?Admin")
REFUSED = (
    "/",
    "/?",
    "/?key",
    "/?key=x",
    "/?key=k1&admin",
    "/?key=k1&%61dmin=",
    "/?key=k1;admin=1",
    "/?key=k1&key=x",
    "/?key=k1&admin[]=",
    "/key=k1",
    "/?Key=k1",
    "/open?admin",
    "/open?a;admin=1",
    "/open?admin[x]",
)


def routes() -> list[dict[str, Any]]:
    return [
        {"path": "/open", "upstream": "UPSTREAM", "rules": [dict(CLOSING), {"require": "bypass"}]},
        {"path": "/", "upstream": "UPSTREAM", "rules": [dict(CLOSING), dict(OPENING)]},
    ]


@pytest.mark.parametrize("fast_path", [True, False])
async def test_the_proxy_asks_about_each_query_anew(tmp_path: Path, fast_path: bool) -> None:
    """One connection, one header block: whatever is remembered of the first request may not decide the next."""
    server = {"fast_path": fast_path}
    async with running_gateway(tmp_path, server=server, routes=routes()) as rig, rig.browser() as browser:
        for _ in range(2):
            for path in ALLOWED:
                assert (await through_the_proxy(browser, path)).status == 200, path
            for path in REFUSED:
                assert (await through_the_proxy(browser, path)).status == 403, path
        assert sorted(set(rig.upstream.requests)) == sorted(f"GET {path}" for path in ALLOWED)


@pytest.mark.parametrize("dialect", [traefik, nginx, envoy])
async def test_every_door_asks_about_the_query(tmp_path: Path, dialect: Asker) -> None:
    async with running_gateway(tmp_path, server=TRUSTED, routes=routes()) as rig, rig.browser() as browser:
        answers = {path: (await ask(browser, dialect, path)).status for path in (*ALLOWED, *REFUSED)}
    assert [path for path, status in answers.items() if status == 200] == list(ALLOWED)
    assert set(answers.values()) == {200, 403}


async def test_a_door_that_hears_of_no_query_answers_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "gateway.forwardauth")
    forward = {"compatible": ["vouch"]}
    async with (
        running_gateway(tmp_path, server=TRUSTED, forward=forward, routes=routes()) as rig,
        rig.browser() as browser,
        browser.session.get(f"{rig.url}/validate") as response,
    ):
        assert response.status == 403
    assert "ask about query, which this proxy does not name" in caplog.text
