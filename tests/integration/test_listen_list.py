"""`server.listen` as a list: every address serves, and a reload keeps those that stay."""

import asyncio
import http.client
import os
import signal
import socket
from pathlib import Path

import pytest

from tests.integration.serving import serving, upstream, write_config
from tests.waiting import PATIENCE, free_port, until

pytestmark = pytest.mark.xdist_group("processes")


def answered(address: str) -> bool:
    """Whether the app answers behind this address; False where nobody listens."""
    connection = http.client.HTTPConnection("app.example.test", timeout=PATIENCE)
    sock = socket.socket(socket.AF_UNIX if address.startswith("unix:") else socket.AF_INET)
    sock.settimeout(PATIENCE)
    try:
        host, _, port = address.rpartition(":")
        sock.connect(port if host == "unix" else (host, int(port)))
        connection.sock = sock
        connection.request("GET", "/quick")
        return connection.getresponse().read() == b"quick"
    except (ConnectionError, FileNotFoundError):
        return False
    finally:
        sock.close()


async def test_all_addresses_serve_and_a_reload_takes_up_and_leaves_single_ones(tmp_path: Path) -> None:
    first, second, third = (f"127.0.0.1:{free_port()}" for _ in range(3))
    unix = f"unix:{tmp_path}/gateway.sock"
    async with upstream() as app, serving(tmp_path, app, listen=[first, second, unix]) as gateway:
        assert await seen(first, second, third, unix) == [True, True, False, True]
        inode = os.stat(tmp_path / "gateway.sock").st_ino
        held = socket.create_connection((first.partition(":")[0], int(first.partition(":")[2])), PATIENCE)
        write_config(tmp_path, app, gateway.port, listen=[third, first, unix])
        gateway.signal(signal.SIGHUP)
        await gateway.said_until("reload done")
        assert await seen(first, third, unix) == [True, True, True]
        await until(lambda: left(second), "nobody holds the address that was left")
        assert os.stat(tmp_path / "gateway.sock").st_ino == inode  # the same socket, never closed
        held.close()
        # An address that is taken refuses the whole reload; what is served stays.
        with socket.create_server(("127.0.0.1", 0)) as other:
            taken = f"127.0.0.1:{other.getsockname()[1]}"
            write_config(tmp_path, app, gateway.port, listen=[first, taken])
            gateway.signal(signal.SIGHUP)
            await gateway.said_until("reload refused")
        assert await seen(first, third, unix) == [True, True, True]


async def left(address: str) -> bool:
    return await seen(address) == [False]


async def seen(*addresses: str) -> list[bool]:
    return [await asyncio.to_thread(answered, address) for address in addresses]
