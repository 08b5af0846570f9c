"""Two replicas on one PostgreSQL and a real authority (Pebble): one orders, both serve it without a restart."""

import asyncio
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from gateway.clock import system_clock
from gateway.keyring import KeyRing
from gateway.server.tls.acme.authority import Authority
from tests.acme_rig import Replica, acme_section
from tests.databases import new_database
from tests.integration.serving import upstream
from tests.integration.test_acme import all_serve, brief, gateway, renewed, served
from tests.pebble import pebble
from tests.rig import FakeClock
from tests.services import postgres_server
from tests.waiting import free_port, until

pytestmark = pytest.mark.xdist_group("processes")


@pytest.fixture(scope="module")
def postgres() -> Iterator[str]:
    with postgres_server() as url:
        yield url


async def test_of_two_replicas_on_postgresql_one_orders_and_both_serve(tmp_path: Path, postgres: str) -> None:
    with pebble(tmp_path) as authority:
        url, ring = await new_database(postgres, "acme"), tmp_path / "session.keys"
        KeyRing.load_or_create(ring, system_clock)
        async with AsyncExitStack() as stack:
            app = await stack.enter_async_context(upstream())
            # The authority looks for proofs at one port: what the other replica orders, the first one proves.
            ports = (authority.http_port, free_port())
            starting = [
                gateway(tmp_path / name, app, authority, proofs=port, storage=url, keys_file=str(ring))
                for name, port in zip(("first", "second"), ports, strict=True)
            ]
            for name in ("first", "second"):
                (tmp_path / name).mkdir()
            # At the same time, so that the workers of both want the lease.
            replicas = await asyncio.gather(*map(stack.enter_async_context, starting))
            workers = [one.workers() for one in replicas]
            first = await until(lambda: served(replicas[0].port, authority), "a certificate")
            for one in replicas:
                await until(lambda one=one: all_serve(one.port, authority, first), "it from every worker")  # type: ignore[misc]
            issued = [line for one in replicas for line in one.output if "certificate_issued" in line]
            assert len(issued) == 1

            clock = FakeClock(time.time())
            section = acme_section(
                tmp_path, directory=authority.directory, ca_file=authority.ca_file, cache=tmp_path / "third"
            )
            third = Replica(
                tmp_path, "", section, authority=Authority, clock=clock, pause=brief, database=url
            )
            await third.start()
            assert third.served.bundle is not None
            assert third.served.bundle.serial == first
            await third.renewer.look()  # asks when, and need not renew
            authority.renew_now(third.served.bundle)
            clock.advance(25 * 3600)
            second = await until(lambda: renewed(third, first), "the renewal")
            for one in replicas:
                await until(lambda one=one: all_serve(one.port, authority, second), "the renewed one")  # type: ignore[misc]
            assert [one.workers() for one in replicas] == workers
            await third.close()
