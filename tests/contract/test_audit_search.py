"""What administrators ask of the audit log, on every database."""

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
    return [entry.row.username for entry in await search.newest(query, 10)]


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
    rest = await search.newest(AuditQuery(), 2, before=first[-1].id)
    assert [entry.row.at for entry in (*first, *rest)] == [300.0, 200.0, 100.0]


async def test_events_are_counted_by_spans(engine: AsyncEngine) -> None:
    await SqlAuditLog(engine).append(ROWS)
    counts = await SqlAuditSearch(engine).counts([100.0, 200.0, 301.0], ("login", "logout"))
    assert counts == {"login": [1, 1], "logout": [0, 0]}
