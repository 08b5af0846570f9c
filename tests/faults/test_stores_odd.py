"""Stores as people have them: behind PgBouncer or Sentinel, over TLS, full, locked, read-only, newer than the code."""

import asyncio
import os
import shutil
import sqlite3
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from pathlib import Path

import asyncpg
import pytest
from sqlalchemy import text

from gateway.clock import system_clock
from gateway.errors import ConfigError, SchemaTooNew, StoreUnavailable
from gateway.stores.redis.connection import RedisLink
from gateway.stores.redis.ledger import RedisLedger
from gateway.stores.sql.engine import open_engine
from gateway.stores.sql.ledger import SqlLedger
from gateway.stores.sql.migrate import migrate, newest_revision
from gateway.stores.sql.sessions import SqlChanges
from gateway.stores.sql.transactions import writing
from tests.faults.serving import Machine
from tests.rig import Rig, running_gateway
from tests.services import Daemon, folder_for_all, missing, redis_server
from tests.waiting import PATIENCE, free_port


def program(name: str) -> str:
    found = shutil.which(name, path="/usr/sbin:/usr/bin:/usr/local/bin")
    if found is None:
        missing(f"{name} is not installed")
    return str(found)


# -- PgBouncer ---------------------------------------------------------------------------------------------------


@contextmanager
def pgbouncer(database: str) -> Iterator[str]:
    """A PgBouncer that gives each transaction one of four connections; yields the URL through it."""
    binary, port = program("pgbouncer"), free_port()
    server, name = database.removeprefix("postgresql://postgres@").split("/")
    host, server_port = server.split(":")
    as_root = ["-u", "nobody"] if os.geteuid() == 0 else []
    with folder_for_all() as folder:
        (folder / "users.txt").write_text('"postgres" ""\n')
        (folder / "pgbouncer.ini").write_text(
            f"""[databases]
{name} = host={host} port={server_port} dbname={name}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = trust
auth_file = {folder}/users.txt
pool_mode = transaction
default_pool_size = 4
"""
        )
        process = subprocess.Popen(
            [binary, *as_root, str(folder / "pgbouncer.ini")],
            stdout=subprocess.DEVNULL,
            stderr=(folder / "pgbouncer.log").open("wb"),
        )
        try:
            asyncio.run(_answers(f"postgresql://postgres@127.0.0.1:{port}/{name}", process))
            yield f"postgresql://postgres@127.0.0.1:{port}/{name}"
        finally:
            process.terminate()
            process.wait(PATIENCE)


async def _answers(url: str, process: "subprocess.Popen[bytes]") -> None:
    async with asyncio.timeout(PATIENCE):
        while True:
            assert process.poll() is None, "PgBouncer has ended"
            try:
                connection = await asyncpg.connect(url, statement_cache_size=0)
            except OSError:
                await asyncio.sleep(0.05)
                continue
            await connection.close()
            return


@pytest.fixture
def bouncer(tmp_path: Path, database: str) -> Iterator[str]:
    with pgbouncer(database) as url:
        yield url


async def test_a_sign_in_works_through_pgbouncer_with_transaction_pooling(
    tmp_path: Path, bouncer: str
) -> None:
    async with running_gateway(tmp_path, storage={"url": f"{bouncer}?pgbouncer=true"}) as rig:
        await rig.add_user()
        async with rig.browser() as one, rig.browser() as two:
            for browser in (one, two):
                await browser.sign_in()
                assert (await browser.get("/app")).status == 200
                assert (await browser.get("/_auth/account")).status == 200
        ledger = SqlLedger(rig.gateway.stores.engine, system_clock)
        counts = await asyncio.gather(*(ledger.hit("many", 60.0) for _ in range(40)))
        assert sorted(counts) == list(range(1, 41))


async def test_many_reads_at_once_go_through_pgbouncer(bouncer: str) -> None:
    """Also reads, which are prepared in one step and run in the next: both must meet the same server."""
    url = f"{bouncer}?pgbouncer=true"
    first = open_engine(url)
    await migrate(first)
    await first.dispose()
    for _ in range(10):
        engines = [open_engine(url) for _ in range(8)]
        await asyncio.gather(*(SqlChanges(engine).since(0) for engine in engines for _ in range(3)))
        for engine in engines:
            await engine.dispose()


async def test_without_the_word_for_it_pgbouncer_is_named(bouncer: str) -> None:
    direct = open_engine(f"{bouncer}?pgbouncer=true")
    await migrate(direct)
    await direct.dispose()
    engine = open_engine(bouncer)
    changes = SqlChanges(engine)

    async def many() -> None:
        for _ in range(20):
            await asyncio.gather(*(changes.since(0) for _ in range(8)))

    with pytest.raises(StoreUnavailable, match="pgbouncer=true"):
        await many()
    await engine.dispose()


# -- Redis in other shapes ---------------------------------------------------------------------------------------


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
    port, key, certificate = free_port(), tmp_path / "key.pem", tmp_path / "cert.pem"
    command = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
    ]
    command += ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-days", "2"]
    subprocess.run([*command, "-keyout", key, "-out", certificate], check=True, capture_output=True)
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


# -- readyz ------------------------------------------------------------------------------------------------------


async def checks(rig: Rig) -> dict[str, str]:
    async with rig.browser() as browser:
        answer = await browser.get("/_auth/readyz")
        found: dict[str, str] = (await answer.json())["checks"]
        assert (answer.status == 200) == (set(found.values()) == {"ok"})
        return found


@asynccontextmanager
async def ready(rig: Rig) -> AsyncIterator[None]:
    """Ready before; afterwards again."""
    assert set((await checks(rig)).values()) == {"ok"}
    yield
    async with asyncio.timeout(PATIENCE):
        while set((await checks(rig)).values()) != {"ok"}:
            await asyncio.sleep(0.05)


async def unavailable(rig: Rig) -> dict[str, str]:
    """What readyz says once it has noticed that nothing can be written."""
    async with asyncio.timeout(PATIENCE):
        while (found := await checks(rig))["writes"] == "ok":
            await asyncio.sleep(0.05)
    return found


async def test_readyz_tells_of_a_redis_that_is_full_or_a_replica(tmp_path: Path) -> None:
    with redis_server() as redis:
        async with running_gateway(tmp_path, storage={"state_url": redis.url}) as rig:
            client = rig.gateway.stores.state.ledger._link.client  # type: ignore[attr-defined]
            for name, full, empty in (("maxmemory", "1", "0"), ("min-replicas-to-write", "1", "0")):
                async with ready(rig):
                    await client.config_set(name, full)
                    await unavailable(rig)
                    await client.config_set(name, empty)


async def test_readyz_tells_of_a_database_that_is_locked(tmp_path: Path) -> None:
    async with running_gateway(tmp_path) as rig, ready(rig):
        other = sqlite3.connect(tmp_path / "gateway.db", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        found = await unavailable(rig)
        other.execute("ROLLBACK")
        other.close()
        assert found["store"] == "ok"


async def test_readyz_tells_of_a_postgresql_that_is_read_only(tmp_path: Path, database: str) -> None:
    async with running_gateway(tmp_path, storage={"url": database}) as rig, ready(rig):
        name = database.rpartition("/")[2]
        connection = await asyncpg.connect(database)
        await connection.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
        await rig.gateway.stores.engine.dispose()
        await unavailable(rig)
        await connection.execute("SET default_transaction_read_only = off")
        await connection.execute(f"ALTER DATABASE {name} RESET default_transaction_read_only")
        await connection.close()


# -- a newer schema ----------------------------------------------------------------------------------------------


async def newer(url: str, oldest: str) -> None:
    """As a newer gateway leaves the database, which says that code of `oldest` may still use it."""
    engine = open_engine(url)
    await migrate(engine)
    async with writing(engine) as connection:
        for name, value in (("schema", "9999"), ("oldest code", oldest)):
            await connection.execute(text(f"UPDATE installation SET value = '{value}' WHERE name = '{name}'"))
    await engine.dispose()


async def test_older_code_on_a_newer_schema_ends_with_one_sentence(tmp_path: Path) -> None:
    machine = Machine(tmp_path, {"url": f"sqlite:///{tmp_path}/gateway.db"})
    await newer(machine.storage["url"], "9000")
    async with machine.started() as serving:
        assert await serving.ended() == 1
    assert [line for line in serving.output if "Traceback" in line] == []
    assert serving.said("auth-gateway: the database has schema 9999, made by a newer gateway")
    assert len(serving.output) == 1


async def test_a_newer_schema_that_only_adds_is_shared_during_a_rolling_upgrade(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/gateway.db"
    await newer(url, newest_revision())
    async with running_gateway(tmp_path) as rig, rig.browser() as alice:
        await rig.add_user()
        await alice.sign_in()
        assert (await alice.get("/app")).status == 200
    await newer(url, "9000")
    engine = open_engine(url)
    with pytest.raises(SchemaTooNew):
        await migrate(engine)
    await engine.dispose()
