"""Whatever reads the log stands still or reads to the end: requests go on, and lines are written or counted."""

import asyncio
import contextlib
import fcntl
import json
import os
import re
import signal
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest

from tests.integration.serving import COMMAND, ROOT, upstream, write_config
from tests.waiting import PATIENCE, free_port

pytestmark = pytest.mark.xdist_group("processes")
REQUESTS = 250
PATH = "/quick?" + "x" * 10
LONG = "/" + "x" * 6000
"""Its line is long, so that few requests fill what may wait for the reader."""


@dataclass
class Unread:
    """A gateway whose standard output is a pipe of 4096 bytes that is read only when `read_all` is called."""

    url: str
    process: asyncio.subprocess.Process
    reader: int

    async def read_all(self) -> list[str]:
        """Stop the gateway and read to the end."""
        reading = asyncio.create_task(asyncio.to_thread(self._read))
        self.process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(PATIENCE):
            assert await self.process.wait() == 0
            return (await reading).decode().splitlines()

    def _read(self) -> bytes:
        parts = []
        while part := os.read(self.reader, 65536):
            parts.append(part)
        return b"".join(parts)


@contextlib.asynccontextmanager
async def unread(folder: Path, upstream_url: str, workers: int) -> AsyncIterator[Unread]:
    port = free_port()
    config = write_config(folder, upstream_url, port, workers=workers)
    reader, writer = os.pipe()
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4096)
    process = await asyncio.create_subprocess_exec(
        *COMMAND,
        str(config),
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=writer,
        stderr=asyncio.subprocess.PIPE,
    )
    os.close(writer)
    try:
        assert process.stderr is not None
        async with asyncio.timeout(60):
            while b"auth-gateway ready" not in await process.stderr.readline():
                assert process.returncode is None
        yield Unread(f"http://127.0.0.1:{port}", process, reader)
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        os.close(reader)


@pytest.mark.parametrize("workers", [1, 2])
async def test_a_log_that_nobody_reads_stops_no_request_and_its_lost_lines_are_counted(
    tmp_path: Path, workers: int
) -> None:
    async with (
        upstream() as app,
        unread(tmp_path, app, workers) as gateway,
        aiohttp.ClientSession(gateway.url, timeout=aiohttp.ClientTimeout(PATIENCE)) as session,
    ):
        for _ in range(REQUESTS):
            async with session.get(LONG) as response:
                assert response.status == 404
        async with session.get("/_auth/healthz") as response:
            assert response.status == 200
        async with session.get("/_auth/metrics") as response:
            found = re.search(r"^auth_gateway_log_lines_lost_total (\S+)", await response.text(), re.M)
        assert found
        lost = float(found[1])
        assert lost > 0
        lines = [json.loads(line) for line in await gateway.read_all()]
    written = sum(line.get("path") == LONG for line in lines)
    told = [line["message"] for line in lines if line["logger"] == "gateway.log"]
    assert [int(message.split()[0]) for message in told] == [lost]
    assert written + lost == REQUESTS


async def test_a_stop_loses_no_line_of_what_was_answered(tmp_path: Path) -> None:
    async with upstream() as app, unread(tmp_path, app, 2) as gateway:
        for _ in range(10):
            async with aiohttp.ClientSession(gateway.url) as session, session.get(PATH) as response:
                assert response.status == 200
        lines = [json.loads(line) for line in await gateway.read_all()]
    assert sum(line.get("path") == "/quick" for line in lines) == 10


async def test_a_stop_does_not_wait_for_ever_for_whoever_does_not_read(tmp_path: Path) -> None:
    async with upstream() as app, unread(tmp_path, app, 2) as gateway:
        async with aiohttp.ClientSession(gateway.url) as session:
            for _ in range(3):
                async with session.get(LONG) as response:
                    assert response.status == 404
        gateway.process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(PATIENCE):
            assert await gateway.process.wait() == 0
