"""What programs that speak SCIM know users and groups by, in SQL."""

import secrets
from collections.abc import Callable, Mapping, Sequence

from sqlalchemy import delete, select, union, update
from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.stores.protocols.scim import Kind, Provisioned
from gateway.stores.sql.schema import user_groups, users
from gateway.stores.sql.schema_scim import scim_names as table
from gateway.stores.sql.transactions import reading, writing
from gateway.stores.sql.upserts import upsert

_AT_ONCE = 1000
"""Names in one statement: databases take so many parameters and no more."""


class SqlProvisionedNames:
    """The ids of users and groups, in the database."""

    def __init__(
        self, engine: AsyncEngine, *, token: Callable[[], str] = lambda: secrets.token_hex(16)
    ) -> None:
        self._engine, self._token = engine, token

    async def of(self, kind: Kind, names: Sequence[str], now: float) -> Mapping[str, Provisioned]:
        found: dict[str, Provisioned] = {}
        for start in range(0, len(names), _AT_ONCE):
            found |= await self._of(kind, names[start : start + _AT_ONCE], now)
        return found

    async def _of(self, kind: Kind, names: Sequence[str], now: float) -> dict[str, Provisioned]:
        query = select(table).where(table.c.kind == kind, table.c.name.in_(names))
        async with reading(self._engine) as connection:
            found = {row.name: Provisioned(**row._mapping) for row in await connection.execute(query)}
        if missing := sorted({name for name in names if name not in found}):  # in one order: no deadlock
            empty = {"kind": kind, "external_id": "", "resource": "", "changed_at": now}
            rows = [{**empty, "name": name, "id": self._token()} for name in missing]
            async with writing(self._engine) as connection:
                # Another worker may be about to do the same: its ids count then.
                await connection.execute(upsert(connection, table).on_conflict_do_nothing(), rows)
                made = await connection.execute(query)
                found = {row.name: Provisioned(**row._mapping) for row in made}
        return found

    async def by_id(self, kind: Kind, id: str) -> Provisioned | None:
        query = select(table).where(table.c.kind == kind, table.c.id == id)
        async with reading(self._engine) as connection:
            row = (await connection.execute(query)).one_or_none()
        return Provisioned(**row._mapping) if row else None

    async def by_external_id(self, kind: Kind, external_id: str) -> Sequence[Provisioned]:
        query = select(table).where(table.c.kind == kind, table.c.external_id == external_id)
        async with reading(self._engine) as connection:
            return [
                Provisioned(**row._mapping) for row in await connection.execute(query.order_by(table.c.name))
            ]

    async def keep(self, kept: Provisioned, name: str) -> None:
        values = {column.name: getattr(kept, column.name) for column in table.c}
        same = (table.c.kind == kept.kind) & (table.c.name == name)
        async with writing(self._engine) as connection:
            await connection.execute(update(table).where(same).values(values))

    async def forget(self, kind: Kind, name: str) -> None:
        async with writing(self._engine) as connection:
            await connection.execute(delete(table).where(table.c.kind == kind, table.c.name == name))

    async def usernames(self, start: int, count: int) -> Sequence[str]:
        query = select(users.c.username).order_by(users.c.username).offset(start).limit(count)
        async with reading(self._engine) as connection:
            return list(await connection.scalars(query))

    async def groups(self) -> Sequence[str]:
        made = select(table.c.name).where(table.c.kind == "group")
        async with reading(self._engine) as connection:
            return sorted(await connection.scalars(union(made, select(user_groups.c.name))))

    async def members(self, group: str) -> Sequence[str]:
        query = select(user_groups.c.username).where(user_groups.c.name == group)
        async with reading(self._engine) as connection:
            return list(await connection.scalars(query.order_by(user_groups.c.username)))
