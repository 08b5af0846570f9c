"""Scripts of allowed origins can read that a sign-in is due, and where; scripts of other origins can read nothing."""

from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientResponse

from tests.rig import Rig, running_gateway

SPA = "http://spa.test"
ROUTES: list[dict[str, Any]] = [
    {"path": "/api", "upstream": "UPSTREAM", "cors_origins": [SPA, "https://other.test:8443"]},
    {"path": "/never", "upstream": "UPSTREAM", "policy": {"require": "deny"}, "cors_origins": [SPA]},
    {"path": "/", "upstream": "UPSTREAM"},
    {"host": "spa.test", "path": "/", "upstream": "UPSTREAM"},
]
TRUSTED = {"server": {"trusted_proxies": ["127.0.0.0/8"]}}


async def fetch(rig: Rig, path: str, **headers: str) -> ClientResponse:
    """As a browser's `fetch` with credentials does."""
    async with rig.browser() as browser:
        sent = {"Accept": "*/*", "Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty", **headers}
        return await browser.get(path, **sent)


def forwarded(path: str) -> dict[str, str]:
    names = {"Proto": "http", "Host": "api.test", "Method": "GET", "Uri": path}
    return {f"X-Forwarded-{name}": value for name, value in names.items()}


async def test_the_login_address_comes_with_the_401_and_leads_back_to_the_calling_page(
    tmp_path: Path,
) -> None:
    async with running_gateway(tmp_path, routes=ROUTES) as rig:
        response = await fetch(rig, "/api/items", Referer=f"{rig.url}/shop?page=2")
        body = await response.json()
        assert (response.status, body["error"]) == (401, "sign_in_required")
        assert body["login_url"] == f"{rig.url}/_auth/login?rd=/shop%3Fpage%3D2"
        assert response.headers["X-Auth-Login"] == body["login_url"]
        assert response.headers["WWW-Authenticate"].startswith("Cookie ")
        foreign = await fetch(rig, "/api/items", Referer="https://evil.test/phish")
        assert (await foreign.json())["login_url"] == f"{rig.url}/_auth/login"
        spa = await fetch(rig, "/api/items", Referer=f"{SPA}/cart", Origin=SPA)
        assert (await spa.json())["login_url"] == f"{rig.url}/_auth/login?rd=http%3A//spa.test/cart"


@pytest.mark.parametrize("door", ["proxy", "forward"])
@pytest.mark.parametrize(
    ("path", "origin", "status", "readable"),
    [
        ("/api/x", SPA, 401, True),
        ("/api/x", "https://other.test:8443", 401, True),
        ("/api/x", "https://spa.test", 401, False),
        ("/api/x", "http://spa.test.evil.test", 401, False),
        ("/api/x", "null", 401, False),
        ("/api/x", "http://spa.test/", 401, False),  # no browser writes it so
        ("/other", SPA, 401, False),
        ("/never", SPA, 403, True),
        ("/never", "https://evil.test", 403, False),
    ],
)
async def test_only_allowed_origins_can_read_a_refusal(
    tmp_path: Path, door: str, path: str, origin: str, status: int, readable: bool
) -> None:
    async with running_gateway(tmp_path, routes=ROUTES, **TRUSTED) as rig:
        where, more = (path, {}) if door == "proxy" else ("/_auth/forward", forwarded(path))
        response = await fetch(rig, where, Origin=origin, **more)
        assert response.status == status
        given = response.headers.get("Access-Control-Allow-Origin")
        assert given == (origin if readable else None)
        assert response.headers.get("Access-Control-Allow-Credentials") == ("true" if readable else None)
        assert ("X-Auth-Login" in response.headers.get("Access-Control-Expose-Headers", "")) is readable
        assert ("Origin" in response.headers["Vary"]) is (path != "/other")


async def test_the_answers_of_apps_stay_their_own(tmp_path: Path) -> None:
    async with running_gateway(tmp_path, routes=ROUTES) as rig, rig.browser() as browser:
        await rig.add_user()
        await browser.sign_in()
        response = await browser.get("/api/items", Origin=SPA)
        assert response.status == 200
        assert "Access-Control-Allow-Origin" not in response.headers
