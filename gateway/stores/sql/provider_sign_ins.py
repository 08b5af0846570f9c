"""Sessions that began at identity providers, in SQL. They go with the session (`end_with_sessions`)."""

from collections.abc import Sequence
from dataclasses import asdict

from sqlalchemy import ColumnElement, select
from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.stores.protocols.provider_sign_ins import ProviderSignIn, SessionThere
from gateway.stores.sql.purge import delete_in_batches
from gateway.stores.sql.schema import sessions
from gateway.stores.sql.schema_provider_sign_ins import provider_sign_ins as table
from gateway.stores.sql.transactions import reading, writing
from gateway.stores.sql.upserts import upsert

_FIELDS = [table.c[name] for name in ProviderSignIn.__dataclass_fields__]
_LIVING = (sessions.c.username == table.c.username) & (sessions.c.created_at == table.c.session_started)


class SqlProviderSignIns:
    """Sign-ins at providers in the database."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def put(self, sign_in: ProviderSignIn) -> None:
        row = asdict(sign_in)
        async with writing(self._engine) as connection:
            statement = upsert(connection, table).values(row)
            keys = ["username", "session_started", "provider"]
            await connection.execute(statement.on_conflict_do_update(index_elements=keys, set_=row))

    async def of_session(self, username: str, started: float) -> Sequence[ProviderSignIn]:
        """Return what a session has that began at `started` (Unix time), the newest first."""
        own = (table.c.username == username) & (table.c.session_started == started)
        query = select(*_FIELDS).where(own).order_by(table.c.at.desc(), table.c.provider)
        async with reading(self._engine) as connection:
            return [ProviderSignIn(*row) for row in await connection.execute(query)]

    async def sessions(self, provider: str, *, subject: str, sid: str) -> Sequence[SessionThere]:
        query = select(sessions.c.sid, sessions.c.username).join(table, _LIVING)
        query = query.where(table.c.provider == provider, _named(subject, sid)).order_by(sessions.c.sid)
        async with reading(self._engine) as connection:
            return [SessionThere(*row) for row in await connection.execute(query)]

    async def purge(self, before: float) -> int:
        """Drop those of sessions that began by then; returns how many."""
        return await delete_in_batches(self._engine, table, table.c.session_started <= before)


def _named(subject: str, sid: str) -> ColumnElement[bool]:
    """Raises ValueError where neither is given: all sessions of a provider are never meant."""
    if not subject and not sid:
        raise ValueError("neither an account nor a session of the provider")
    of_account = table.c.subject == subject
    if not sid:
        return of_account
    if not subject:
        return table.c.provider_sid == sid
    return of_account & table.c.provider_sid.in_((sid, ""))
