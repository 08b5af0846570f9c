"""One worker: an event loop, a Gateway on given sockets, and the end of both.

Runs in a process forked by `workers` (or in the only process). It must not bind sockets, restart anything or
read the configuration file: that is its parent's work.
"""

import asyncio
import logging
import signal
import socket
from collections.abc import Callable

from gateway.config.schema import Config
from gateway.errors import GatewayError
from gateway.server.tls.context import server_context

log = logging.getLogger("gateway.worker")
READY = b"R"


def new_loop() -> asyncio.AbstractEventLoop:
    """A uvloop loop where uvloop is installed."""
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()


def run_worker(config: Config, sockets: list[socket.socket], channel: socket.socket, number: int) -> int:
    """Serve until SIGTERM, or until the parent's end of `channel` closes. Returns the exit status."""
    try:
        with asyncio.Runner(loop_factory=new_loop) as runner:
            runner.run(_serve(config, sockets, channel, number))
    except (GatewayError, OSError) as error:
        log.error("worker %d cannot serve: %s", number, error)
        return 1
    return 0


async def _serve(config: Config, sockets: list[socket.socket], channel: socket.socket, number: int) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    channel.setblocking(False)
    loop.add_reader(channel, stop.set)  # the parent never writes: readable means that it is gone
    await serve_until(stop, config, sockets, number=number, ready=lambda: channel.send(READY))
    loop.remove_reader(channel)


async def serve_until(
    stop: asyncio.Event,
    config: Config,
    sockets: list[socket.socket],
    *,
    number: int = 0,
    ready: Callable[[], object],
) -> None:
    """Start a Gateway, call `ready`, wait for `stop`, drain."""
    # Imported here, not above: metrics choose their storage when imported (see multiprocess.shared_metrics).
    from gateway.server.gateway import start_gateway

    context = server_context(config.server.tls)
    gateway = await start_gateway(config, sockets, ssl_context=context, worker=number)
    try:
        ready()
        await stop.wait()
    finally:
        await gateway.drain(config.server.drain_timeout)
