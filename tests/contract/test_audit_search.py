"""What administrators ask of the audit log, on every database."""

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.stores.protocols.audit import AuditQuery
from gateway.stores.protocols.core import AuditRow
from gateway.stores.sql.audit_log import SqlAuditLog
from gateway.stores.sql.audit_search import SqlAuditSearch

ROWS = [
    AuditRow(100.0, "login", "alice", "198.51.100.7", {"factors": ["sms"]}),
    AuditRow(200.0, "password_failed", "jürgen", "198.51.100.8", {"cause": "Ü%_"}),
    AuditRow(300.0, "login", "bob", "2001:db8::1", {}),
]


async def found(search: SqlAuditSearch, query: AuditQuery) -> list[str]:
    return [entry.row.username for entry in (await search.newest(query, 10)).entries]


async def test_filters_hold_together_and_times_are_half_open(engine: AsyncEngine) -> None:
    await SqlAuditLog(engine).append(ROWS)
    search = SqlAuditSearch(engine)
    assert await found(search, AuditQuery()) == ["bob", "jürgen", "alice"]
    assert await found(search, AuditQuery(events=("login",))) == ["bob", "alice"]
    assert await found(search, AuditQuery(events=("login",), username="bob")) == ["bob"]
    assert await found(search, AuditQuery(ip="198.51.100.")) == ["jürgen", "alice"]
    assert await found(search, AuditQuery(since=200.0, until=300.0)) == ["jürgen"]


async def test_text_is_found_anywhere_and_wildcards_are_plain(engine: AsyncEngine) -> None:
    await SqlAuditLog(engine).append(ROWS)
    search = SqlAuditSearch(engine)
    assert await found(search, AuditQuery(text="SMS")) == ["alice"]
    assert await found(search, AuditQuery(text="password")) == ["jürgen"]
    assert await found(search, AuditQuery(text="%_")) == ["jürgen"]
    assert await found(search, AuditQuery(text="_o")) == []
    assert await found(search, AuditQuery(ip="%")) == []


async def test_pages_follow_each_other_without_gap(engine: AsyncEngine) -> None:
    await SqlAuditLog(engine).append(ROWS)
    search = SqlAuditSearch(engine)
    first = await search.newest(AuditQuery(), 2)
    rest = await search.newest(AuditQuery(), 2, before=first.older)
    assert [entry.row.at for entry in (*first.entries, *rest.entries)] == [300.0, 200.0, 100.0]
    assert (first.older, rest.older) == (2, 0)


async def test_a_search_for_something_rare_gives_word_after_a_while_and_goes_on(
    engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.stores.sql.audit_search._FIRST_WINDOW", 2)
    monkeypatch.setattr("gateway.stores.sql.audit_search._LARGEST_WINDOW", 4)
    log, times = SqlAuditLog(engine), iter(range(0, 999, 3))
    await log.append([AuditRow(100.0 + n, "login", "rare" if n == 3 else "x", "", {}) for n in range(20)])
    search = SqlAuditSearch(engine, lambda: float(next(times)))
    before, seen, pages = 0, [], 0
    while True:
        page = await search.newest(AuditQuery(text="rare"), 10, before=before)
        seen += [entry.row.username for entry in page.entries]
        before, pages = page.older, pages + 1
        if not before:
            break
    assert seen == ["rare"]
    assert pages > 5, "each looked through one window only"
    patient = SqlAuditSearch(engine, lambda: 0.0)
    assert len((await patient.newest(AuditQuery(text="rare"), 10)).entries) == 1


async def test_rows_that_were_written_late_are_found_by_their_time(engine: AsyncEngine) -> None:
    log, search = SqlAuditLog(engine), SqlAuditSearch(engine)
    await log.append([AuditRow(1e6 + n * 3600.0, "login", f"n{n}", "", {}) for n in range(100)])
    assert await found(search, AuditQuery(since=1e6 + 30 * 3600.0, until=1e6 + 31 * 3600.0)) == ["n30"]
    await log.append([AuditRow(1e6 + 90 * 3600.0, "login", "late", "", {})])
    query = AuditQuery(since=1e6 + 90 * 3600.0, until=1e6 + 91 * 3600.0)
    assert await found(search, query) == ["late", "n90"]


async def test_events_are_counted_by_spans(engine: AsyncEngine) -> None:
    await SqlAuditLog(engine).append(ROWS)
    counts = await SqlAuditSearch(engine).counts([100.0, 200.0, 301.0], ("login", "logout"))
    assert counts == {"login": [1, 1], "logout": [0, 0]}
