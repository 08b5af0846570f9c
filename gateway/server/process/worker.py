"""One worker: an event loop, a Gateway on given sockets, and the end of both.

Runs in a process forked by `supervisor`. It must not bind sockets, restart anything or
read the configuration file: that is its parent's work.
"""

import asyncio
import logging
import signal
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING

from gateway.config.schema import Config
from gateway.errors import GatewayError
from gateway.server.process.channel import ALIVE, ALIVE_EVERY, READY, read_order
from gateway.server.tls.context import shared_context

if TYPE_CHECKING:
    from gateway.server.gateway import Gateway

log = logging.getLogger("gateway.worker")


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
    await serve_until(
        stop, config, sockets, number=number, ready=lambda gateway: Bond(channel, gateway, stop)
    )


class Bond:
    """A worker's end of the channel while it serves: it gives signs of life and follows its parent's orders.

    Made when the gateway serves, which it says. `stop` is set, and the channel left, once the parent is gone."""

    def __init__(self, channel: socket.socket, gateway: "Gateway", stop: asyncio.Event) -> None:
        self._channel, self._gateway, self._stop = channel, gateway, stop
        self._loop = asyncio.get_running_loop()
        self._taken: dict[int, list[socket.socket]] = {}
        self._works: set[asyncio.Task[None]] = set()
        self._loop.add_reader(channel, self._on_order)
        self._say(READY)

    def _say(self, word: bytes) -> None:
        try:
            self._channel.send(word)
        except BlockingIOError:  # the parent is busy; it has many signs of ours to read
            pass
        except OSError:
            self._on_orphaned()
            return
        self._loop.call_later(ALIVE_EVERY, self._say, ALIVE)

    def _on_order(self) -> None:
        try:
            order = read_order(self._channel)
        except BlockingIOError:
            return
        except OSError:
            order = None
        if order is None:
            self._on_orphaned()
            return
        work = self._loop.create_task(self._follow(order.number, order.sockets))
        self._works.add(work)
        work.add_done_callback(self._works.discard)

    async def _follow(self, number: int, sockets: list[socket.socket]) -> None:
        for sock in self._taken.pop(number, []):
            await self._gateway.leave(sock)
        if sockets and not self._stop.is_set():
            self._taken[number] = sockets
            for sock in sockets:
                await self._gateway.read(sock)

    def _on_orphaned(self) -> None:
        # An end-of-file stays readable: without this, the loop would spin until the last request has ended.
        self._loop.remove_reader(self._channel)
        self._stop.set()


async def serve_until(
    stop: asyncio.Event,
    config: Config,
    sockets: list[socket.socket],
    *,
    number: int = 0,
    ready: Callable[["Gateway"], object],
) -> None:
    """Start a Gateway, call `ready` with it, wait for `stop`, drain."""
    # Imported here, not above: metrics choose their storage when imported (see shared_metrics).
    from gateway.server.gateway import start_gateway

    # With an engine in front, TLS ends there.
    context = None if config.server.engine == "envoy" else shared_context(config.server.tls)
    gateway = await start_gateway(config, sockets, ssl_context=context, worker=number)
    try:
        bond = ready(gateway)
        await stop.wait()
        del bond
    finally:
        await gateway.drain(config.server.drain_timeout)
