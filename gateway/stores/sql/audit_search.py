"""Reading the audit table as administrators do: filtered, paged by id, counted by spans of time."""

import json
from collections.abc import Sequence
from itertools import pairwise

from sqlalchemy import ColumnElement, Select, and_, case, func, or_, select
from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.stores.protocols.audit import AuditEntry, AuditQuery
from gateway.stores.sql.audit_log import audit_row
from gateway.stores.sql.engine import reading
from gateway.stores.sql.schema import audit


class SqlAuditSearch:
    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def newest(self, query: AuditQuery, limit: int, *, before: int = 0) -> Sequence[AuditEntry]:
        wanted: Select[tuple[object, ...]] = select(audit).where(*_criteria(query))
        if before:
            wanted = wanted.where(audit.c.id < before)
        async with reading(self._engine) as connection:
            rows = await connection.execute(wanted.order_by(audit.c.id.desc()).limit(limit))
            return [AuditEntry(row.id, audit_row(row)) for row in rows]

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
