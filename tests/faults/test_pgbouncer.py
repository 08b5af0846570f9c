"""PostgreSQL behind PgBouncer, which gives each transaction any server connection."""

import asyncio
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import asyncpg
import pytest

from gateway.clock import system_clock
from gateway.errors import StoreUnavailable
from gateway.stores.sql.engine import open_engine
from gateway.stores.sql.ledger import SqlLedger
from gateway.stores.sql.migrate import migrate
from gateway.stores.sql.sessions import SqlChanges
from tests.rig import running_gateway
from tests.services import folder_for_all, program
from tests.waiting import PATIENCE, free_port


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
        with (folder / "pgbouncer.log").open("wb") as log:
            process = subprocess.Popen(
                [binary, *as_root, str(folder / "pgbouncer.ini")], stdout=subprocess.DEVNULL, stderr=log
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
