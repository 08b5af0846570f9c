"""Grants, consents and logins of the OpenID provider in SQL.

What ends grants with their session runs inside the transaction that ends the session.
"""

import builtins
import json
from collections.abc import Sequence
from dataclasses import asdict

from sqlalchemy import ColumnElement, Row, case, delete, exists, insert, or_, select, true, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from gateway.stores.protocols.oidc import Consent, Grant, Login, RefreshToken
from gateway.stores.sql.purge import delete_in_batches, expired_share
from gateway.stores.sql.schema import sessions
from gateway.stores.sql.schema_oidc import oidc_consents, oidc_grants, oidc_logins, oidc_refresh_tokens
from gateway.stores.sql.schema_provider_sign_ins import provider_sign_ins
from gateway.stores.sql.transactions import reading, writing
from gateway.stores.sql.upserts import upsert


class SqlGrants:
    """Grants and refresh tokens in the database."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def add(self, grant: Grant) -> None:
        row = asdict(grant) | {"scopes": json.dumps(grant.scopes), "facts": json.dumps(grant.facts)}
        async with writing(self._engine) as connection:
            await connection.execute(insert(oidc_grants).values(row))

    async def get(self, id: str) -> Grant | None:
        async with reading(self._engine) as connection:
            found = await connection.execute(select(oidc_grants).where(oidc_grants.c.id == id))
        row = found.one_or_none()
        return _grant(row) if row else None

    async def list(self, username: str) -> Sequence[Grant]:
        query = select(oidc_grants).where(oidc_grants.c.username == username)
        async with reading(self._engine) as connection:
            return [_grant(row) for row in await connection.execute(query.order_by("created_at", "id"))]

    async def redeem(self, id: str, expires_at: float, refresh: str, refresh_until: float) -> bool:
        own = (oidc_grants.c.id == id) & ~oidc_grants.c.redeemed
        async with writing(self._engine) as connection:
            step = update(oidc_grants).where(own).values(expires_at=expires_at, redeemed=True)
            if (await connection.execute(step)).rowcount != 1:
                return False
            if refresh:
                await connection.execute(
                    insert(oidc_refresh_tokens).values(_fresh(refresh, id, refresh_until))
                )
        return True

    async def refresh_token(self, digest: str) -> RefreshToken | None:
        table = oidc_refresh_tokens.c
        query = select(table.grant_id, table.expires_at, table.used_at).where(table.digest == digest)
        async with reading(self._engine) as connection:
            row = (await connection.execute(query)).one_or_none()
        return RefreshToken(*row) if row else None

    async def rotate(self, digest: str, now: float, fresh: str, until: float, *, grace: float = 0.0) -> bool:
        table = oidc_refresh_tokens
        good = (table.c.digest == digest) & (table.c.used_at == 0)
        if (
            grace > 0
        ):  # without it, `now` of who looked at the clock first, or whose clock is behind, must not count
            good = (table.c.digest == digest) & or_(table.c.used_at == 0, table.c.used_at > now - grace)
        first = case((table.c.used_at == 0, now), else_=table.c.used_at)
        step = update(table).where(good).values(used_at=first).returning(table.c.grant_id)
        async with writing(self._engine) as connection:
            grant = await connection.scalar(step)
            if grant is None:
                return False
            await connection.execute(insert(table).values(_fresh(fresh, grant, until)))
        return True

    async def end(self, *, id: str = "", username: str = "", client_id: str = "") -> int:
        columns = oidc_grants.c
        given = ((columns.id, id), (columns.username, username), (columns.client_id, client_id))
        which = [column == value for column, value in given if value]
        if not which:
            raise ValueError("all grants at once are never meant")
        async with writing(self._engine) as connection:
            return (await connection.execute(delete(oidc_grants).where(*which))).rowcount

    async def purge(self, now: float) -> int:
        """Drop what has expired; returns how many grants."""
        await delete_in_batches(self._engine, oidc_refresh_tokens, oidc_refresh_tokens.c.expires_at <= now)
        return await delete_in_batches(self._engine, oidc_grants, oidc_grants.c.expires_at <= now)

    async def share(self, now: float) -> tuple[int, int]:
        """How many grants have expired, and how many there are."""
        return await expired_share(self._engine, oidc_grants, oidc_grants.c.expires_at <= now)


class SqlConsents:
    """Consents in the database."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def get(self, username: str, client_id: str) -> Consent | None:
        found = await self._select(_consent_of(username, client_id))
        return found[0] if found else None

    async def put(self, consent: Consent) -> None:
        row = asdict(consent) | {"scopes": json.dumps(consent.scopes)}
        async with writing(self._engine) as connection:
            statement = upsert(connection, oidc_consents).values(row)
            keys = ["username", "client_id"]
            await connection.execute(statement.on_conflict_do_update(index_elements=keys, set_=row))

    async def remove(self, username: str, client_id: str) -> bool:
        async with writing(self._engine) as connection:
            gone = await connection.execute(delete(oidc_consents).where(_consent_of(username, client_id)))
        return gone.rowcount == 1

    async def list(self, username: str) -> Sequence[Consent]:
        return await self._select(oidc_consents.c.username == username)

    async def _select(self, which: ColumnElement[bool]) -> builtins.list[Consent]:
        query = select(oidc_consents).where(which).order_by("client_id")
        async with reading(self._engine) as connection:
            rows = (await connection.execute(query)).all()
        return [
            Consent(
                username=row.username,
                client_id=row.client_id,
                scopes=tuple(json.loads(row.scopes)),
                created_at=row.created_at,
            )
            for row in rows
        ]


class SqlLogins:
    """Sign-ins to apps in the database."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def note(self, login: Login) -> None:
        row = asdict(login) | {"due_at": 0.0}
        async with writing(self._engine) as connection:
            statement = upsert(connection, oidc_logins).values(row)
            keys = ["username", "session_started", "client_id"]
            await connection.execute(statement.on_conflict_do_update(index_elements=keys, set_=row))

    async def end(self, username: str, client_id: str, now: float) -> int:
        own = (oidc_logins.c.username == username) & (oidc_logins.c.client_id == client_id)
        async with writing(self._engine) as connection:
            step = update(oidc_logins).where(own, oidc_logins.c.due_at == 0).values(due_at=now)
            return (await connection.execute(step)).rowcount

    async def due(self, now: float, lease: float) -> Sequence[Login]:
        waiting = (oidc_logins.c.due_at > 0) & (oidc_logins.c.due_at <= now)
        columns = [oidc_logins.c[name] for name in Login.__dataclass_fields__]
        async with reading(self._engine) as connection:
            if (
                await connection.execute(select(oidc_logins.c.username).where(waiting).limit(1))
            ).first() is None:
                return []  # asked often, so the usual answer takes no write lock
        step = update(oidc_logins).where(waiting)
        step = step.values(due_at=now + lease, tries=oidc_logins.c.tries + 1)
        async with writing(self._engine) as connection:
            rows = (await connection.execute(step.returning(*columns))).all()
        # SQLite gives whole numbers back as int after RETURNING, and apps know the session by this number's spelling.
        return [
            Login(
                username=row[0],
                session_started=float(row[1]),
                client_id=row[2],
                expires_at=float(row[3]),
                tries=row[4],
                subject=row[5],
            )
            for row in rows
        ]

    async def later(self, login: Login, at: float) -> None:
        async with writing(self._engine) as connection:
            await connection.execute(update(oidc_logins).where(_same(login)).values(due_at=at))

    async def done(self, login: Login) -> None:
        async with writing(self._engine) as connection:
            await connection.execute(delete(oidc_logins).where(_same(login)))

    async def purge(self, now: float) -> int:
        """Drop those whose session ended in its own time; returns how many."""
        old = (oidc_logins.c.expires_at <= now) & (oidc_logins.c.due_at == 0)
        return await delete_in_batches(self._engine, oidc_logins, old)


async def end_with_sessions(
    connection: AsyncConnection, now: float, username: str, started: float | None
) -> None:
    """End what hangs on a session that is gone, and let its apps be told. `started` is when it began (Unix time), None
    = all.

    A session that only got a new id goes on under the same user and beginning, and so does all that hangs on it.
    """
    for table in (oidc_grants, provider_sign_ins, oidc_logins):
        living = exists().where(
            sessions.c.username == table.c.username, sessions.c.created_at == table.c.session_started
        )
        which = (table.c.username == username) & ~living
        which &= true() if started is None else table.c.session_started == started
        if table is oidc_logins:
            await connection.execute(update(table).where(which, table.c.due_at == 0).values(due_at=now))
        else:
            await connection.execute(delete(table).where(which))


def _consent_of(username: str, client_id: str) -> ColumnElement[bool]:
    return (oidc_consents.c.username == username) & (oidc_consents.c.client_id == client_id)


def _same(login: Login) -> ColumnElement[bool]:
    return (
        (oidc_logins.c.username == login.username)
        & (oidc_logins.c.session_started == login.session_started)
        & (oidc_logins.c.client_id == login.client_id)
    )


def _fresh(digest: str, grant_id: str, until: float) -> dict[str, object]:
    return {"digest": digest, "grant_id": grant_id, "expires_at": until, "used_at": 0.0}


def _grant(row: Row[tuple[object, ...]]) -> Grant:
    fields = dict(row._mapping)
    return Grant(
        **fields | {"scopes": tuple(json.loads(fields["scopes"])), "facts": json.loads(fields["facts"])}
    )
