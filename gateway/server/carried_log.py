"""Logs and counts the requests that Envoy, our front door, carried by itself: one line and one metric each, as others.

Envoy writes a line for each into a pipe in the private folder. One worker at a time reads it (a lock says which), and
leaves half a line to the next.
"""

import asyncio
import fcntl
import json
import logging
import os
from contextlib import suppress
from pathlib import Path

from gateway.engines.front_place import PIPE
from gateway.observability.access_line import LineStem
from gateway.observability.access_log import AccessLog
from gateway.request.hop import reason_of
from gateway.server.fastpath.metrics_tally import Tally

log = logging.getLogger("gateway.engine")
TRY_EVERY = 0.5
"""Seconds between tries to become the reader, and between additions to the shared metrics."""
_AT_ONCE = 256 * 1024
_STEMS = 256


class CarriedLog:
    """Reads what Envoy wrote, when it is this worker's turn."""

    def __init__(self, folder: Path, access: AccessLog) -> None:
        self._pipe, self._lock, self._half = folder / PIPE, folder / f"{PIPE}.lock", folder / f"{PIPE}.half"
        self._access, self._tally = access, Tally()
        self._stems: dict[tuple[str, str], LineStem] = {}
        self._rest = b""

    async def run(self) -> None:
        """Wait for the turn, then read until cancelled."""
        if not self._pipe.exists():
            return
        loop = asyncio.get_running_loop()
        lock = os.open(self._lock, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            while not _taken(lock):  # noqa: ASYNC110 - another process has it
                await asyncio.sleep(TRY_EVERY)
            self._rest = self._half.read_bytes() if self._half.exists() else b""
            pipe = os.open(self._pipe, os.O_RDWR | os.O_NONBLOCK)
            loop.add_reader(pipe, self._read, pipe)
            try:
                while True:
                    await asyncio.sleep(TRY_EVERY)
                    self._tally.flush()
            finally:
                loop.remove_reader(pipe)
                self._read(pipe)
                os.close(pipe)
                self._tally.flush()
                with suppress(OSError):  # the folder is gone where Envoy went first
                    self._half.write_bytes(self._rest)
        finally:
            os.close(lock)

    def _read(self, pipe: int) -> None:
        try:
            data = os.read(pipe, _AT_ONCE)
        except BlockingIOError:
            return
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            try:
                self._note(line.decode().split("\t"))
            except (ValueError, KeyError, TypeError):
                log.warning("a line of Envoy's about a request can't be read")

    def _note(self, said: list[str]) -> None:
        route, code, sent, whole, head, flags, method, path, *told = said
        # Of a request that was asked about, and of one that is like it.
        id_, note, like_id, like_note = told
        if not route.startswith("app-"):
            return  # a worker carried it after all, and has logged it
        stem = self._stem(note if like_note == "-" else like_note, flags)
        status, seconds = int(code), float(whole) / 1000
        self._tally.count(stem.route, status, seconds if head == "-" else float(head) / 1000)
        if self._access.wants(status):
            name = id_ if like_id == "-" else like_id
            self._access.like(stem, name, method, path.partition("?")[0], status, seconds, int(sent), 0.0)

    def _stem(self, note: str, flags: str) -> LineStem:
        """What the line has in common with others: Envoy repeats what a worker has said once."""
        slot = (note, flags)
        known = self._stems.get(slot)
        if known is None:
            told = json.loads(note)
            told["reason"] = reason_of(flags) or told["reason"]
            told.pop("reader", None)
            if len(self._stems) >= _STEMS:
                self._stems.clear()
            known = self._stems[slot] = LineStem(**told)
        return known


def _taken(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
