"""Exported configurations: no spelling and no header of a client makes an engine say yes where the gateway says no."""

import asyncio
from pathlib import Path

import pytest

from tests.integration.engines import ENGINES, behind
from tests.rig import Rig

RULES = [{"paths": ["/open"], "require": "bypass"}, {"paths": ["/secret"], "require": "two_factor"}]
SIGNS = ("|", "\\n", "%0a", "%7C", "\x01", "\t", ",", ";", ":", "&")


async def test_an_answer_that_nginx_keeps_opens_no_other_path(tmp_path: Path) -> None:
    """The first address ends like the second request's key; the second one's header begins like the first key."""
    async with behind(
        "nginx", tmp_path, routes=[{"path": "/", "upstream": "UPSTREAM", "rules": RULES}]
    ) as rig:
        for number, sign in enumerate(SIGNS):
            client = f"192.0.2.{number}"
            between = sign.join(("", "http", f"127.0.0.1:{rig.port}", "GET", ""))
            await status(rig, f"/open?x{between}/secret", client)
            assert await status(rig, "/secret", f"{client}{between}/open?x") >= 400, sign
        assert any("/open" in asked for asked in rig.upstream.requests)
        assert not any(asked.startswith("GET /secret") for asked in rig.upstream.requests)


@pytest.mark.parametrize("engine", ENGINES)
async def test_a_spelling_of_path_or_host_opens_nothing(tmp_path: Path, engine: str) -> None:
    """HAProxy decides some requests alone; an app may read all of these as the address that is shut."""
    routes = [
        {"host": "shut.test", "upstream": "UPSTREAM", "policy": {"require": "deny"}},
        {"path": "/shut", "upstream": "UPSTREAM", "policy": {"require": "deny"}},
        {"path": "/", "upstream": "UPSTREAM", "policy": {"require": "bypass"}},
    ]
    async with behind(engine, tmp_path, routes=routes) as rig:
        assert await status(rig, "/open", host="open.test") == 200
        paths = (
            "/x\\..\\shut",
            "/\\shut",
            "/x/..\\shut",
            "//shut",
            "/x/%2e%2e/shut",
            "/;/../shut",
            "/shut;x",
            "/%73hut",
        )
        for path in paths:
            assert await status(rig, path, host="open.test") >= 400, path
        for host in ("shut.test", "shut.test.", "SHUT.test", "shut.test:80", "shut.test.:80"):
            assert await status(rig, "/open", host=host) >= 400, host
        assert rig.upstream.requests == ["GET /open"]


async def status(rig: Rig, path: str, forwarded_for: str = "192.0.2.1", host: str = "") -> int:
    reader, writer = await asyncio.open_connection("127.0.0.1", rig.port)
    lines = (
        f"GET {path} HTTP/1.1",
        f"Host: {host or f'127.0.0.1:{rig.port}'}",
        f"X-Forwarded-For: {forwarded_for}",
    )
    writer.write("\r\n".join((*lines, "Connection: close", "", "")).encode())
    found = int((await reader.readline()).split()[1])
    writer.close()
    return found
