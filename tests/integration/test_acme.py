"""Certificates by ACME from a real authority (Pebble): issued, renewed and served by real workers without a restart."""

import asyncio
import contextlib
import http.client
import json
import socket
import ssl
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from gateway.server.tls.acme.authority import Authority
from gateway.server.tls.acme.cache import CertificateCache
from tests.acme_rig import Replica, acme_section
from tests.engine_rig import needs_envoy
from tests.integration.serving import Serving, serving, upstream
from tests.pebble import Pebble, pebble
from tests.rig import FakeClock
from tests.waiting import PATIENCE, free_port, until

pytestmark = pytest.mark.xdist_group("processes")
HOST = "login.example.test"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pebble]:
    with pebble(tmp_path_factory.mktemp("pebble")) as running:
        yield running


@pytest.fixture
async def app() -> AsyncIterator[str]:
    async with upstream() as url:
        yield url


@asynccontextmanager
async def gateway(
    folder: Path,
    app: str,
    authority: Pebble,
    *,
    acme: dict[str, Any] | None = None,
    proofs: int = 0,
    **server: Any,
) -> AsyncIterator[Serving]:
    """A gateway with https on its port, and a plain address: `proofs`, or where the authority looks for proofs."""
    port = free_port()
    section = {
        "email": "ops@example.test",
        "agree_to_terms": True,
        "hosts": [HOST],
        "directory": authority.directory,
        "ca_file": str(authority.ca_file),
        "cache": str(folder / "acme"),
        **(acme or {}),
    }
    listen = [f"127.0.0.1:{port}", f"http://127.0.0.1:{proofs or authority.http_port}"]
    async with serving(
        folder,
        app,
        **{"listen": listen, "public_url": f"https://{HOST}:{port}", "tls": {"acme": section}, **server},
    ) as running:
        running.port = port
        yield running


async def served(port: int, authority: Pebble) -> str:
    """The serial number of the certificate that a new connection is shown; "" if a browser would refuse it."""
    return await asyncio.to_thread(_served, port, authority.root())


def _served(port: int, root: str) -> str:
    try:
        with _connected(port, root) as secure:
            certificate: Any = secure.getpeercert()
            return str(certificate["serialNumber"]).lower().lstrip("0")
    except ssl.SSLCertVerificationError:
        return ""


def _connected(port: int, root: str) -> ssl.SSLSocket:
    plain = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
    return ssl.create_default_context(cadata=root).wrap_socket(plain, server_hostname=HOST)


async def ask(port: int, path: str, *, root: str = "", host: str = HOST) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body of an answer, over TLS if `root` is given."""
    return await asyncio.to_thread(_ask, port, path, root, host)


def _ask(port: int, path: str, root: str, host: str) -> tuple[int, dict[str, str], bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    with contextlib.closing(connection):
        if root:
            connection.sock = _connected(port, root)
        connection.request("GET", path, headers={"Host": host})
        answer = connection.getresponse()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()


def second_replica(folder: Path, authority: Pebble, clock: FakeClock, **given: Any) -> Replica:
    """A replica in this process, on the database and with the keys of the gateway that serves in `folder`."""
    section = acme_section(
        folder, directory=authority.directory, ca_file=authority.ca_file, cache=folder / "second", **given
    )
    return Replica(folder, "", section, authority=Authority, clock=clock, pause=brief)


async def brief(_: float) -> None:
    await asyncio.sleep(0.05)


async def test_a_certificate_is_issued_and_served_by_all_workers_without_a_restart(
    tmp_path: Path, app: str, authority: Pebble
) -> None:
    async with gateway(tmp_path, app, authority) as running:
        workers, root = running.workers(), authority.root()
        first = await until(lambda: served(running.port, authority), "a certificate")
        await until(lambda: all_serve(running.port, authority, first), "the certificate from all workers")
        assert (await ask(running.port, "/quick", root=root))[2] == b"quick"
        assert (await ask(running.port, "/_auth/readyz", root=root))[0] == 200
        await the_plain_address_only_redirects(authority.http_port, running.port)

        # A second replica renews it, on the word of the authority; these workers prove the name and serve the new one.
        clock = FakeClock(time.time())
        replica = second_replica(tmp_path, authority, clock)
        await replica.start()
        assert replica.served.bundle.serial == first  # read from the database
        await replica.renewer.look()  # asks when, and need not renew
        authority.renew_now(replica.served.bundle)
        clock.advance(25 * 3600)
        second = await until(lambda: renewed(replica, first), "the renewal")
        await until(lambda: all_serve(running.port, authority, second), "the renewed certificate")
        assert running.workers() == workers
        assert sum("certificate_issued" in line for line in running.output) == 1
        cached = CertificateCache(tmp_path / "acme").read()
        assert cached is not None
        assert cached.serial == second
        await the_command_tells_of_it(running, second)
        await replica.close()


async def renewed(replica: Replica, first: str) -> str:
    """The serial of what it serves once that is another one; a worker may have the lease for a moment."""
    await replica.renewer.look()
    assert replica.served.bundle is not None
    return "" if replica.served.bundle.serial == first else replica.served.bundle.serial


async def all_serve(port: int, authority: Pebble, serial: str) -> bool:
    """Whether eight connections in a row, more than there are workers, are shown this certificate."""
    return all([await served(port, authority) == serial for _ in range(8)])


async def the_plain_address_only_redirects(plain: int, secure: int) -> None:
    status, headers, _ = await ask(plain, "/quick?a=b%20c")
    assert (status, headers["location"]) == (308, f"https://{HOST}:{secure}/quick?a=b%20c")
    assert "set-cookie" not in headers
    assert (await ask(plain, "/_auth/login"))[0] == 308
    assert (await ask(plain, "/_auth/healthz"))[0] == 200
    assert (await ask(plain, "/.well-known/acme-challenge/" + "x" * 43))[0] == 404
    assert (await ask(plain, "/", host="two hosts"))[0] == 400


async def the_command_tells_of_it(running: Serving, serial: str) -> None:
    command = (sys.executable, "-m", "gateway", "acme", "status", "--json", "--config", running.config_file)
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    said, _ = await process.communicate()
    facts = json.loads(said)
    assert (facts["certificate"], facts["names"], facts["good"]) == (serial, [HOST], "yes")
    assert "failures" not in facts


async def test_a_wildcard_is_proven_by_the_dns_hook(tmp_path: Path, authority: Pebble) -> None:
    hosts = ("*.example.test", "example.test")
    replica = second_replica(
        tmp_path, authority, FakeClock(time.time()), hosts=hosts, dns_hook=tuple(authority.hook()), dns_wait=0
    )
    await replica.start()
    await replica.renewer.look()
    assert replica.served.bundle is not None, replica.audit.events
    assert sorted(replica.served.bundle.names) == sorted(hosts)
    asked = [line.split()[:2] for line in authority.hooked]
    assert sorted(asked) == sorted(
        [[verb, "_acme-challenge.example.test"] for verb in ("present", "cleanup")] * 2
    )
    assert [verb for verb, _ in asked[:2]] == ["present", "present"]  # both before the authority looks
    await replica.close()


async def test_what_the_authority_refuses_is_told_with_its_own_words(
    tmp_path: Path, authority: Pebble
) -> None:
    replica = second_replica(tmp_path, authority, FakeClock(time.time()), hosts=("unreachable.example.test",))
    await replica.start()
    await replica.renewer.look()  # nobody answers on the plain port
    event = replica.audit.named("certificate_failed")[0]
    assert event["code"] == "connection"
    assert "unreachable.example.test" in event["cause"]
    assert "port 80" in event["mend"]
    assert replica.served.bundle is None
    await replica.close()


async def test_envoy_serves_what_the_workers_got_and_then_what_a_replica_renewed(
    tmp_path: Path, app: str, authority: Pebble
) -> None:
    needs_envoy()
    async with gateway(tmp_path, app, authority, engine="envoy", http3=False) as running:
        workers = running.workers()
        first = await until(lambda: served(running.port, authority), "a certificate from Envoy")
        assert (await ask(running.port, "/quick", root=authority.root()))[2] == b"quick"
        await the_plain_address_only_redirects(authority.http_port, running.port)
        replica = second_replica(tmp_path, authority, FakeClock(time.time()))
        await replica.start()
        await replica.records.want(time.time() + 1)
        second = await until(lambda: renewed(replica, first), "the renewal")
        await until(lambda: all_serve(running.port, authority, second), "the renewed certificate from Envoy")
        assert running.workers() == workers  # Envoy is one of them
        await replica.close()
