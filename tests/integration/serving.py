"""Runs `auth-gateway serve` as an operator would, in front of a small upstream on loopback."""

import asyncio
import contextlib
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

import yaml
from aiohttp import web

from tests.forked_serve import ForkedProcess, fork_serve
from tests.waiting import PATIENCE, free_port, until

ROOT = Path(__file__).resolve().parents[2]
READ_LATE = {"TMPDIR", "RUNTIME_DIRECTORY", "NOTIFY_SOCKET", "WATCHDOG_USEC"}
"""Variables that are looked up when they are needed."""
COMMAND = (sys.executable, "-m", "gateway", "serve", "--config")


@contextlib.asynccontextmanager
async def upstream() -> AsyncIterator[str]:
    """An app with /quick, and /slow which answers once /release was asked for."""
    released = asyncio.Event()
    entered = asyncio.Event()

    async def quick(_: web.Request) -> web.Response:
        return web.Response(text="quick")

    async def slow(_: web.Request) -> web.Response:
        entered.set()
        await released.wait()
        return web.Response(text="slow")

    async def release(_: web.Request) -> web.Response:
        released.set()
        return web.Response(text="released")

    async def wait_entered(_: web.Request) -> web.Response:
        await entered.wait()
        return web.Response(text="entered")

    app = web.Application()
    app.add_routes([web.route("*", "/quick", quick), web.get("/slow", slow)])
    app.add_routes([web.get("/release", release), web.get("/entered", wait_entered)])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    sock = socket.create_server(("127.0.0.1", 0))
    await web.SockSite(runner, sock).start()
    try:
        yield f"http://127.0.0.1:{sock.getsockname()[1]}"
    finally:
        released.set()
        await runner.cleanup()


@dataclass
class Serving:
    """A running `serve` process and what it has said so far."""

    folder: Path
    port: int
    process: asyncio.subprocess.Process | ForkedProcess
    output: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def config_file(self) -> Path:
        return self.folder / "config.yaml"

    def said(self, text: str) -> bool:
        return any(text in line for line in self.output)

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def workers(self) -> set[int]:
        """Process ids of the living children."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        return {int(pid) for pid in children}

    async def said_until(self, text: str) -> None:
        try:
            await until(lambda: self.said(text) or self.process.returncode is not None, text)
            assert self.said(text), f"it ended with {self.process.returncode}"
        except AssertionError as error:
            raise AssertionError(f"never said {text!r}; it said:\n{''.join(self.output)}") from error

    async def ended(self) -> int:
        async with asyncio.timeout(PATIENCE):
            return await self.process.wait()


def write_config(
    folder: Path, upstream_url: str, port: int, *, storage: str = "", keys_file: str = "", **server: object
) -> Path:
    """A configuration with one open route: these tests are about processes, not about signing in."""
    config = {
        "server": {
            "listen": f"127.0.0.1:{port}",
            "public_url": f"http://127.0.0.1:{port}",
            "workers": 2,
            "drain_timeout": "10m",
            **server,
        },
        "session": {"keys_file": keys_file or str(folder / "session.keys")},
        "storage": {"url": storage or f"sqlite:///{folder}/gateway.db"},
        "routes": [{"host": "*", "path": "/", "upstream": upstream_url, "policy": {"require": "bypass"}}],
    }
    file = folder / "config.yaml"
    file.write_text(yaml.safe_dump(config))
    return file


@contextlib.asynccontextmanager
async def started(
    config: Path, port: int, *, environment: Mapping[str, str] = MappingProxyType({}), fresh: bool = False
) -> AsyncIterator[Serving]:
    """`serve`, which may end by itself; killed with its workers when left.

    It is a fork (tests.forked_serve). The real command runs where it is to be `fresh`, or in an environment that Python
    and its libraries read when they start.
    """
    around = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", **environment}
    process: asyncio.subprocess.Process | ForkedProcess
    if fresh or not environment.keys() <= READ_LATE:
        process = await asyncio.create_subprocess_exec(
            *COMMAND,
            str(config),
            cwd=config.parent,
            env=around,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
    else:
        process = await fork_serve(config, config.parent, around)
    gateway = Serving(config.parent, port, process)
    reading = asyncio.create_task(_read(gateway))
    try:
        yield gateway
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()  # workers notice that their parent is gone
        await process.wait()
        await reading


@contextlib.asynccontextmanager
async def serving(
    folder: Path,
    upstream_url: str,
    *,
    environment: Mapping[str, str] = MappingProxyType({}),
    fresh: bool = False,
    storage: str = "",
    keys_file: str = "",
    **server: object,
) -> AsyncIterator[Serving]:
    """`serve` on a free port as `started` does; ready when entered."""
    port = free_port()
    config = write_config(folder, upstream_url, port, storage=storage, keys_file=keys_file, **server)
    async with started(config, port, environment=environment, fresh=fresh) as gateway:
        await gateway.said_until("auth-gateway ready")
        yield gateway


async def _read(gateway: Serving) -> None:
    assert gateway.process.stdout is not None
    async for line in gateway.process.stdout:
        gateway.output.append(line.decode())
