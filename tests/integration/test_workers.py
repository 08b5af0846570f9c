"""The promises of `serve` to an operator: reload and stop drop nothing, a dead worker comes back."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
import yaml

from tests.integration.serving import COMMAND, ROOT, Serving, serving, upstream, write_config
from tests.waiting import until

if sys.platform != "linux":
    pytest.skip("reads /proc to see the worker processes", allow_module_level=True)

pytestmark = pytest.mark.xdist_group("processes")


@pytest.fixture
async def app() -> AsyncIterator[str]:
    async with upstream() as url:
        yield url


@pytest.fixture
async def gateway(tmp_path: Path, app: str) -> AsyncIterator[Serving]:
    async with serving(tmp_path, app) as running:
        yield running


class Load:
    """Requests without pause, half of them on kept connections and half on new ones. Nothing is retried."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._stop = asyncio.Event()
        self.answers = 0
        self.closes = 0
        self.failures: list[str] = []

    async def __aenter__(self) -> "Load":
        self._tasks = [asyncio.create_task(self._run(keep)) for keep in (True, True, False, False)]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._stop.set()
        await asyncio.gather(*self._tasks)

    async def _run(self, keep: bool) -> None:
        connector = aiohttp.TCPConnector(force_close=not keep, limit=1)
        async with aiohttp.ClientSession(connector=connector) as session:
            while not self._stop.is_set():
                await self._once(session, keep)

    async def _once(self, session: aiohttp.ClientSession, keep: bool) -> None:
        try:
            # POST: aiohttp would silently repeat a GET on a kept connection that the server closed.
            async with session.post(f"{self._url}/quick") as response:
                text = await response.text()
        except aiohttp.ClientError as error:
            self.failures.append(repr(error))
            return
        if (response.status, text) != (200, "quick"):
            self.failures.append(f"{response.status} {text[:80]}")
        self.answers += 1
        self.closes += keep and response.headers.get("Connection", "").lower() == "close"


async def get(url: str, **options: object) -> str:
    async with aiohttp.ClientSession() as session, session.get(url, **options) as response:  # type: ignore[arg-type]
        assert response.status == 200
        return await response.text()


async def test_reload_under_load_drops_no_request(gateway: Serving) -> None:
    async with Load(gateway.url) as load:
        for _ in range(3):
            before, answered = gateway.workers(), load.answers
            gateway.signal(signal.SIGHUP)
            await until(lambda old=before: not old & gateway.workers(), "the old workers have left")
            await until(lambda old=answered: load.answers > old + 50, "the new workers answer")
    assert load.failures == []
    assert load.closes > 0, "kept connections were told to close"
    assert gateway.process.returncode is None


async def test_reload_puts_the_new_configuration_in_force(gateway: Serving, app: str) -> None:
    config = yaml.safe_load(gateway.config_file.read_text())
    config["routes"][0]["path"] = "/elsewhere"
    gateway.config_file.write_text(yaml.safe_dump(config))
    before = gateway.workers()
    gateway.signal(signal.SIGHUP)
    await gateway.said_until("reload done")
    await until(lambda: not gateway.workers() & before, "the old workers have left")
    async with aiohttp.ClientSession() as session, session.get(f"{gateway.url}/quick") as response:
        assert response.status in (403, 404)


async def test_reload_can_change_the_number_of_workers_both_ways(gateway: Serving, app: str) -> None:
    async with Load(gateway.url) as load:
        for count in (4, 2, 3):
            write_config(gateway.folder, app, gateway.port, workers=count)
            gateway.signal(signal.SIGHUP)
            await until(lambda n=count: len(gateway.workers()) == n, f"{count} workers")
            answered = load.answers
            await until(lambda old=answered: load.answers > old + 50, "all sockets are read")
    assert load.failures == []


async def test_bad_configuration_on_reload_keeps_the_old_and_names_every_mistake(gateway: Serving) -> None:
    good = gateway.config_file.read_text()
    before = gateway.workers()
    gateway.config_file.write_text(good + "nonsense: 1\nlog: {level: shouting}\n")
    gateway.signal(signal.SIGHUP)
    await gateway.said_until("the old configuration stays in force")
    assert gateway.said("nonsense")
    assert gateway.said("log.level")
    assert gateway.workers() == before
    assert await get(f"{gateway.url}/quick") == "quick"


async def test_changed_files_reload_by_themselves_where_that_is_wished(gateway: Serving) -> None:
    good = gateway.config_file.read_text()
    gateway.config_file.write_text(good.replace("server:", "server:\n  reload: on_change", 1))
    gateway.signal(signal.SIGHUP)
    await gateway.said_until("reload done")
    before = gateway.workers()
    gateway.config_file.write_text(gateway.config_file.read_text() + "nonsense: 1\n")
    await gateway.said_until("the old configuration stays in force")
    assert gateway.workers() <= before  # those that leave may have left
    gateway.config_file.write_text(good)
    await until(lambda: not gateway.workers() & before, "new workers serve")
    assert await get(f"{gateway.url}/quick") == "quick"


async def test_reload_waits_for_a_running_request(gateway: Serving, app: str) -> None:
    slow = asyncio.create_task(get(f"{gateway.url}/slow"))
    await get(f"{app}/entered")
    gateway.signal(signal.SIGHUP)
    await gateway.said_until("reload done")
    assert not slow.done()
    await get(f"{app}/release")
    assert await slow == "slow"
    await until(lambda: len(gateway.workers()) == 2, "the drained worker has left")


async def test_sigterm_drains_a_slow_request_and_exits_with_0(gateway: Serving, app: str) -> None:
    await drains_a_slow_request(gateway, app)


async def drains_a_slow_request(gateway: Serving, app: str) -> None:
    slow = asyncio.create_task(get(f"{gateway.url}/slow"))
    await get(f"{app}/entered")
    gateway.signal(signal.SIGTERM)
    await gateway.said_until("stopping")
    await until(lambda: not can_connect(gateway.port), "new connections are refused")
    assert not slow.done()
    await get(f"{app}/release")
    assert await slow == "slow"
    assert await gateway.ended() == 0


async def test_drain_ends_at_its_timeout(tmp_path: Path, app: str) -> None:
    async with serving(tmp_path, app, drain_timeout="1s") as gateway:  # short: the app never answers
        slow = asyncio.create_task(get(f"{gateway.url}/slow"))
        await get(f"{app}/entered")
        gateway.signal(signal.SIGTERM)
        assert await gateway.ended() == 0
        with pytest.raises(aiohttp.ClientError):
            await slow


async def test_second_signal_stops_at_once(gateway: Serving, app: str) -> None:
    slow = asyncio.create_task(get(f"{gateway.url}/slow"))
    await get(f"{app}/entered")
    gateway.signal(signal.SIGINT)
    await gateway.said_until("stopping")
    gateway.signal(signal.SIGINT)
    await gateway.ended()
    with pytest.raises(aiohttp.ClientError):
        await slow


async def test_killed_worker_is_replaced(gateway: Serving) -> None:
    metrics = f"{gateway.url}/_auth/metrics"
    assert 'auth_gateway_workers_lost_total{how="ended"} 0.0' in await get(metrics)
    victim = min(gateway.workers())
    os.kill(victim, signal.SIGKILL)
    await until(lambda: victim not in gateway.workers() and len(gateway.workers()) == 2, "a new worker")
    # Each request on its own connection, so that both sockets are met.
    for _ in range(20):
        assert await get(f"{gateway.url}/quick") == "quick"
    assert gateway.said("signal 9")
    assert 'auth_gateway_workers_lost_total{how="ended"} 1.0' in await get(metrics)


async def test_workers_leave_when_their_parent_is_killed(gateway: Serving) -> None:
    workers = gateway.workers()
    gateway.signal(signal.SIGKILL)
    await gateway.ended()
    await until(lambda: not any(is_alive(pid) for pid in workers), "no orphans")


async def test_one_worker_reloads_without_a_drop(tmp_path: Path, app: str) -> None:
    async with serving(tmp_path, app, fresh=True, workers=1) as gateway, Load(gateway.url) as load:
        assert len(gateway.workers()) == 1
        await until(lambda: load.answers > 20, "answers")
        gateway.signal(signal.SIGHUP)
        await gateway.said_until("reload done")
        answered = load.answers
        await until(lambda: load.answers > answered + 50, "answers after the reload")
        assert load.failures == []


async def test_taken_port_is_one_clear_line_and_exit_1(gateway: Serving, tmp_path: Path, app: str) -> None:
    second = tmp_path / "second"
    second.mkdir()
    config = write_config(second, app, gateway.port)
    result = await asyncio.to_thread(run_serve, config)
    assert result.returncode == 1
    assert result.stderr.strip().count("\n") == 0
    assert "another program already listens" in result.stderr


async def test_invalid_configuration_at_start_is_exit_2(tmp_path: Path, app: str) -> None:
    config = write_config(tmp_path, app, 0)
    config.write_text(config.read_text() + "nonsense: 1\n")
    result = await asyncio.to_thread(run_serve, config)
    assert result.returncode == 2
    assert "nonsense" in result.stderr


async def test_unix_socket_is_shared_by_all_workers(tmp_path: Path, app: str) -> None:
    path = tmp_path / "gateway.sock"
    async with (
        serving(tmp_path, app, fresh=True, listen=f"unix:{path}"),
        aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(path))) as session,
        session.get("http://localhost/quick") as response,
    ):
        assert await response.text() == "quick"


def run_serve(config: Path) -> "subprocess.CompletedProcess[str]":
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [*COMMAND, str(config)], cwd=config.parent, env=env, capture_output=True, text=True, timeout=60
    )


def can_connect(port: int) -> bool:
    with socket.socket() as sock:
        return sock.connect_ex(("127.0.0.1", port)) == 0


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
