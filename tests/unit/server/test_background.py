"""Twin of gateway/server/background.py: what has expired is dropped, unless a clock seems to have jumped."""

import logging
from collections.abc import Sequence
from pathlib import Path

import pytest

from gateway.clock import SharedClock
from gateway.errors import StoreUnavailable
from gateway.observability import metrics
from gateway.server.background import ALARMING, HELD, Sweep, clocks_agree
from gateway.stores.audit_archive import ArchiveFailed
from gateway.stores.sql.database_clock import DatabaseClock
from gateway.stores.sql.engine import open_engine
from gateway.stores.sql.purge import AUDIT_ROWS, Purge
from tests.rig import FakeClock


class Rows:
    """A table of which `expired` of `every` rows are over."""

    def __init__(self, expired: int, every: int) -> None:
        self.expired, self.every = expired, every
        self.swept: list[float] = []

    async def run(self, now: float) -> int:
        self.swept.append(now)
        return self.expired

    async def share(self, now: float) -> tuple[int, int]:
        return self.expired, self.every


def sweeping(folder: Path, purges: Sequence[Purge], steady: FakeClock) -> Sweep:
    engine = open_engine(f"sqlite:///{folder}/gateway.db")
    return Sweep(purges, DatabaseClock(engine, FakeClock(7000.0)), steady)


async def test_up_to_half_of_the_rows_are_swept_by_the_databases_time(tmp_path: Path) -> None:
    rows = Rows(500, 1000)
    await sweeping(tmp_path, [Purge("sessions", rows.run, rows.share)], FakeClock()).once()
    assert rows.swept == [7000.0]


async def test_more_than_half_is_held_back_with_an_alarm_and_goes_after_an_hour(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rows, other, steady = Rows(501, 1000), Rows(0, 3), FakeClock()
    purges = [Purge("sessions", rows.run, rows.share), Purge("devices", other.run, other.share)]
    sweep = sweeping(tmp_path, purges, steady)
    await sweep.once()
    assert rows.swept == []
    assert other.swept == [7000.0], "what is usual goes on"
    assert "sweep held back: 501 of 1000 sessions have expired at once" in caplog.text
    assert caplog.records[-1].levelno == logging.ERROR
    steady.advance(HELD - 1)
    await sweep.once()
    assert rows.swept == []
    steady.advance(1)
    await sweep.once()
    assert rows.swept == [7000.0]


async def test_a_share_that_is_usual_again_starts_the_hour_anew(tmp_path: Path) -> None:
    rows, steady = Rows(900, 1000), FakeClock()
    sweep = sweeping(tmp_path, [Purge("sessions", rows.run, rows.share)], steady)
    await sweep.once()
    rows.expired = 0
    steady.advance(HELD)
    await sweep.once()
    rows.expired = 900
    await sweep.once()
    assert len(rows.swept) == 1


async def test_the_few_sessions_of_a_small_house_are_held_back_without_an_alarm(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rows = Rows(ALARMING - 1, ALARMING - 1)
    await sweeping(tmp_path, [Purge("sessions", rows.run, rows.share)], FakeClock()).once()
    assert rows.swept == []
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


async def test_nothing_is_swept_and_the_replica_is_not_ready_while_its_clock_is_astray() -> None:
    class Away(DatabaseClock):
        def __init__(self) -> None:
            self.shared = SharedClock(lambda: 86400.0, lambda: 0.0)

        async def now(self) -> float:
            assert self.shared is not None
            self.shared.compare(0.0, 0.0, 0.0)
            return 0.0

    rows, time = Rows(1, 10), Away()
    await clocks_agree(time)
    await Sweep([Purge("sessions", rows.run, rows.share)], time).once()
    assert rows.swept == []
    with pytest.raises(StoreUnavailable):
        await clocks_agree(time)


async def test_rows_that_can_not_be_archived_are_told_of_and_the_rest_is_swept(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def fails(now: float) -> int:
        raise ArchiveFailed("/archive: No space left on device")

    async def works(now: float) -> int:
        return 3

    other = Rows(0, 3)
    places = [Purge("places", other.run)]
    await sweeping(tmp_path, [Purge(AUDIT_ROWS, fails), *places], FakeClock()).once()
    assert "No space left on device: none of its rows is deleted" in caplog.text
    assert metrics.audit_archive_failing._value.get() == 1
    assert other.swept == [7000.0]
    before = metrics.swept.labels(AUDIT_ROWS)._value.get()
    await sweeping(tmp_path, [Purge(AUDIT_ROWS, works), *places], FakeClock()).once()
    assert metrics.audit_archive_failing._value.get() == 0
    assert metrics.swept.labels(AUDIT_ROWS)._value.get() == before + 3
