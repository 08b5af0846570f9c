"""An idle connection that we close may have brought a request just then: what has arrived is answered first."""

import asyncio
import socket

import pytest

from gateway.server.connection import ClientConnection
from tests.both_paths import one_path, request
from tests.waiting import PATIENCE, leap


@pytest.mark.parametrize("fast", [True, False], ids=["fast", "ordinary"])
@pytest.mark.parametrize("end", ["retire", "_too_late"], ids=["drained", "idle for too long"])
async def test_a_request_that_came_before_an_idle_connection_is_closed_is_answered(
    end: str, fast: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It stands in our socket, and the loop is about to give it to us. An nginx that had sent it said 502."""
    close, raced = getattr(ClientConnection, end), asyncio.Event()
    async with one_path(fast) as (_, rig):
        with socket.socket() as client:

            def race(connection: ClientConnection) -> None:
                if not raced.is_set():
                    client.sendall(request("/chunked"))  # on loopback it has arrived when this returns
                    raced.set()
                close(connection)

            monkeypatch.setattr(ClientConnection, end, race)
            client.settimeout(PATIENCE)
            client.connect(("127.0.0.1", rig.port))
            client.sendall(request())
            assert b"hello" in await asyncio.to_thread(client.recv, 65536)
            assert rig.gateway._server is not None
            (connection,) = rig.gateway._server.connections
            if end == "retire":
                await rig.gateway.drain(600, linger=0)
            else:
                leap(76)  # longer than it may be idle
                connection._deadline.set(0)
            async with asyncio.timeout(PATIENCE):
                await raced.wait()
            answer = await asyncio.to_thread(client.recv, 65536)
            assert answer.startswith(b"HTTP/1.1 200")
            assert (b"Connection: close" in answer) is (end == "retire")
