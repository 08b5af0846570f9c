"""How much of the audit log stays, on every database, and that nothing is deleted that was not archived."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.stores.audit_archive import ArchiveFailed, AuditArchiveFolder, read_archive
from gateway.stores.protocols.audit import AuditEntry
from gateway.stores.protocols.core import AuditRow
from gateway.stores.sql import audit_retention
from gateway.stores.sql.audit_log import SqlAuditLog
from gateway.stores.sql.audit_retention import _TURN, AuditKept, AuditRetention
from gateway.stores.sql.ledger import SqlLedger
from tests.contract.conftest import FakeClock

DAY = 86400.0
KEPT = AuditKept(age=30 * DAY, size=0)


@pytest.fixture
async def log(engine: AsyncEngine, clock: FakeClock) -> SqlAuditLog:
    """A row for each day of the last forty."""
    log = SqlAuditLog(engine)
    rows = [
        AuditRow(clock() - ago * DAY, "login", f"u{ago}", "192.0.2.1", {"sid": "é"})
        for ago in range(40, 0, -1)
    ]
    await log.append(rows)
    return log


async def left(log: SqlAuditLog) -> list[str]:
    return [row.username for row in await log.tail(100)]


def retention(
    engine: AsyncEngine, clock: FakeClock, kept: AuditKept = KEPT, folder: AuditArchiveFolder | None = None
) -> AuditRetention:
    write = folder.write if folder else None
    return AuditRetention(engine=engine, kept=kept, ledger=SqlLedger(engine, clock), write=write)


async def test_what_is_too_old_goes(engine: AsyncEngine, clock: FakeClock, log: SqlAuditLog) -> None:
    assert await retention(engine, clock).purge(clock()) == 10
    assert await left(log) == [f"u{ago}" for ago in range(30, 0, -1)]
    assert await retention(engine, clock).purge(clock()) == 0


async def test_of_too_much_the_newest_stay(engine: AsyncEngine, clock: FakeClock, log: SqlAuditLog) -> None:
    row = 200 + len('{"sid": "\\u00e9"}') + len("u1") + len("login") + len("192.0.2.1")
    kept = AuditKept(age=30 * DAY, size=5 * row + row)  # usernames are one or two letters long
    await retention(engine, clock, kept).purge(clock())
    assert await left(log) == [f"u{ago}" for ago in range(5, 0, -1)]


async def test_rows_are_archived_before_they_go(
    engine: AsyncEngine, clock: FakeClock, log: SqlAuditLog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit_retention, "ARCHIVED_AT_ONCE", 4)
    folder = AuditArchiveFolder(tmp_path / "archive", None)
    assert await retention(engine, clock, folder=folder).purge(clock()) == 10
    files = sorted((tmp_path / "archive").iterdir())
    lines = [line for file in files for line in read_archive(file, None)]
    assert [line["username"] for line in lines] == [f"u{ago}" for ago in range(40, 30, -1)]
    assert lines[0]["data"] == {"sid": "é"}
    assert [file.stat().st_mode & 0o777 for file in files] == [0o600] * 3
    assert await left(log) == [f"u{ago}" for ago in range(30, 0, -1)]


async def test_a_few_rows_wait_for_a_day_so_that_not_every_sweep_writes_a_file(
    engine: AsyncEngine, clock: FakeClock, log: SqlAuditLog, tmp_path: Path
) -> None:
    keeping = retention(
        engine, clock, AuditKept(39.5 * DAY, 0), AuditArchiveFolder(tmp_path / "archive", None)
    )
    assert await keeping.purge(clock()) == 0
    assert len(await left(log)) == 40
    clock.advance(DAY)
    assert await keeping.purge(clock()) == 2


async def test_nothing_goes_while_the_archive_can_not_be_written(
    engine: AsyncEngine, clock: FakeClock, log: SqlAuditLog, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(ArchiveFailed, match="Not a directory"):
        await retention(engine, clock, folder=AuditArchiveFolder(tmp_path / "file/archive", None)).purge(
            clock()
        )
    assert len(await left(log)) == 40
    again = retention(engine, clock, folder=AuditArchiveFolder(tmp_path / "archive", None))
    assert await again.purge(clock()) == 10, "the turn was given back"


async def test_a_crash_between_writing_and_deleting_loses_nothing(
    engine: AsyncEngine, clock: FakeClock, log: SqlAuditLog, tmp_path: Path
) -> None:
    folder = AuditArchiveFolder(tmp_path, None)

    class Crashed(Exception):
        pass

    def write(entries: Sequence[AuditEntry]) -> Path:
        folder.write(entries)
        raise Crashed

    crashing = AuditRetention(engine=engine, kept=KEPT, ledger=SqlLedger(engine, clock), write=write)
    with pytest.raises(Crashed):
        await crashing.purge(clock())
    assert len(await left(log)) == 40
    assert await retention(engine, clock, folder=folder).purge(clock()) == 10
    assert len(list(tmp_path.glob("*.gz"))) == 1, "the same rows have the same name"


async def test_one_worker_archives_at_a_time(
    engine: AsyncEngine, clock: FakeClock, log: SqlAuditLog, tmp_path: Path
) -> None:
    assert await SqlLedger(engine, clock).claim_once(_TURN, 60.0)
    keeping = retention(engine, clock, folder=AuditArchiveFolder(tmp_path, None))
    assert await keeping.purge(clock()) == 0
    clock.advance(61)
    assert await keeping.purge(clock()) == 11, "and the row that has become too old meanwhile"


def test_a_sealed_archive_needs_its_key(tmp_path: Path) -> None:
    key, other = tmp_path / "key", tmp_path / "other"
    key.write_text("a secret of some length\n")
    other.write_text("another secret of some length")
    row = AuditRow(1.8e9, "login", "alice", "", {"n": 1})
    file = AuditArchiveFolder(tmp_path / "archive", key).write([AuditEntry(7, row)])
    assert file.name == "audit-20270115T080000Z-7-7.jsonl.gz.sealed"
    assert b"alice" not in file.read_bytes()
    assert [line["id"] for line in read_archive(file, key)] == [7]
    for wrong in (other, None, tmp_path / "missing"):
        with pytest.raises(ArchiveFailed):
            list(read_archive(file, wrong))
    file.write_bytes(file.read_bytes()[:-5])
    with pytest.raises(ArchiveFailed, match="damaged"):
        list(read_archive(file, key))
    key.write_text("short")
    with pytest.raises(ArchiveFailed, match="12 bytes"):
        AuditArchiveFolder(tmp_path / "archive", key).write([AuditEntry(8, row)])
