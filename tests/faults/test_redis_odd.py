"""A Redis over TLS, in a cluster, behind Sentinel."""

import asyncio
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from gateway.clock import system_clock
from gateway.errors import ConfigError, StoreUnavailable
from gateway.stores.redis.connection import RedisLink
from gateway.stores.redis.ledger import RedisLedger
from tests.sending import write_certificate
from tests.services import Daemon, program
from tests.waiting import PATIENCE, free_port


async def works(url: str) -> RedisLink:
    link = RedisLink(url)
    ledger = RedisLedger(link, system_clock)
    assert await ledger.hit("a", 60.0) >= 1
    await link.warn_of_forgetting()
    return link


@contextmanager
def started(folder: Path, name: str, port: int, *options: str) -> Iterator[Daemon]:
    """A redis-server (or redis-sentinel) with these options."""
    home = folder / f"{name}{port}"
    home.mkdir()

    def answers() -> None:
        done = subprocess.run(
            [program("redis-cli"), "-p", str(port), *_cli_tls(options), "ping"],
            capture_output=True,
            text=True,
            check=False,
        )
        if "PONG" not in done.stdout:
            raise ConnectionError(done.stderr)

    daemon = Daemon(f"redis://127.0.0.1:{port}", [program(name), *options, "--dir", str(home)], home, answers)
    try:
        daemon.start()
        yield daemon
    finally:
        daemon.stop()


def _cli_tls(options: tuple[str, ...]) -> list[str]:
    return ["--tls", "--insecure"] if "--tls-port" in options else []


async def test_redis_over_tls_works_and_its_certificate_is_checked(tmp_path: Path) -> None:
    port = free_port()
    certificate, key = write_certificate(tmp_path)
    tls = ["--port", "0", "--tls-port", str(port), "--tls-cert-file", str(certificate)]
    tls += ["--tls-key-file", str(key), "--tls-auth-clients", "no", "--tls-ca-cert-file", str(certificate)]
    with started(tmp_path, "redis-server", port, *tls):
        link = await works(f"rediss://localhost:{port}/0?ssl_ca_certs={certificate}")
        await link.close()
        stranger = RedisLink(f"rediss://localhost:{port}/0")
        with pytest.raises(StoreUnavailable):
            await stranger.ping()
        await stranger.close()


async def test_a_redis_cluster_is_refused_with_a_sentence(tmp_path: Path) -> None:
    port = free_port()
    with started(
        tmp_path,
        "redis-server",
        port,
        "--port",
        str(port),
        "--cluster-enabled",
        "yes",
        "--cluster-port",
        str(free_port()),
    ):
        link = RedisLink(f"redis://127.0.0.1:{port}/0")
        with pytest.raises(ConfigError, match="is a Redis Cluster, which is not supported"):
            await link.warn_of_forgetting()
        await link.close()


async def test_sentinel_names_the_master_and_a_failover_is_followed(tmp_path: Path) -> None:
    one, two, three = free_port(), free_port(), free_port()
    config = tmp_path / "sentinel.conf"
    config.write_text(
        f"port {three}\nbind 127.0.0.1\nsentinel monitor mymaster 127.0.0.1 {one} 1\n"
        "sentinel down-after-milliseconds mymaster 300\nsentinel failover-timeout mymaster 1000\n"
    )
    with ExitStack() as stack:
        master = stack.enter_context(started(tmp_path, "redis-server", one, "--port", str(one), "--save", ""))
        replica = [
            "--port",
            str(two),
            "--replicaof",
            "127.0.0.1",
            str(one),
            "--save",
            "",
            "--repl-diskless-sync-delay",
            "0",
        ]
        stack.enter_context(started(tmp_path, "redis-server", two, *replica))
        stack.enter_context(started(tmp_path, "redis-sentinel", three, str(config), "--port", str(three)))
        await _eventually_knows_replica(three)
        link = await works(f"redis+sentinel://127.0.0.1:{three}/mymaster/0")
        ledger = RedisLedger(link, system_clock)
        master.stop()
        async with asyncio.timeout(60):
            while True:
                try:
                    await ledger.hit("b", 60.0)
                    break
                except StoreUnavailable:
                    await asyncio.sleep(0.1)
        await link.close()


async def _eventually_knows_replica(port: int) -> None:
    async with asyncio.timeout(PATIENCE):
        while True:
            command = [program("redis-cli"), "-p", str(port), "sentinel", "replicas", "mymaster"]
            done = await asyncio.to_thread(
                subprocess.run, command, capture_output=True, text=True, check=False
            )
            if "slave" in done.stdout and "master-link-status\nok" in done.stdout:
                return
            await asyncio.sleep(0.1)
