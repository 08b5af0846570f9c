"""Requests for groups and the grants they become, in SQL. A decision is one statement, so it is taken once."""

import builtins
from collections.abc import Sequence

from sqlalchemy import Row, delete, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from gateway.stores.protocols.core import AccessAsked, Change
from gateway.stores.sql.purge import delete_in_batches
from gateway.stores.sql.schema import access_requests as table
from gateway.stores.sql.sessions import publish
from gateway.stores.sql.transactions import reading, writing


class SqlAccessRequests:
    """Requests for groups in the database."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def add(self, asked: AccessAsked) -> bool:
        slot = f"{asked.username}\n{asked.group}"
        stale = (table.c.slot == slot) & (table.c.expires_at <= asked.asked_at)
        values = {
            "id": asked.id,
            "slot": slot,
            "username": asked.username,
            "group": asked.group,
            "page": asked.page.replace("\0", ""),
            "why": asked.why.replace("\0", ""),
            "state": asked.state,
            "asked_at": asked.asked_at,
            "expires_at": asked.expires_at,
            "decided_by": "",
            "decided_at": 0.0,
        }
        try:
            async with writing(self._engine) as connection:
                await connection.execute(update(table).where(stale).values(slot=table.c.id))
                await connection.execute(insert(table).values(values))
        except IntegrityError:
            return False
        return True

    async def decide(self, id: str, before: str, after: str, by: str, now: float, expires_at: float) -> bool:
        open_now = (table.c.id == id) & (table.c.state == before) & (table.c.expires_at > now)
        values = {"state": after, "decided_by": by, "decided_at": now, "expires_at": expires_at}
        step = update(table).where(open_now).values(values)
        if after != "granted":
            step = step.values(slot=table.c.id)
        async with writing(self._engine) as connection:
            row = (await connection.execute(step.returning(table.c.username))).one_or_none()
            if row is not None:
                await publish(connection, now, Change("user", row.username))
        return row is not None

    async def get(self, id: str) -> AccessAsked | None:
        async with reading(self._engine) as connection:
            row = (await connection.execute(select(table).where(table.c.id == id))).one_or_none()
        return _asked(row) if row else None

    async def list(self, now: float, *, groups: Sequence[str] | None = None) -> Sequence[AccessAsked]:
        query = select(table).where(table.c.state.in_(("asked", "granted")), table.c.expires_at > now)
        if groups is not None:
            query = query.where(table.c.group.in_(groups))
        async with reading(self._engine) as connection:
            rows = await connection.execute(query.order_by(table.c.asked_at.desc(), table.c.id))
            found: builtins.list[AccessAsked] = [_asked(row) for row in rows]
        return found

    async def granted(self, username: str, now: float) -> Sequence[tuple[str, float]]:
        query = select(table.c.group, table.c.expires_at).where(
            table.c.username == username, table.c.state == "granted", table.c.expires_at > now
        )
        async with reading(self._engine) as connection:
            rows = await connection.execute(query.order_by(table.c.group))
            found: builtins.list[tuple[str, float]] = [(row.group, row.expires_at) for row in rows]
        return found

    async def purge(self, before: float) -> int:
        return await delete_in_batches(self._engine, table, table.c.expires_at <= before)


async def forget_requests(connection: AsyncConnection, username: str) -> None:
    """Delete all of a user inside a running transaction: a later user of that name inherits nothing."""
    await connection.execute(delete(table).where(table.c.username == username))


def _asked(row: Row[tuple[object, ...]]) -> AccessAsked:
    values = {key: value for key, value in row._mapping.items() if key != "slot"}
    return AccessAsked(**values)
