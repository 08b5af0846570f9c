"""Rows of the audit log wait while the database takes none. Those that there is no room for are counted and told of."""

import logging
from collections import deque
from collections.abc import Sequence

import pytest

from gateway.errors import StoreUnavailable
from gateway.observability import metrics
from gateway.observability.audit import Audit
from gateway.stores.protocols.core import AuditRow


class Table:
    """Takes rows while `there`."""

    def __init__(self) -> None:
        self.there, self.rows = False, list[AuditRow]()
        self.meanwhile = lambda: None

    async def append(self, rows: Sequence[AuditRow]) -> None:
        self.meanwhile()
        if not self.there:
            raise StoreUnavailable("away")
        self.rows += rows


@pytest.fixture
def table() -> Table:
    return Table()


@pytest.fixture
def audit(table: Table) -> Audit:
    made = Audit(table, lambda: 7.0)  # type: ignore[arg-type]
    made._queue = deque(maxlen=3)
    return made


def lost() -> float:
    return float(metrics.audit_rows_lost._value.get())


async def test_rows_that_wait_are_stored_and_those_without_room_are_counted_and_told_of(
    table: Table, audit: Audit, caplog: pytest.LogCaptureFixture
) -> None:
    before = lost()
    for name in "abcde":
        audit.record("login", name)
    with pytest.raises(StoreUnavailable):
        await audit.flush()
    assert lost() - before == 2
    assert sum("loses rows" in line for line in caplog.messages) == 1, "not a line each"
    table.there = True
    await audit.flush()
    assert [row.username for row in table.rows] == ["c", "d", "e"]
    assert sum("2 of them were lost" in line for line in caplog.messages) == 1
    audit.record("login", "f")
    await audit.flush()
    assert sum("were lost" in line for line in caplog.messages) == 1
    assert [record.levelno for record in caplog.records if "loses" in record.message] == [logging.ERROR]


async def test_a_row_that_comes_while_others_are_stored_is_not_taken_for_one_of_them(
    table: Table, audit: Audit
) -> None:
    for name in "abc":
        audit.record("login", name)
    table.there = True
    table.meanwhile = lambda: audit.record("login", "d") if len(table.rows) == 0 else None
    await audit.flush()
    assert [row.username for row in table.rows] == ["a", "b", "c", "d"]
