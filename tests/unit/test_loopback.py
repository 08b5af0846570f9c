"""The guard of tests/loopback.py, which fails a test that speaks with another machine."""

import asyncio
import socket

import aiohttp
import pytest

from tests import loopback


@pytest.fixture(autouse=True)
def it_was_meant(nobody_beyond_this_machine_is_asked: None) -> object:
    yield
    loopback.beyond.clear()


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "127.8.0.1", "::1", "::ffff:127.0.0.1", "localhost", "app.localhost", None, ""]
)
def test_loopback_may_be_asked(host: str | None) -> None:
    assert loopback.is_ours(host)


@pytest.mark.parametrize("host", ["192.0.2.1", "10.0.0.1", "0.0.0.0", "example.com", "localhost.example.com"])
def test_nobody_else_may(host: str) -> None:
    assert not loopback.is_ours(host)


def test_a_socket_beyond_is_refused_and_noted() -> None:
    with socket.socket() as tcp, socket.socket(type=socket.SOCK_DGRAM) as udp:
        for attempt in (tcp.connect, tcp.connect_ex, lambda address: udp.sendto(b"x", address)):
            with pytest.raises(OSError, match="loopback"):
                attempt(("192.0.2.1", 53))
    assert loopback.beyond == ["a socket to 192.0.2.1"] * 3


async def test_a_request_beyond_is_refused_and_noted() -> None:
    with pytest.raises(OSError, match="loopback"):
        await asyncio.open_connection("192.0.2.1", 80)
    async with aiohttp.ClientSession() as session:
        with pytest.raises(aiohttp.ClientConnectorError):
            await session.get("http://app.example.com/")
    assert loopback.beyond == ["a socket to 192.0.2.1", "a look-up of app.example.com"]
