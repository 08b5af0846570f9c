"""A gigabyte through the proxy, and a crowd of idle WebSockets: what they cost in memory of its process."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.proxy_rig import Script, get, scripted

ROOT = Path(__file__).parents[2]
MIB = 1024 * 1024
GIB = 1024 * MIB
pytestmark = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads /proc")


@dataclass
class Process:
    pid: int
    port: int

    def memory(self, field: str) -> int:
        """Bytes: VmRSS is what it takes now, VmHWM the most it ever took."""
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith(field + ":"):
                return int(line.split()[1]) * 1024
        raise AssertionError(field)


@asynccontextmanager
async def proxy_process(script: Script) -> AsyncIterator[Process]:
    pipe = asyncio.subprocess.PIPE
    async with scripted(script) as url:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "tests.proxy_process",
            url,
            stdin=pipe,
            stdout=pipe,
            cwd=ROOT,
            env=os.environ,
        )
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            yield Process(process.pid, int(await process.stdout.readline()))
        finally:
            process.kill()
            await process.wait()


async def count(reader: asyncio.StreamReader, limit: int = GIB) -> int:
    total = 0
    while total < limit and (piece := await reader.read(min(MIB, limit - total))):
        total += len(piece)
    return total


async def pour(writer: asyncio.StreamWriter) -> None:
    block = bytes(MIB)
    for _ in range(GIB // MIB):
        writer.write(block)
        await writer.drain()


async def test_a_gigabyte_down_passes_in_flat_memory() -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % GIB)
        await pour(writer)

    async with proxy_process(script) as proxy:
        before = proxy.memory("VmRSS")
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port, limit=MIB)
        writer.write(get())
        await reader.readuntil(b"\r\n\r\n")
        assert await count(reader) == GIB
        assert proxy.memory("VmHWM") - before < 16 * MIB
        writer.close()


async def test_a_gigabyte_up_passes_in_flat_memory() -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        total = await count(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nX-Received: %d\r\nContent-Length: 0\r\n\r\n" % total)

    async with proxy_process(script) as proxy:
        before = proxy.memory("VmRSS")
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        writer.write(get("/", f"Content-Length: {GIB}", method="PUT"))
        await pour(writer)
        assert b"\r\nX-Received: %d\r\n" % GIB in await reader.read()
        assert proxy.memory("VmHWM") - before < 16 * MIB
        writer.close()


async def test_an_idle_websocket_costs_less_than_15_kib() -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 101 Switching\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n")
        await reader.read()

    handshake = get("/", "Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Key: x", close=False)

    async def dial(port: int) -> asyncio.StreamWriter:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1024)
        writer.write(handshake)
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101 ")
        return writer

    async with proxy_process(script) as proxy:
        warm = [await dial(proxy.port) for _ in range(50)]
        before = proxy.memory("VmRSS")
        crowd = [await dial(proxy.port) for _ in range(200)]
        each = (proxy.memory("VmRSS") - before) / len(crowd)
        print(f"{each / 1024:.1f} KiB each")
        for writer in warm + crowd:
            writer.close()
    assert each < 15 * 1024
