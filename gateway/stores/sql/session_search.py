"""Reading the table of sessions as administrators do: last used first, paged and counted."""

from collections.abc import Sequence

from sqlalchemy import ColumnElement, and_, func, or_, select
from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.model import SessionRecord, shown_id
from gateway.stores.protocols.session_search import Alive
from gateway.stores.sql.schema import sessions
from gateway.stores.sql.sessions import FIELDS, session_record
from gateway.stores.sql.transactions import reading

_PAGE = 1000


class SqlSessionSearch:
    """Finds and counts sessions in the database."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def newest(
        self, alive: Alive, limit: int, *, skip: int = 0, after: SessionRecord | None = None
    ) -> Sequence[SessionRecord]:
        query = select(*FIELDS).where(_is(alive)).order_by(sessions.c.last_seen.desc(), sessions.c.shown)
        if after is not None:
            same = and_(sessions.c.last_seen == after.last_seen, sessions.c.shown > shown_id(after.sid))
            query = query.where(or_(sessions.c.last_seen < after.last_seen, same))
        async with reading(self._engine) as connection:
            return [session_record(row) for row in await connection.execute(query.limit(limit).offset(skip))]

    async def count(self, alive: Alive) -> int:
        async with reading(self._engine) as connection:
            return await connection.scalar(select(func.count()).select_from(sessions).where(_is(alive))) or 0

    async def shown(self, id: str) -> SessionRecord | None:
        query = select(*FIELDS).where(sessions.c.shown == id)
        async with reading(self._engine) as connection:
            row = (await connection.execute(query)).one_or_none() if id else None
        return session_record(row) if row else await self._of_older_code(id)

    async def _of_older_code(self, id: str) -> SessionRecord | None:
        """Sessions that a gateway before 0.2 has written, during a rolling upgrade and the day after."""
        unnamed, after = select(*FIELDS).where(sessions.c.shown == "").order_by(sessions.c.sid), ""
        while True:
            async with reading(self._engine) as connection:
                rows = (await connection.execute(unnamed.where(sessions.c.sid > after).limit(_PAGE))).all()
            found = next((row for row in rows if shown_id(row.sid) == id), None)
            if found is not None or len(rows) < _PAGE:
                return session_record(found) if found is not None else None
            after = rows[-1].sid


def _is(alive: Alive) -> ColumnElement[bool]:
    table, lives, now = sessions.c, alive.lifetimes, alive.now
    used = table.last_seen > now - lives.idle
    young = table.created_at > now - (lives.kept or lives.absolute)
    if lives.kept:  # none was used before it began, so an index on `last_seen` bounds these, too
        lately = table.last_seen > now - max(lives.idle, lives.kept)
        living = and_(lately, or_(and_(table.kept, young), and_(table.kept.is_(False), used)))
    else:
        living = and_(used, or_(table.kept.is_(False), young))
    within = and_(table.expires_at > now, living)
    return and_(within, sessions.c.username == alive.username) if alive.username else within
