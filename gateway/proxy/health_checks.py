"""Active health checks: asks each upstream of a route now and then, and takes it out or brings it back."""

import asyncio

from gateway.config.schema import HealthCheck
from gateway.errors import UpstreamError, UpstreamTimeout, UpstreamUnreachable
from gateway.proxy.client_headers import Pairs
from gateway.proxy.upstream_connection import serialize
from gateway.proxy.upstreams import Pool, Upstream


async def watch(pool: Pool, check: HealthCheck) -> None:
    """Check the pool's upstreams every `check.interval` seconds, until cancelled."""
    await asyncio.gather(*(_watch_one(upstream, check) for upstream in pool.upstreams))


async def _watch_one(upstream: Upstream, check: HealthCheck) -> None:
    good = bad = 0
    while True:
        # One answer proves little either way: `rise` and `fall` in a row do, so that an upstream does not flap.
        error = await probe(upstream, check)
        good, bad = (0, bad + 1) if error else (good + 1, 0)
        if error:
            upstream.troubled(error)
        if bad >= check.fall:
            upstream.passing = False
        elif good >= check.rise:
            upstream.passing = True
            upstream.answered()
        await asyncio.sleep(check.interval)


async def probe(upstream: Upstream, check: HealthCheck) -> str:
    """Send one GET for `check.path` on a connection of its own. Returns "" if all is well, else what is wrong.

    `check.timeout` (seconds, 0 = none) holds for the connection and for the answer, each.
    """
    try:
        status = await _ask(upstream, check)
    except UpstreamError as error:
        return error.detail
    low, high = check.healthy_status
    return "" if low <= status <= high else f"{upstream.address.url}: status {status} from {check.path}"


async def _ask(upstream: Upstream, check: HealthCheck) -> int:
    connection = await upstream.connect(check.timeout)
    path = (upstream.address.base + check.path).encode()
    pairs = [
        (b"Host", upstream.address.authority.encode()),
        (b"User-Agent", b"auth-gateway health check"),
        (b"Connection", b"close"),  # kept connections are for requests; this one answers for a new one, too
    ]
    try:
        connection.begin("GET", _ignore)
        connection.write(serialize(b"GET " + path + b" HTTP/1.1", pairs))
        async with asyncio.timeout(check.timeout or None):
            return (await connection.head()).status
    except TimeoutError as error:
        raise UpstreamTimeout(f"{upstream.address.url}: no answer within {check.timeout:g} s") from error
    except UpstreamUnreachable as error:
        raise UpstreamUnreachable(f"{upstream.address.url}: {error.detail}") from error
    finally:
        connection.abort()


def _ignore(status: int, reason: bytes, headers: Pairs) -> None:
    """Interim responses say nothing about health."""
