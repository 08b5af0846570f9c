"""`auth-gateway` whose processes note how long their event loops were busy, and how long their transactions were open.

Both in processor seconds where that can be told: they grow only while this process computes, so that a machine with
other work does not show in them. A wait for the interpreter's lock shows in those of the whole process alone.
"""

import array
import asyncio
import os
import sqlite3
import sys
import time
from collections.abc import Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, event

from gateway.cli import main
from gateway.server.gateway import Gateway

EVERY = 0.002
"""Seconds between two looks at the loop."""
FILE = "SCALE_LOOP_FILE"
"""The variable that names the file which is written; that of transactions has STORE at its end."""
STORE = "-store"


def _note(file: Path, *row: float) -> None:
    with file.open("ab", buffering=0) as noted:
        noted.write(array.array("d", row).tobytes())


async def _watch(file: Path) -> None:
    with file.open("ab", buffering=0) as noted:
        while True:
            began, thread, process = time.monotonic(), time.thread_time(), time.process_time()
            await asyncio.sleep(EVERY)
            row = (began, time.monotonic(), time.thread_time() - thread, time.process_time() - process)
            noted.write(array.array("d", row).tobytes())


class _Watched(sqlite3.Connection):
    """Notes from when it has SQLite's one write lock until it lets go of it. One thread alone uses it."""

    _began: tuple[float, float] | None = None

    def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:
        done = super().execute(sql, parameters)
        if sql.startswith("BEGIN"):
            self._began = time.monotonic(), time.thread_time()
        return done

    def commit(self) -> None:
        super().commit()
        self._end()

    def rollback(self) -> None:
        super().rollback()
        self._end()

    def _end(self) -> None:
        if self._began is not None:
            (began, computed), self._began = self._began, None
            file = Path(os.environ[FILE] + STORE)
            _note(file, began, time.monotonic(), time.monotonic() - began, time.thread_time() - computed)


def _watch_postgres() -> None:
    """Note what was committed. What the server computes for it is not told."""

    def begin(connection: Connection) -> None:
        connection.info["began"] = time.monotonic()

    def commit(connection: Connection) -> None:
        if connection.dialect.name == "postgresql":
            began, now = connection.info["began"], time.monotonic()
            _note(Path(os.environ[FILE] + STORE), began, now, now - began, 0.0)

    event.listen(Engine, "begin", begin)
    event.listen(Engine, "commit", commit)


@dataclass(frozen=True, slots=True)
class Longest:
    """Seconds: what is told of the longest of each kind, by clocks of its own."""

    first: float
    second: float


def longest(file: Path, begin: float, end: float) -> Longest:
    """The most of each of the two numbers among the rows of `file` that were under way in that time."""
    numbers = array.array("d")
    raw = file.read_bytes() if file.exists() else b""
    numbers.frombytes(raw[: len(raw) // 32 * 32])
    rows = zip(*(numbers[column::4] for column in range(4)), strict=True)
    within = [(one, other) for began, ended, one, other in rows if ended >= begin and began <= end]
    return Longest(*(max((row[column] for row in within), default=0.0) for column in (0, 1)))


def watched() -> None:
    """Have each worker watch its loop beside its requests, and each process its transactions."""
    before, connect = Gateway._beside, sqlite3.connect

    def beside(self: Gateway) -> list[Coroutine[object, object, None]]:
        return [*before(self), _watch(Path(os.environ[FILE]))]

    def connected(*args: Any, **options: Any) -> sqlite3.Connection:
        return connect(*args, factory=_Watched, **options)

    Gateway._beside = beside  # type: ignore[method-assign]
    sqlite3.connect = connected  # type: ignore[assignment]
    _watch_postgres()


if __name__ == "__main__":
    watched()
    sys.argv[0] = "auth-gateway"
    main()
