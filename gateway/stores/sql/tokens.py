"""API tokens of service accounts in SQL. Only a keyed hash of the secret is kept; revoking deletes the row."""

import json
from collections.abc import Sequence
from dataclasses import asdict

from sqlalchemy import Row, delete, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from gateway.errors import UserExists
from gateway.stores.protocols.core import Change
from gateway.stores.protocols.tokens import ApiToken
from gateway.stores.sql.purge import delete_in_batches
from gateway.stores.sql.schema import api_tokens
from gateway.stores.sql.sessions import publish
from gateway.stores.sql.transactions import reading, writing

_LISTS = ("groups", "routes", "methods", "scopes")


class SqlTokens:
    """API tokens in the database."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def add(self, token: ApiToken) -> None:
        """Insert a token. Raises UserExists if the name is taken."""
        row = {key: json.dumps(value) if key in _LISTS else value for key, value in asdict(token).items()}
        try:
            async with writing(self._engine) as connection:
                await connection.execute(insert(api_tokens).values(row))
        except IntegrityError as error:
            raise UserExists(f"there is a token {token.name} already") from error

    async def get(self, id: str) -> ApiToken | None:
        async with reading(self._engine) as connection:
            row = (await connection.execute(select(api_tokens).where(api_tokens.c.id == id))).one_or_none()
        return _token(row) if row else None

    async def list(self) -> Sequence[ApiToken]:
        async with reading(self._engine) as connection:
            return [_token(row) for row in await connection.execute(select(api_tokens).order_by("name"))]

    async def used(self, id: str, at: float, digest: str) -> None:
        """Note the use, and store the hash by the newest key so that older keys may go."""
        own = api_tokens.c.id == id
        async with writing(self._engine) as connection:
            await connection.execute(update(api_tokens).where(own).values(last_used_at=at, digest=digest))

    async def revoke(self, name: str, now: float) -> bool:
        """Every worker hears of it, since each remembers right tokens for a while."""
        async with writing(self._engine) as connection:
            gone = await connection.execute(delete(api_tokens).where(api_tokens.c.name == name))
            if gone.rowcount:
                await publish(connection, now, Change("token", f"token:{name}"))
        return gone.rowcount == 1

    # -- those of users --------------------------------------------------------------------------------------------

    async def owned(self, owner: str) -> Sequence[ApiToken]:
        query = select(api_tokens).where(api_tokens.c.owner == owner)
        async with reading(self._engine) as connection:
            rows = await connection.execute(query.order_by(api_tokens.c.created_at.desc(), api_tokens.c.id))
            return [_token(row) for row in rows]

    async def revoke_owned(self, owner: str, now: float, id: str = "") -> int:
        async with writing(self._engine) as connection:
            changes = await end_tokens_of(connection, owner, id)
            await publish(connection, now, *changes)
        return len(changes) // 2

    async def purge_owned(self, before: float) -> int:
        over = (api_tokens.c.owner != "") & (api_tokens.c.expires_at <= before)
        return await delete_in_batches(self._engine, api_tokens, over)


async def end_tokens_of(connection: AsyncConnection, owner: str, id: str = "") -> list[Change]:
    """End a user's tokens, or one; returns what is to be published: the WebSockets opened with them end, too."""
    which = (api_tokens.c.owner == owner) & (api_tokens.c.owner != "")
    if id:
        which &= api_tokens.c.id == id
    gone = await connection.scalars(delete(api_tokens).where(which).returning(api_tokens.c.id))
    return [Change(kind, f"token:{one}") for one in gone for kind in ("token", "session")]


def _token(row: Row[tuple[object, ...]]) -> ApiToken:
    fields = dict(row._mapping)
    return ApiToken(**fields | {key: tuple(json.loads(fields[key])) for key in _LISTS})
