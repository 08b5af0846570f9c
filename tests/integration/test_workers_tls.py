"""Workers that end TLS: a renewed certificate is served after a reload, a session goes on at every worker."""

import asyncio
import signal
import socket
import ssl
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.integration.serving import serving, upstream
from tests.sending import write_certificate
from tests.waiting import PATIENCE, until

pytestmark = pytest.mark.xdist_group("processes")


@pytest.fixture
async def app() -> AsyncIterator[str]:
    async with upstream() as url:
        yield url


async def test_reload_picks_up_a_renewed_certificate(tmp_path: Path, app: str) -> None:
    write_certificate(tmp_path, "first.example")
    tls = {"cert_file": str(tmp_path / "cert.pem"), "key_file": str(tmp_path / "key.pem")}
    async with serving(tmp_path, app, tls=tls, public_url="https://first.example") as gateway:
        assert "first.example" in await served_name(gateway.port)
        write_certificate(tmp_path, "second.example")
        old = gateway.workers()
        gateway.signal(signal.SIGHUP)
        await gateway.said_until("reload done")
        await until(lambda: not old & gateway.workers(), "none that has the old one is left to answer")
        assert "second.example" in await served_name(gateway.port)


async def test_a_tls_session_is_resumed_at_every_worker_and_after_a_reload(tmp_path: Path, app: str) -> None:
    write_certificate(tmp_path, "first.example")
    tls = {"cert_file": str(tmp_path / "cert.pem"), "key_file": str(tmp_path / "key.pem")}
    async with serving(tmp_path, app, tls=tls, public_url="https://localhost") as gateway:
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        first, _ = await asyncio.to_thread(resumed, context, gateway.port, None)
        again = [await asyncio.to_thread(resumed, context, gateway.port, first) for _ in range(8)]
        assert [yes for _, yes in again] == [True] * 8
        gateway.signal(signal.SIGHUP)
        await gateway.said_until("reload done")
        assert (await asyncio.to_thread(resumed, context, gateway.port, first))[1]


def resumed(
    context: ssl.SSLContext, port: int, session: ssl.SSLSession | None
) -> tuple[ssl.SSLSession | None, bool]:
    """Ask on a new connection; the session that it leaves, and whether it went on with `session`."""
    with (
        socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as plain,
        context.wrap_socket(plain, server_hostname="localhost", session=session) as secure,
    ):
        secure.sendall(b"GET /quick HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        while secure.recv(4096):
            pass  # TLS 1.3 sends tickets with the first bytes (RFC 8446 §4.6.1)
        return secure.session, bool(secure.session_reused)


async def served_name(port: int) -> str:
    pem = await asyncio.to_thread(ssl.get_server_certificate, ("127.0.0.1", port))
    result = subprocess.run(
        ["openssl", "x509", "-noout", "-subject"], input=pem, capture_output=True, text=True, check=True
    )
    return result.stdout
