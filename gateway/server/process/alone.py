"""`workers: 1`: the gateway in the only process, without fork. Same signals and promises as with workers."""

import asyncio
import logging
import os
import signal
from collections.abc import Callable

from gateway.config.schema import Config
from gateway.errors import ConfigError, GatewayError
from gateway.server.process import systemd
from gateway.server.process.sockets import ListenError, Listeners
from gateway.server.process.supervisor import refuse_reload
from gateway.server.process.worker import new_loop, serve_until
from gateway.server.tls.context import server_context

log = logging.getLogger("gateway.workers")


def run_alone(
    config: Config, listeners: Listeners, *, load: Callable[[], Config], on_ready: Callable[[], None]
) -> int:
    """Serve until stopped; returns the exit status."""
    try:
        with asyncio.Runner(loop_factory=new_loop) as runner:
            runner.run(Alone(listeners, load, on_ready).run(config))
    except (GatewayError, OSError) as error:
        log.error("cannot serve: %s", error)
        return 1
    return 0


class Alone:
    """At most one Gateway accepts; those before it, after a reload, are draining."""

    def __init__(
        self, listeners: Listeners, load: Callable[[], Config], on_ready: Callable[[], None]
    ) -> None:
        self._tell_ready = on_ready
        self._listeners = listeners
        self._load = load
        self._stop = asyncio.Event()
        self._retire = asyncio.Event()
        self._gateways: set[asyncio.Task[None]] = set()

    async def run(self, config: Config) -> None:
        loop = asyncio.get_running_loop()
        reloads: asyncio.Queue[None] = asyncio.Queue()
        loop.add_signal_handler(signal.SIGHUP, reloads.put_nowait, None)
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._on_stop, config.server.drain_timeout)
        self._listeners.grow(1)
        await self._start(config)
        self._tell_ready()
        systemd.notify("READY=1")
        reloading = asyncio.create_task(self._follow(reloads))
        await self._stop.wait()
        reloading.cancel()
        systemd.notify("STOPPING=1")
        self._retire.set()
        self._listeners.close()
        await asyncio.gather(*self._gateways)

    def _on_stop(self, drain_timeout: float) -> None:
        if self._stop.is_set():
            os._exit(1)  # asked twice: at once means without any farewell
        log.info("stopping: running requests have %gs", drain_timeout)
        self._stop.set()

    async def _start(self, config: Config) -> None:
        """Bring up a Gateway; once it serves, the one before it drains. If it can't, nothing has changed."""
        sockets = [sock.dup() for sock in self._listeners.share(0, 1)]
        retire, ready = asyncio.Event(), asyncio.Event()
        gateway = asyncio.create_task(serve_until(retire, config, sockets, ready=ready.set))
        waiting = asyncio.create_task(ready.wait())
        await asyncio.wait({gateway, waiting}, return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        if not ready.is_set():
            await gateway
        self._gateways.add(gateway)
        gateway.add_done_callback(self._gateways.discard)
        self._retire.set()
        self._retire = retire

    async def _follow(self, reloads: asyncio.Queue[None]) -> None:
        while True:
            await reloads.get()
            systemd.reloading()
            await self._reload()
            systemd.notify("READY=1")

    async def _reload(self) -> None:
        try:
            config = self._load()
            server_context(config.server.tls)
            if config.server.listen != self._listeners.listen:
                raise ListenError("server.listen can only change at a restart when workers is 1")
            await self._start(config)
            log.info("reload done")
        except (ConfigError, GatewayError, OSError) as error:
            refuse_reload(error)
