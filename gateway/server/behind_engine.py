"""What differs for a worker with Envoy in front (`server.engine: envoy`): limits, patience, and a check of Envoy."""

import asyncio
import socket
from collections.abc import Sequence
from pathlib import Path

from gateway.config.schema import Config, HttpLimits, Server
from gateway.engines.front_bridges import bridged
from gateway.engines.front_envoy import limits_behind
from gateway.engines.front_place import ADMIN, IDLE_TO_WORKERS
from gateway.errors import StoreUnavailable
from gateway.server.drain import LINGER


def is_behind(server: Server) -> bool:
    """Whether Envoy is at the other end of a worker's connections."""
    return server.engine == "envoy"


def served_by_worker(config: Config, sockets: Sequence[socket.socket]) -> Config:
    """Return the configuration as a worker on these sockets serves it."""
    return bridged(config, folder_of(sockets)) if is_behind(config.server) else config


def folder_of(sockets: Sequence[socket.socket]) -> Path:
    """Return Envoy's private folder, which a worker knows by its socket."""
    return Path(str(sockets[0].getsockname())).parent


def limits_of(server: Server) -> HttpLimits:
    """What one connection may cost a worker."""
    if not is_behind(server):
        return server.limits
    return limits_behind(
        server.limits, certificates=server.tls is not None and server.tls.client_ca_file is not None
    )


def linger_of(server: Server) -> float:
    """Seconds for which a connection that was used stays open while the worker drains.

    Envoy closes what it does not use sooner, so that no request meets a connection that a worker is closing.
    """
    return 2 * IDLE_TO_WORKERS if is_behind(server) else LINGER


class Readiness:
    """Asks Envoy whether it serves, for readyz."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / ADMIN

    async def __call__(self) -> None:
        """Raises StoreUnavailable."""
        try:
            reader, writer = await asyncio.open_unix_connection(str(self._path))
            try:
                writer.write(b"GET /ready HTTP/1.1\r\nHost: admin\r\nConnection: close\r\n\r\n")
                line = await reader.readline()
            finally:
                writer.close()
        except OSError as error:
            raise StoreUnavailable(f"Envoy is away: {error}") from error
        if b" 200 " not in line:
            raise StoreUnavailable("Envoy does not serve")
