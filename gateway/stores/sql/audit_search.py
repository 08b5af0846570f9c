"""Reading the audit table as administrators do: filtered, paged by id, counted by spans of time."""

import json
from collections.abc import Sequence
from itertools import pairwise

from sqlalchemy import ColumnElement, and_, case, func, or_, select
from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.clock import Clock, steady_clock
from gateway.stores.protocols.audit import AuditEntry, AuditQuery, Failures, FoundEntries
from gateway.stores.sql.audit_log import audit_row, first_and_last
from gateway.stores.sql.schema import audit
from gateway.stores.sql.transactions import reading

_FLOOD = 200_000
"""Rows that are counted at most."""
_ADDRESSES = 20
SEARCH_SECONDS = 2.0
"""After which a search shows what it has, and where to go on."""
_FIRST_WINDOW, _LARGEST_WINDOW = 4_000, 64_000
"""Rows that are looked through by one statement: the largest takes a tenth of a second or two."""
_LATE = 86400.0
"""Seconds by which a row may be written later than another of the same time: rows wait while the database is away."""


class SqlAuditSearch:
    """Looks through ids from the newest down, some thousands at a time.

    Only `username` is found by an index alone. All else might be rare in ten million rows, and one statement over all
    of them would keep the administrator waiting and a connection busy for half a minute.
    """

    def __init__(self, engine: AsyncEngine, steady: Clock = steady_clock) -> None:
        self._engine, self._steady = engine, steady

    async def newest(self, query: AuditQuery, limit: int, *, before: int = 0) -> FoundEntries:
        begin, found = self._steady(), list[AuditEntry]()
        low, high = await self._ids(query)
        high = min(high, before) if before else high
        window = high if query.username else _FIRST_WINDOW
        while high > low:
            bottom = max(low, high - window)
            found += await self._within(query, bottom, high, limit + 1 - len(found))
            if len(found) > limit:
                return FoundEntries(found[:limit], found[limit - 1].id)
            high, window = bottom, min(window * 4, _LARGEST_WINDOW)
            if self._steady() - begin > SEARCH_SECONDS:
                break
        return FoundEntries(found, high if high > low else 0)

    async def _ids(self, query: AuditQuery) -> tuple[int, int]:
        """The ids that can have the times asked for: from the first to before the second."""
        first = select(audit.c.id).where(audit.c.at >= query.since - _LATE).order_by(audit.c.at).limit(1)
        beyond = select(audit.c.id).where(audit.c.at >= query.until + _LATE).order_by(audit.c.at).limit(1)
        async with reading(self._engine) as connection:
            low, high = await first_and_last(connection)
            if not high:
                return 0, 0
            if query.since:
                low = await connection.scalar(first) or high + 1
            high += 1
            if query.until:
                high = await connection.scalar(beyond) or high
        return low, high

    async def _within(self, query: AuditQuery, low: int, high: int, limit: int) -> list[AuditEntry]:
        ids = and_(audit.c.id >= low, audit.c.id < high)
        wanted = select(audit).where(ids, *_criteria(query)).order_by(audit.c.id.desc()).limit(limit)
        async with reading(self._engine) as connection:
            return [AuditEntry(row.id, audit_row(row)) for row in await connection.execute(wanted)]

    async def counts(self, edges: Sequence[float], events: Sequence[str]) -> dict[str, list[int]]:
        spans = [
            func.sum(case((and_(audit.c.at >= begin, audit.c.at < end), 1), else_=0))
            for begin, end in pairwise(edges)
        ]
        within = and_(audit.c.at >= edges[0], audit.c.at < edges[-1], audit.c.event.in_(events))
        query = select(audit.c.event, *spans).where(within).group_by(audit.c.event)
        async with reading(self._engine) as connection:
            found = {row[0]: [int(count) for count in row[1:]] for row in await connection.execute(query)}
        return {event: found.get(event, [0] * len(spans)) for event in events}

    async def failures(
        self, events: Sequence[str], since: float, *, least: int, most: int, username: str = ""
    ) -> Sequence[Failures]:
        newest = select(func.max(audit.c.id)).scalar_subquery()
        within = and_(audit.c.id > newest - _FLOOD, audit.c.at >= since, audit.c.event.in_(events))
        if username:
            within &= audit.c.username == username
        count = func.count().label("count")
        addresses = func.count(audit.c.ip.distinct())
        users = select(audit.c.username, count, addresses, func.min(audit.c.at), func.max(audit.c.at))
        users = users.where(within).group_by(audit.c.username).having(func.count() >= least)
        async with reading(self._engine) as connection:
            found = (
                await connection.execute(users.order_by(count.desc(), audit.c.username).limit(most))
            ).all()
            names = [row[0] for row in found]
            pairs = select(audit.c.username, audit.c.ip, count).where(within, audit.c.username.in_(names))
            pairs = (
                pairs.group_by(audit.c.username, audit.c.ip).order_by(count.desc()).limit(most * _ADDRESSES)
            )
            by_user: dict[str, list[tuple[str, int]]] = {name: [] for name in names}
            for name, ip, times in await connection.execute(pairs):
                by_user[name].append((ip, int(times)))
        return [
            Failures(
                username=name,
                count=int(times),
                addresses=_busiest(by_user[name]),
                address_count=int(distinct),
                first=float(first),
                last=float(last),
            )
            for name, times, distinct, first, last in found
        ]


def _busiest(rows: Sequence[tuple[str, int]]) -> tuple[tuple[str, int], ...]:
    return tuple(sorted(rows, key=lambda row: (-row[1], row[0])))[:_ADDRESSES]


def _criteria(query: AuditQuery) -> list[ColumnElement[bool]]:
    given: list[ColumnElement[bool]] = []
    if query.username:
        given.append(audit.c.username == query.username)
    if query.events:
        given.append(audit.c.event.in_(query.events))
    if query.ip:
        given.append(audit.c.ip.startswith(query.ip, autoescape=True))
    if query.since:
        given.append(audit.c.at >= query.since)
    if query.until:
        given.append(audit.c.at < query.until)
    if query.text:
        given.append(_containing(query.text))
    return given


def _containing(text: str) -> ColumnElement[bool]:
    word = text.lower()
    written = json.dumps(word)[1:-1]  # as letters beyond ASCII stand in the column of JSON
    plain = [
        func.lower(column).contains(word, autoescape=True) for column in (audit.c.username, audit.c.event)
    ]
    return or_(*plain, func.lower(audit.c.data).contains(written, autoescape=True))
