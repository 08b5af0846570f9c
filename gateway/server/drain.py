"""Ends an aiohttp server without dropping a request: stop accepting, let the rest finish, then close.

An idle keep-alive connection may be about to carry a request (RFC 9112 section 9.3.1). So it is left open for
a short while; whatever arrives on it is answered with `Connection: close`.
"""

import asyncio

from aiohttp import web

from gateway.server.connection import ConnectionServer

LINGER = 1.0
"""Seconds that idle connections stay open."""
CANCEL_GRACE = 0.5
"""For the runner's `shutdown_timeout`: seconds that a request may take to end once it is cancelled."""
_PAUSE = 0.02


async def drain(runner: web.ServerRunner, seconds: float, *, linger: float = LINGER) -> bool:
    """Stop `runner` within `seconds`; True if every request finished by itself."""
    server = runner.server
    assert isinstance(server, ConnectionServer)
    server.draining = True
    for site in list(runner.sites):
        await site.stop()
    finished = True
    if not await _emptied(server, min(linger, seconds)):
        server.pre_shutdown()  # idle connections close now, busy ones after their response
        finished = await _emptied(server, seconds - linger)
    await runner.cleanup()
    return finished


async def _emptied(server: web.Server, seconds: float) -> bool:
    deadline = asyncio.get_running_loop().time() + seconds
    while True:
        # Look only after a pause: what was accepted a moment ago is not yet among the connections.
        await asyncio.sleep(_PAUSE)
        if not server.connections:
            return True
        if asyncio.get_running_loop().time() >= deadline:
            return False
