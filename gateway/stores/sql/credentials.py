"""Enrolled factors in SQL. Secrets are sealed before they reach the database and opened on the way out."""

from collections.abc import Callable, Sequence

from sqlalchemy import Row, bindparam, delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.errors import StoreUnavailable
from gateway.stores.protocols.core import Credential
from gateway.stores.sql.devices import forget_devices
from gateway.stores.sql.schema import credentials
from gateway.stores.sql.transactions import reading, writing, writing_once

Seal = Callable[[bytes], bytes]
_VOUCH = ("totp", "webauthn", "second_phone")


class SqlCredentials:
    """Credentials in the database, their secrets sealed. `seal` and `open` are the key ring's; `open` raises
    ValueError for what no key opens.
    """

    def __init__(self, engine: AsyncEngine, seal: Seal, open: Seal) -> None:
        self._engine = engine
        self._seal = seal
        self._open = open

    async def list(self, username: str, kind: str | None = None) -> Sequence[Credential]:
        query = _OF_USER if kind is None else _OF_KIND
        async with reading(self._engine) as connection:
            rows = (await connection.execute(query, {"of": username, "wanted": kind})).all()
        return [self._credential(row) for row in rows]

    async def get(self, id: str) -> Credential | None:
        async with reading(self._engine) as connection:
            row = (await connection.execute(select(credentials).where(credentials.c.id == id))).one_or_none()
        return self._credential(row) if row else None

    async def add(self, credential: Credential) -> None:
        async with writing_once(self._engine) as connection:
            await connection.execute(
                insert(credentials).values(
                    id=credential.id,
                    username=credential.username,
                    kind=credential.kind,
                    name=credential.name,
                    secret=self._seal(credential.secret),
                    created_at=credential.created_at,
                    last_used_at=credential.last_used_at,
                    counter=credential.counter,
                )
            )

    async def rename(self, username: str, id: str, name: str) -> bool:
        own = (credentials.c.id == id) & (credentials.c.username == username)
        async with writing_once(self._engine) as connection:
            return (await connection.execute(update(credentials).where(own).values(name=name))).rowcount == 1

    async def advance(self, id: str, counter: int, used_at: float) -> bool:
        behind = (credentials.c.id == id) & (credentials.c.counter < counter)
        step = update(credentials).where(behind).values(counter=counter, last_used_at=used_at)
        async with writing_once(self._engine) as connection:
            return (await connection.execute(step)).rowcount == 1

    async def remove(self, username: str, id: str) -> bool:
        """A factor that goes takes the devices along that were trusted on its word."""
        own = (credentials.c.id == id) & (credentials.c.username == username)
        async with writing(self._engine) as connection:
            kind = await connection.scalar(delete(credentials).where(own).returning(credentials.c.kind))
            if kind in _VOUCH:
                await forget_devices(connection, username)
        return kind is not None

    async def reseal(self) -> int:
        """Seal every secret with the newest key, so that older keys may go; returns how many."""
        rows = select(credentials.c.id, credentials.c.secret).order_by(credentials.c.id).with_for_update()
        async with writing(self._engine) as connection:
            sealed = (await connection.execute(rows)).all()
            for row in sealed:
                secret = self._seal(self._opened(row.id, row.secret))
                own = credentials.c.id == row.id
                await connection.execute(update(credentials).where(own).values(secret=secret))
        return len(sealed)

    def _credential(self, row: Row[tuple[object, ...]]) -> Credential:
        fields = dict(row._mapping)
        fields["secret"] = self._opened(row.id, row.secret)
        return Credential(**fields)

    def _opened(self, id: str, secret: bytes) -> bytes:
        # Leaving the credential out instead would quietly take a user's second factor away.
        try:
            return self._open(secret)
        except ValueError as error:
            raise StoreUnavailable(
                f"no key of the ring opens credential {id}; restore the session.keys_file it was sealed with"
            ) from error


_OF_USER = (
    select(credentials)
    .where(credentials.c.username == bindparam("of"))
    .order_by(credentials.c.created_at, credentials.c.id)
)
_OF_KIND = _OF_USER.where(credentials.c.kind == bindparam("wanted"))
