"""A real nginx that caches stands before us: nobody gets from it what an app answered to somebody else."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from tests.integration.engines import RealClock, command, process
from tests.rig import HTML, Rig, running_gateway
from tests.waiting import free_port

CACHE = """
pid nginx.pid; error_log stderr; events {{ }}
http {{
  access_log off;
  proxy_cache_path cache keys_zone=all:1m;
  server {{
    listen 127.0.0.1:{port};
    location / {{
      proxy_pass http://127.0.0.1:{gateway};
      proxy_set_header Host $http_host;
      proxy_set_header X-Forwarded-For $remote_addr;
      proxy_cache all;
      proxy_cache_valid 200 10m;
      add_header X-Cache $upstream_cache_status always;
    }}
  }}
}}
"""
TELLS = {
    "nothing": {},
    "max-age": {"Cache-Control": "max-age=600"},
    "public": {"Cache-Control": "public, s-maxage=600"},
    "expires": {"Expires": "Thu, 01 Dec 2044 16:00:00 GMT"},
    "x-accel": {"X-Accel-Expires": "600"},
    "field": {"Cache-Control": 'private="x-some", max-age=600'},
}


async def app(request: web.Request) -> web.Response:
    who = request.headers.get("Remote-User", "nobody")
    return web.Response(text=f"secret of {who}", headers=TELLS[request.path.rpartition("/")[2]])


@asynccontextmanager
async def cached(folder: Path, **route: Any) -> AsyncIterator[Rig]:
    """A gateway with users, and nginx before it at `url`."""
    port = free_port()
    server = {"public_url": f"http://127.0.0.1:{port}", "trusted_proxies": ["127.0.0.1/32"]}
    routes = [{"path": "/open", "upstream": "UPSTREAM", "policy": {"require": "bypass"}}]
    routes.append({"path": "/", "upstream": "UPSTREAM", **route})
    async with running_gateway(folder, handler=app, clock=RealClock(), server=server, routes=routes) as rig:
        await rig.add_user()
        file = folder / "cache.conf"
        file.write_text(CACHE.format(port=port, gateway=rig.port))
        async with process([*command("nginx", file), "-p", str(folder)], port, folder):
            rig.url, rig.port = f"http://127.0.0.1:{port}", port
            yield rig


async def test_a_stranger_gets_no_page_that_was_behind_sign_in(tmp_path: Path) -> None:
    async with cached(tmp_path) as rig, rig.browser() as browser, aiohttp.ClientSession() as stranger:
        await browser.sign_in()
        for tells in TELLS:
            for _ in range(2):
                response = await browser.get(f"/{tells}")
                assert await response.text() == "secret of alice", tells
            async with stranger.get(f"{rig.url}/{tells}", headers=HTML, allow_redirects=False) as answer:
                assert (answer.status, answer.headers["X-Cache"]) == (303, "MISS"), tells
                assert "secret" not in await answer.text()


async def test_what_is_open_to_all_is_cached_as_the_app_wants_until_somebody_we_know_asks(
    tmp_path: Path,
) -> None:
    async with cached(tmp_path) as rig, rig.browser() as browser, aiohttp.ClientSession() as stranger:
        await browser.sign_in()
        response = await browser.get("/open/public")
        assert response.headers["Cache-Control"] == "private"
        for hit in ("MISS", "HIT"):
            async with stranger.get(f"{rig.url}/open/public") as answer:
                assert answer.headers["X-Cache"] == hit
                assert await answer.text() == "secret of nobody"


@pytest.mark.parametrize("fast", [True, False])
async def test_a_route_that_is_cacheable_passes_on_what_the_app_says(tmp_path: Path, fast: bool) -> None:
    routes = [{"path": "/", "upstream": "UPSTREAM", "cacheable": True}]
    async with (
        running_gateway(tmp_path, handler=app, routes=routes, server={"fast_path": fast}) as rig,
        rig.browser() as browser,
    ):
        await rig.add_user()
        await browser.sign_in()
        assert (await browser.get("/public")).headers["Cache-Control"] == "public, s-maxage=600"
