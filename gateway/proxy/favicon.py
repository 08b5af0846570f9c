"""Asks an app for a picture of it: one anonymous GET within limits, beside the requests that it proxies."""

import asyncio

from gateway.config.schema import Route
from gateway.errors import GatewayError
from gateway.proxy.client_headers import Pairs
from gateway.proxy.upstream_connection import serialize
from gateway.proxy.upstreams import Upstream

LARGEST = 64 * 1024
"""Bytes that are read."""
PATIENCE = 3.0
"""Seconds for one answer, connection included."""


async def fetch_picture(upstream: Upstream, route: Route, host: str, path: str) -> bytes:
    """Return what a GET of `path` brings, as long as it is a 200 and not too large; else b"".

    No redirect is followed: it could lead to any other place. `host` is what clients ask for.
    """
    try:
        async with asyncio.timeout(PATIENCE):
            return await _get(upstream, route, host, path)
    except (GatewayError, TimeoutError, OSError, ValueError):
        return b""


async def _get(upstream: Upstream, route: Route, host: str, path: str) -> bytes:
    connection = await upstream.connect(PATIENCE)
    pairs = [
        (b"Host", (host if route.preserve_host else upstream.address.authority).encode()),
        (b"Accept", b"image/*"),
        (b"User-Agent", b"auth-gateway icons"),
        (b"Connection", b"close"),
    ]
    try:
        connection.begin("GET", _ignore, lenient=route.upstream_http == "lenient")
        connection.write(serialize(b"GET " + (upstream.address.base + path).encode() + b" HTTP/1.1", pairs))
        if (await connection.head()).status != 200:
            return b""
        body = b""
        while len(body) <= LARGEST and (chunk := await connection.read()):
            body += chunk
        return body if len(body) <= LARGEST else b""
    finally:
        connection.abort()


def _ignore(status: int, reason: bytes, headers: Pairs) -> None:
    """Interim responses say nothing about a picture."""
