"""An exported nginx keeps answers for a while: never one for another request, whatever a client writes into it."""

import asyncio
from pathlib import Path

from tests.integration.engines import behind
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


async def status(rig: Rig, path: str, forwarded_for: str) -> int:
    reader, writer = await asyncio.open_connection("127.0.0.1", rig.port)
    lines = (f"GET {path} HTTP/1.1", f"Host: 127.0.0.1:{rig.port}", f"X-Forwarded-For: {forwarded_for}")
    writer.write("\r\n".join((*lines, "Connection: close", "", "")).encode())
    found = int((await reader.readline()).split()[1])
    writer.close()
    return found
