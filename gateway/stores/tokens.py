"""API tokens of service accounts in SQL. Only a keyed hash of the secret is kept; revoking deletes the row."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from sqlalchemy import Row, delete, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.errors import UserExists
from gateway.stores.base import Change
from gateway.stores.changes import publish
from gateway.stores.engine import reading, writing
from gateway.stores.schema import api_tokens

_LISTS = ("groups", "routes", "methods", "scopes")


@dataclass(frozen=True, slots=True)
class ApiToken:
    """`routes` are labels of routes; empty `methods` are all; `scopes` are of the admin API.

    Times are Unix seconds; `expires_at` 0 is never.
    """

    id: str
    name: str
    digest: str
    groups: tuple[str, ...]
    routes: tuple[str, ...]
    methods: tuple[str, ...]
    created_at: float
    expires_at: float
    last_used_at: float = 0.0
    scopes: tuple[str, ...] = ()


class SqlTokens:
    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def add(self, token: ApiToken) -> None:
        """Raises UserExists if the name is taken."""
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


def _token(row: Row[tuple[object, ...]]) -> ApiToken:
    fields = dict(row._mapping)
    return ApiToken(**fields | {key: tuple(json.loads(fields[key])) for key in _LISTS})
