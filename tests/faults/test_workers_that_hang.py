"""A worker that hangs, or can't start again: others read its connections, the log names it, systemd hears of it."""

import asyncio
import os
import re
import signal
import socket
import sqlite3
import sys
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import aiohttp
import pytest

from tests.integration.serving import Serving, serving, upstream
from tests.waiting import PATIENCE, until

pytestmark = [
    pytest.mark.xdist_group("processes"),
    pytest.mark.skipif(sys.platform != "linux", reason="reads /proc to see the worker processes"),
]


@pytest.fixture
async def app() -> AsyncIterator[str]:
    async with upstream() as url:
        yield url


@pytest.fixture
async def gateway(tmp_path: Path, app: str) -> AsyncIterator[Serving]:
    async with serving(tmp_path, app) as running:
        yield running


async def all_answer(gateway: Serving, number: int = 24) -> None:
    """Each on a connection of its own, so that the sockets of all workers are met."""

    async def one() -> str:
        async with aiohttp.ClientSession() as session, session.get(f"{gateway.url}/quick") as response:
            return await response.text()

    async with asyncio.timeout(PATIENCE):
        assert await asyncio.gather(*(one() for _ in range(number))) == ["quick"] * number


async def test_a_worker_that_hangs_is_killed_and_named_and_nobody_waits_for_it_longer(
    gateway: Serving,
) -> None:
    victim = min(gateway.workers())
    os.kill(victim, signal.SIGSTOP)
    await all_answer(gateway)  # some of these lie in its queue until it is found
    assert gateway.said(f"(pid {victim}) hangs and is killed")
    await until(lambda: len(gateway.workers()) == 2 and victim not in gateway.workers(), "a new worker")
    async with aiohttp.ClientSession() as session, session.get(f"{gateway.url}/_auth/metrics") as answer:
        metrics = await answer.text()
    for how in ("ended", "hung"):
        assert f'auth_gateway_workers_lost_total{{how="{how}"}} 1.0' in metrics


async def test_a_living_worker_reads_the_connections_of_one_that_cannot_start_again(
    gateway: Serving, tmp_path: Path
) -> None:
    with closing(sqlite3.connect(tmp_path / "gateway.db", isolation_level=None)) as database:
        # as a newer gateway leaves it that this one must not share it with
        database.execute("UPDATE installation SET value = '9999' WHERE name IN ('schema', 'oldest code')")
    victim = min(gateway.workers())
    os.kill(victim, signal.SIGKILL)
    await until(lambda: sum("restart in" in line for line in gateway.output) >= 3, "tries that fail")
    await all_answer(gateway)
    assert gateway.said("reads the connections of worker")
    assert len(gateway.workers()) <= 2


async def test_the_stand_in_leaves_the_socket_when_its_own_worker_is_back(gateway: Serving) -> None:
    before = gateway.workers()
    victim = min(before)
    (reader,) = before - {victim}
    os.kill(victim, signal.SIGKILL)
    await until(lambda: len(gateway.workers()) == 2 and victim not in gateway.workers(), "a new worker")
    await all_answer(gateway)
    await until(lambda: listening_sockets(reader) == 1, "the stand-in reads its own socket alone")
    await all_answer(gateway)


async def test_systemd_hears_that_the_service_lives_as_long_as_a_worker_does(
    tmp_path: Path, app: str
) -> None:
    words = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    words.bind(str(tmp_path / "notify"))
    words.setblocking(False)
    environment = {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "200000"}
    heard: list[str] = []

    def listen() -> list[str]:
        try:
            while True:
                heard.extend(words.recv(4096).decode().splitlines())
        except BlockingIOError:
            return heard

    try:
        async with serving(tmp_path, app, environment=environment, workers=1) as gateway:
            await until(lambda: listen().count("WATCHDOG=1") >= 2, "signs of life")
            (worker,) = gateway.workers()
            os.kill(worker, signal.SIGSTOP)
            await gateway.said_until("hangs and is killed")
            await until(lambda: gateway.workers() - {worker}, "a new worker")
            del heard[:]
            await until(lambda: listen().count("WATCHDOG=1") >= 2, "signs of life again")
    finally:
        words.close()


async def test_what_a_killed_parent_left_behind_is_removed_at_the_next_start(
    tmp_path: Path, app: str
) -> None:
    environment = {"TMPDIR": str(tmp_path)}
    old_version = tmp_path / "auth-gateway-metrics-of-an-older-version"
    old_version.mkdir()
    async with serving(tmp_path, app, environment=environment) as gateway:
        (left,) = metrics_folders(tmp_path) - {old_version}
        async with serving(tmp_path, app, environment=environment):
            assert left in metrics_folders(tmp_path), "in use"
        gateway.process.kill()
        await gateway.ended()
        await until(lambda: not holders(left), "its workers have left")
        assert left in metrics_folders(tmp_path)
    async with serving(tmp_path, app, environment=environment):
        assert left not in metrics_folders(tmp_path)
        assert len(metrics_folders(tmp_path)) == 2, "its own, and one that an older version may use"


def metrics_folders(folder: Path) -> set[Path]:
    return set(folder.glob("auth-gateway-metrics-*"))


def holders(folder: Path) -> set[str]:
    """Processes that have a file of the folder open."""
    found = set()
    for link in Path("/proc").glob("[0-9]*/fd/*"):
        try:
            if os.readlink(link).startswith(str(folder)):
                found.add(link.parts[2])
        except OSError:
            continue
    return found


def listening_sockets(pid: int) -> int:
    """How many listening TCP sockets a process has open."""
    listening = {
        line.split()[9]
        for line in Path("/proc/net/tcp").read_text().splitlines()[1:]
        if line.split()[3] == "0A"
    }
    links = (os.readlink(link) for link in Path(f"/proc/{pid}/fd").iterdir() if link.is_symlink())
    return sum(
        bool((inode := re.fullmatch(r"socket:\[(\d+)\]", link)) and inode[1] in listening) for link in links
    )
