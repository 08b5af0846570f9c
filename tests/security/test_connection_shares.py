"""One address can't take all connections (rule 7)."""

import asyncio
from pathlib import Path

from tests.rig import running_gateway
from tests.waiting import PATIENCE

PROBE = b"GET /_auth/healthz HTTP/1.1\r\nHost: app.test\r\nConnection: close\r\n\r\n"


async def asked(port: int, *, source: str) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=(source, 0))
    try:
        writer.write(PROBE)
        return await reader.read()
    except ConnectionResetError:
        return b"reset"
    finally:
        writer.close()


async def test_an_address_that_opens_all_connections_it_can_leaves_the_rest_for_others(
    tmp_path: Path,
) -> None:
    limits = {"connections": 8, "connections_per_address": 3}
    async with running_gateway(tmp_path, server={"limits": limits}) as rig:
        greedy = [
            await asyncio.open_connection("127.0.0.1", rig.port, local_addr=("127.0.0.2", 0))
            for _ in range(20)
        ]
        try:
            refused = await greedy[19][0].read()
            assert refused.startswith(b"HTTP/1.1 503"), refused
            assert (await asked(rig.port, source="127.0.0.2")).startswith((b"HTTP/1.1 503", b"reset"))
            assert (await asked(rig.port, source="127.0.0.3")).startswith(b"HTTP/1.1 200")
        finally:
            for _, writer in greedy:
                writer.close()
        async with asyncio.timeout(PATIENCE):
            while not (await asked(rig.port, source="127.0.0.2")).startswith(b"HTTP/1.1 200"):
                await asyncio.sleep(0.05)
