"""One name for a request: in our log, at the app, on our pages, and that of a trusted proxy if it gave one."""

import io
import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.rig import Browser, running_gateway

ROUTES = [
    {"host": "*", "path": "/plain", "upstream": "UPSTREAM", "policy": {"require": "bypass"}},
    {
        "host": "*",
        "path": "/own",
        "upstream": "UPSTREAM",
        "policy": {"require": "bypass"},
        "headers": {"drop": ["X-Request-ID"]},
    },
    {"host": "*", "path": "/closed", "upstream": "UPSTREAM"},
]
FRESH = re.compile(r"[0-9a-f]{16}")


def logged(lines: io.StringIO) -> list[dict[str, Any]]:
    entries = map(json.loads, lines.getvalue().splitlines())
    return [entry for entry in entries if entry["event"] == "request"]


async def seen_by_app(browser: Browser, path: str, **headers: str) -> list[str]:
    response = await browser.get(path, **headers)
    told = json.loads(await response.text())["headers"]
    return [value for name, value in told if name.lower().replace("_", "-") == "x-request-id"]


@pytest.mark.parametrize("fast_path", [True, False])
async def test_app_and_log_know_a_request_by_the_same_name(
    tmp_path: Path, fast_path: bool, lines: io.StringIO
) -> None:
    async with running_gateway(tmp_path, routes=ROUTES, server={"fast_path": fast_path}) as rig:
        async with rig.browser() as browser:
            names = [await seen_by_app(browser, "/plain") for _ in range(3)]
            faked = await seen_by_app(browser, "/plain", **{"X-Request-Id": "faked", "x_request_id": "faked"})
            assert await seen_by_app(browser, "/own") == []
        names.append(faked)
        assert all(len(one) == 1 and FRESH.fullmatch(one[0]) for one in names), names
        assert len({one[0] for one in names}) == len(names)
        assert [entry["id"] for entry in logged(lines)][:4] == [one[0] for one in names]
        assert {entry["reason"] for entry in logged(lines)} == {"bypass"}


@pytest.mark.parametrize("fast_path", [True, False])
async def test_a_trusted_proxy_names_requests_and_what_is_no_name_is_replaced(
    tmp_path: Path, fast_path: bool, lines: io.StringIO
) -> None:
    server = {"fast_path": fast_path, "trusted_proxies": ["127.0.0.1/32"]}
    async with running_gateway(tmp_path, routes=ROUTES, server=server) as rig, rig.browser() as browser:
        await browser.get("/plain")
        assert await seen_by_app(browser, "/plain", **{"X-Request-Id": "abc-1"}) == ["abc-1"]
        assert logged(lines)[-1]["id"] == "abc-1"
        odd = await seen_by_app(browser, "/plain", **{"X-Request-Id": 'a" injected'})
        assert FRESH.fullmatch(odd[0])
        refused = await browser.get("/closed", **{"X-Request-Id": "abc-2", "Accept": "*/*"})
        assert (refused.status, refused.headers["X-Request-Id"]) == (401, "abc-2")
        assert json.loads(await refused.text())["request_id"] == "abc-2"
