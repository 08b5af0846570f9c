"""`server.engine: envoy`: the real Envoy as our front door, started and looked after by `serve`."""

import os
import signal
import stat
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
import yaml

from tests.integration.engines import program
from tests.integration.serving import Serving, serving, upstream, write_config
from tests.integration.test_workers import Load, can_connect, drains_a_slow_request, get
from tests.services import folder_for_all
from tests.waiting import free_port, until

pytestmark = pytest.mark.xdist_group("engine")


@pytest.fixture(scope="module", autouse=True)
def _needs_envoy() -> None:
    program("envoy")


@pytest.fixture
async def app() -> AsyncIterator[str]:
    async with upstream() as url:
        yield url


@pytest.fixture
async def gateway(app: str) -> AsyncIterator[Serving]:
    """In a folder with a short path: pytest's, in a worker of xdist, is too long for sockets in it."""
    with folder_for_all() as folder:
        environment = {"RUNTIME_DIRECTORY": str(folder)}
        async with serving(folder, app, engine="envoy", environment=environment) as it:
            yield it


def envoys(gateway: Serving) -> set[int]:
    return {pid for pid in gateway.workers() if Path(f"/proc/{pid}/comm").read_text() == "envoy\n"}


def private_folder(gateway: Serving) -> Path:
    return next(gateway.folder.glob("auth-gateway-*"))


async def test_envoy_serves_in_private_and_comes_back_when_it_hangs(gateway: Serving) -> None:
    assert await get(f"{gateway.url}/quick") == "quick"
    assert '"engine": "ok"' in await get(f"{gateway.url}/_auth/readyz")
    (first,) = envoys(gateway)
    assert stat.S_IMODE(private_folder(gateway).stat().st_mode) == 0o700
    assert listening_ports(first) == {gateway.port}

    os.kill(first, signal.SIGSTOP)  # the supervisor does not know yet
    status, checks = await ready_behind_envoy(gateway)
    assert (status, checks["engine"]) == (503, "unavailable")

    await gateway.said_until("Envoy hangs and is killed")
    await gateway.said_until("Envoy ended (signal 9)")
    await until(lambda: envoys(gateway) - {first} and can_connect(gateway.port), "a new Envoy listens")
    assert await get(f"{gateway.url}/quick") == "quick"

    gateway.signal(signal.SIGKILL)
    await until(lambda: not can_connect(gateway.port), "Envoy ends with its supervisor")


def logged(gateway: Serving) -> int:
    """How many requests of /quick the log speaks of."""
    return sum('"path": "/quick"' in line for line in gateway.output)


def listening_ports(pid: int) -> set[int]:
    """The TCP ports that a process listens on."""
    links = (os.readlink(link) for link in Path(f"/proc/{pid}/fd").iterdir() if link.is_symlink())
    sockets = set(links)
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    mine = {row[1] for row in rows if row[3] == "0A" and f"socket:[{row[9]}]" in sockets}
    return {int(address.rpartition(":")[2], 16) for address in mine}


async def ready_behind_envoy(gateway: Serving) -> tuple[int, dict[str, str]]:
    """What a worker says of itself where only Envoy can ask."""
    connector = aiohttp.UnixConnector(path=str(private_folder(gateway) / "workers-1.sock"))
    hop = {"x-gateway-hop": "http HTTP/1.1 127.0.0.1 127.0.0.1 len=, ", "Host": f"127.0.0.1:{gateway.port}"}
    async with (
        aiohttp.ClientSession(connector=connector, headers=hop) as client,
        client.get("http://x/_auth/readyz") as answer,
    ):
        return answer.status, (await answer.json())["checks"]


async def test_reloads_and_the_end_drop_nothing(gateway: Serving, app: str) -> None:
    envoy = envoys(gateway)
    good = gateway.config_file.read_text()
    write_config(gateway.folder, app, gateway.port)
    gateway.signal(signal.SIGHUP)
    await gateway.said_until("server.engine can't be changed by a reload")

    gateway.config_file.write_text(good)
    async with Load(gateway.url) as load:
        for _ in range(2):
            workers, answered = gateway.workers() - envoy, load.answers
            gateway.signal(signal.SIGHUP)
            await until(lambda old=workers: not old & gateway.workers(), "the old workers have left")
            await until(lambda old=answered: load.answers > old + 50, "the new workers answer")
    assert load.failures == []
    await until(lambda: logged(gateway) == load.answers, "each request has its line in the log")

    port = free_port()
    config = yaml.safe_load(good)
    config["routes"][0]["path"] = "/quick"
    config["server"]["listen"] = f"127.0.0.1:{port}"
    gateway.config_file.write_text(yaml.safe_dump(config))
    done = sum("reload done" in line for line in gateway.output)
    gateway.signal(signal.SIGHUP)
    await until(lambda: sum("reload done" in line for line in gateway.output) > done, "it is reloaded")
    gateway.port = port
    assert await get(f"{gateway.url}/quick") == "quick"
    async with aiohttp.ClientSession() as client, client.get(f"{gateway.url}/slow") as answer:
        assert answer.status == 404, (await answer.text(), gateway.output[-20:])

    config["routes"][0]["path"] = "/"
    gateway.config_file.write_text(yaml.safe_dump(config))
    done = sum("reload done" in line for line in gateway.output)
    gateway.signal(signal.SIGHUP)
    await until(lambda: sum("reload done" in line for line in gateway.output) > done, "it is reloaded")
    assert envoys(gateway) == envoy
    await drains_a_slow_request(gateway, app)
    assert not list(gateway.folder.glob("auth-gateway-*"))
    assert not Path(f"/proc/{min(envoy)}").exists()
