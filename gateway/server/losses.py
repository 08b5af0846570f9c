"""Says in log and metrics what was taken from under a running gateway: descriptors, the SQLite file, keys, what Redis
kept.

Each of these looks like something else from outside: connections that hang, users who are gone, locks that are lifted.
"""

import asyncio
import logging
import os
import resource
from collections.abc import Awaitable, Callable
from pathlib import Path

from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.errors import StoreUnavailable
from gateway.observability import metrics

log = logging.getLogger("gateway.losses")
INTERVAL = 5.0
FEW = 0.9
"""The share of the descriptors in use from which on the operator is told."""
LITTLE, LITTLE_SHARE = 16 * 1024 * 1024, 0.02
"""Bytes of the disk that are left, and their share of it, where it is about to be full: both must be."""


class Losses:
    """Looks at what this worker stands on; tells of each loss once, until it is over.

    `forgot` tells whether Redis has lost what it kept since the last call, `keys` why the key ring can't be read ("" if
    it can), of which its own log line tells.
    """

    def __init__(
        self,
        engine: AsyncEngine,
        forgot: Callable[[], Awaitable[bool]],
        descriptors: Callable[[], tuple[int, int]] | None = None,
        *,
        keys: Callable[[], str] = lambda: "",
    ) -> None:
        self._keys = keys
        self._forgot, self._descriptors = forgot, descriptors or open_descriptors
        database = engine.url.database if engine.dialect.name == "sqlite" else None
        self._file = Path(database) if database else None
        self._identity = _identity(self._file)
        self._told: set[str] = set()

    async def watch(self, interval: float = INTERVAL) -> None:
        """Look every `interval` seconds, until cancelled."""
        while True:
            await self.look()
            await asyncio.sleep(interval)

    async def look(self) -> None:
        """Look once."""
        used, limit = self._descriptors()
        self._tell(
            "descriptors",
            used >= FEW * limit,
            f"{used} of {limit} file descriptors are in use: new connections will fail."
            " Raise the limit (systemd LimitNOFILE, ulimit -n), or lower server.limits.connections",
        )
        self._tell(
            "database_file",
            self._identity is not None and _identity(self._file) != self._identity,
            f"the database file {self._file} was deleted or replaced under the running gateway: what is written now"
            " is lost. Restore the file and restart",
        )
        self._tell(
            "disk",
            _is_nearly_full(self._file),
            f"hardly any room is left on the disk of {self._file}: when it is full nobody can sign in, and who is"
            " signed in goes on until the gateway is stopped. Make room; nothing needs to be started again",
        )
        metrics.fault.labels("key_ring").set(1 if self._keys() else 0)
        try:
            if await self._forgot():
                metrics.redis_forgot.inc()
                log.error(
                    "Redis has forgotten what it kept (FLUSHALL, or a restart without a file): attempts, locks and"
                    " used codes are gone, and codes and links that were out are void"
                )
        except StoreUnavailable:
            return  # readyz and the requests say so

    def _tell(self, fault: str, lost: bool, sentence: str) -> None:
        if lost and fault not in self._told:
            log.error("%s", sentence)
        (self._told.add if lost else self._told.discard)(fault)
        metrics.fault.labels(fault).set(1 if lost else 0)


def open_descriptors() -> tuple[int, int]:
    """How many file descriptors this process has open, and how many it may have."""
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    try:
        return len(os.listdir("/proc/self/fd")), limit
    except FileNotFoundError:  # no /proc on macOS
        return 0, limit
    except OSError:  # not even one for this look
        return limit, limit


def _is_nearly_full(file: Path | None) -> bool:
    try:
        disk = os.statvfs(file.parent) if file else None
    except OSError:
        return False
    if disk is None:
        return False
    left = disk.f_bavail * disk.f_frsize
    return left < LITTLE and left < LITTLE_SHARE * disk.f_blocks * disk.f_frsize


def _identity(file: Path | None) -> tuple[int, int] | None:
    try:
        stat = file.stat() if file else None
    except OSError:
        return (0, 0)
    return (stat.st_dev, stat.st_ino) if stat else None
