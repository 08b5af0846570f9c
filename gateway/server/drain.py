"""Ends a server without dropping a request: stop accepting, let idle connections go, let the rest finish."""

import asyncio

from gateway.server.closing_connection import BRIEFLY
from gateway.server.connection_server import ConnectionServer

LINGER = BRIEFLY

CANCEL_GRACE = 0.5
"""Seconds that a request may take to end once its time is up and it is cancelled."""
_PAUSE = 0.02
"""Seconds in which what was accepted, or had arrived, a moment ago is seen."""


async def drain(server: ConnectionServer, seconds: float, *, linger: float = LINGER) -> bool:
    """Stop `server` within `seconds`; True if every request finished by itself.

    A connection that was used less than `linger` seconds ago may still bring a request, for so long.
    """
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    server.draining, server.linger = True, linger
    server.stop_listening()
    # A request that is in our socket already must be read before its connection may count as idle.
    await asyncio.sleep(_PAUSE)
    for connection in tuple(server.connections):
        connection.retire()
    finished = await server.emptied(max(0.0, end - loop.time()))
    if not finished:
        for connection in tuple(server.connections):
            connection.cut()
        await server.emptied(CANCEL_GRACE)
    return finished
