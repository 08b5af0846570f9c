"""A disk that is full, a real one of some MiB: who is signed in goes on, nothing is spoiled, all comes back."""

import asyncio
import logging
import os
import re
import sqlite3
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.errors import StoreUnavailable
from gateway.observability.log_output import LogOutput
from gateway.observability.log_sinks import FileSink
from gateway.server.losses import Losses
from gateway.stores.audit_archive import ArchiveFailed, AuditArchiveFolder, read_archive
from gateway.stores.protocols.audit import AuditEntry
from gateway.stores.protocols.core import AuditRow
from gateway.stores.sql.engine import open_engine
from tests.rig import Rig, running_gateway
from tests.waiting import until


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=3m,mode=700", "tmpfs", str(folder)]
    mounted = subprocess.run(command, capture_output=True, text=True, check=False)
    if mounted.returncode:
        pytest.skip(f"no file system can be mounted here: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(disk: Path, *, but: int = 0) -> Path:
    """Leave only `but` bytes. Returns the file to take away again."""
    ballast = disk / "ballast"
    with ballast.open("ab", buffering=0) as file:
        for size in (65536, 4096, 1):
            try:
                while file.write(bytes(size)) == size:
                    pass
            except OSError:
                continue
    os.truncate(ballast, ballast.stat().st_size - but)
    return ballast


def sound(database: Path) -> bool:
    with sqlite3.connect(database) as connection:
        return connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


async def report(rig: Rig) -> tuple[int, dict[str, str]]:
    async with rig.browser() as browser:
        answer = await browser.get("/_auth/readyz")
        return answer.status, (await answer.json())["checks"]


async def written(rig: Rig) -> list[str]:
    return [f"{row.event} {row.username}" for row in await rig.gateway.stores.audit_log.tail(1000)]


async def test_a_full_disk_keeps_people_out_and_nothing_else_until_there_is_room_again(
    tmp_path: Path, disk: Path, caplog: pytest.LogCaptureFixture
) -> None:
    storage = {"url": f"sqlite:///{disk}/gateway.db"}
    async with (
        running_gateway(tmp_path, storage=storage) as rig,
        rig.browser() as alice,
        rig.browser() as bob,
    ):
        await rig.add_user()
        await rig.add_user("bob", phone="+4915112345679")
        await alice.sign_in()
        losses = Losses(rig.gateway.stores.engine, lambda: asyncio.sleep(0, result=False))
        await losses.look()
        await rig.gateway.services.audit.flush()
        assert not _errors(caplog)
        ballast = fill(disk)

        refused = await bob.password("bob")
        page = await refused.text()
        assert refused.status == 503
        assert "Unavailable for a moment" in page
        assert "request" in page.lower(), "the number by which the operator finds the line"
        for path in ("/app", "/_auth/account"):
            assert (await alice.get(path)).status == 200
        assert await report(rig) == (503, {"store": "ok", "clock": "ok", "writes": "unavailable"})
        assert "the disk of the database is full: make room" in caplog.text

        await losses.look()
        await losses.look()
        assert sum("hardly any room" in said for said in _errors(caplog)) == 1
        rig.gateway.services.audit.record("login", "meanwhile")
        await until(lambda: "audit rows wait: the disk of the database is full" in caplog.text)

        ballast.unlink()
        await until(lambda: "audit rows are written again; 0 of them were lost" in caplog.text)
        await losses.look()
        assert (await report(rig))[0] == 200
        await bob.sign_in("bob")
        assert (await bob.get("/app")).status == 200
        await rig.gateway.services.audit.flush()
        assert {"login alice", "login meanwhile", "login bob"} <= set(await written(rig))
        assert len(_errors(caplog)) == 2, "each of them once"
    assert sound(disk / "gateway.db")


def _errors(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR]


async def test_a_gateway_whose_disk_fills_up_in_the_middle_of_writes_spoils_nothing(
    tmp_path: Path, disk: Path
) -> None:
    """Every number of free pages is met on the way: what was said to be written is there, and no half of anything."""
    storage = {"url": f"sqlite:///{disk}/gateway.db"}
    async with running_gateway(tmp_path, storage=storage) as rig:
        ballast, kept = fill(disk, but=256 * 1024), 0
        audit = rig.gateway.stores.audit_log
        for number in range(10_000):
            row = AuditRow(
                at=rig.clock.now, event="x" * 60, username=f"{number}", ip="", data={"x": "y" * 500}
            )
            try:
                await audit.append([row, row])
            except StoreUnavailable as error:
                refused = error.detail
                break
            kept = number + 1
        assert "the disk of the database is full" in refused
        assert kept
        ballast.unlink()
        rows = await audit.tail(100_000)
        assert [row.username for row in rows] == [str(number) for number in range(kept) for _ in range(2)]
    assert sound(disk / "gateway.db")


def test_a_start_on_a_full_disk_says_that_it_is_full(disk: Path) -> None:
    """SQLite needs room for the index of its log before it opens anything."""
    asyncio.run(open_engine(f"sqlite:///{disk}/gateway.db").dispose())
    fill(disk)
    with pytest.raises(StoreUnavailable, match="its disk is full, make room first"):
        open_engine(f"sqlite:///{disk}/gateway.db")


def test_a_log_file_on_a_full_disk_loses_whole_lines_and_says_how_many(disk: Path) -> None:
    lines = [b'{"line": %d, "text": "%s"}\n' % (number, b"x" * 50) for number in range(100)]
    file, counted = disk / "log", []
    with file.open("ab", buffering=0) as log:
        output = LogOutput(FileSink(log.fileno()), lambda count: b'{"lost": %d}\n' % count)
        output.on_loss = counted.append
        output.write(lines[0])
        # What the file has of its last page is left, too: the cut is somewhere in a line.
        ballast = fill(disk)
        for one in lines[1:]:
            output.write(one)
        ballast.unlink()
        output.write(lines[0])
        output.flush()
    seen = file.read_bytes().splitlines(keepends=True)
    cut = [one for one in seen if one not in lines and not re.fullmatch(rb'{"lost": \d+}\n', one)]
    assert len(cut) == 1, "the half that there was room for, on a line of its own"
    assert lines[len(seen) - 3].startswith(cut[0].rstrip(b"\n"))
    assert seen[-2:] == [lines[0], b'{"lost": %d}\n' % sum(counted)]
    assert sum(counted) == 99 - (len(seen) - 4)


def test_an_archive_of_the_audit_log_on_a_full_disk_leaves_no_half_of_a_file(disk: Path) -> None:
    row = AuditRow(at=1_800_000_000.0, event="login", username="a", ip="", data={"x": os.urandom(9000).hex()})
    ballast = fill(disk, but=4096)
    archive = AuditArchiveFolder(disk, None)
    with pytest.raises(ArchiveFailed, match="No space left on device"):
        archive.write([AuditEntry(7, row)])
    assert list(disk.iterdir()) == [ballast]
    ballast.unlink()
    assert [line["id"] for line in read_archive(archive.write([AuditEntry(7, row)]), None)] == [7]
