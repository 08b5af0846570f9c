"""Real nginx, HAProxy and Caddy in front of a real gateway, each with the configuration that we export for it."""

import asyncio
import os
import shutil
import signal
import subprocess
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from gateway.cli.export import export_files
from gateway.engines.plan import plan
from tests.rig import FakeClock, Rig, running_gateway
from tests.services import free_port, missing

ENGINES = ("nginx", "haproxy", "caddy")


class RealClock(FakeClock):
    """Engines can't be told another time."""

    def __call__(self) -> float:
        return time.time()


def command(engine: str, file: Path) -> list[str]:
    binary = shutil.which(engine) or shutil.which(engine, path="/usr/sbin:/usr/local/sbin")
    if binary is None:
        missing(f"{engine} is not installed")
    # As root, nginx would run its workers as an account that may not enter the test's folder.
    account = ["user root;"] if os.geteuid() == 0 else []
    return {
        "nginx": [str(binary), "-c", str(file), "-g", " ".join(["daemon off;", *account])],
        "haproxy": [str(binary), "-db", "-f", str(file)],
        "caddy": [str(binary), "run", "--config", str(file), "--adapter", "caddyfile"],
    }[engine]


@asynccontextmanager
async def behind(engine: str, folder: Path, **overrides: Any) -> AsyncIterator[Rig]:
    """A gateway whose `url` is the engine's; the engine's configuration is exported from the gateway's."""
    port = free_port()
    server = {"public_url": f"http://127.0.0.1:{port}", "trusted_proxies": ["127.0.0.1/32"]}
    async with running_gateway(folder, clock=RealClock(), server=server, **overrides) as rig:
        state = folder / engine
        state.mkdir()
        planned = plan(rig.config, listen=f"127.0.0.1:{port}", state=state)
        for name, content in export_files(engine, planned, rig.config).items():
            (state / name).write_text(content)
        file = state / next(iter(export_files(engine, planned, rig.config)))
        async with process(command(engine, file), port, state):
            yield replace(rig, url=f"http://127.0.0.1:{port}", port=port)


@asynccontextmanager
async def process(words: list[str], port: int, state: Path) -> AsyncIterator[None]:
    log = state / "log"
    environ = {**os.environ, "HOME": str(state), "XDG_DATA_HOME": str(state), "XDG_CONFIG_HOME": str(state)}
    with log.open("wb") as stream:
        running = subprocess.Popen(words, stdout=stream, stderr=stream, cwd=state, env=environ)
    try:
        await listening(running, port, log)
        yield
    finally:
        running.send_signal(signal.SIGTERM)
        await asyncio.to_thread(running.wait, 20)


async def listening(running: "subprocess.Popen[bytes]", port: int, log: Path) -> None:
    async with asyncio.timeout(20):
        while True:
            assert running.poll() is None, log.read_text()
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.05)
                continue
            writer.close()
            return
