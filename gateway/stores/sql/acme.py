"""What replicas share of certificates by ACME: account, certificate and when it is renewed, sealed with the key ring.

Kept with the facts about the installation, for there is one of each.
"""

import logging
from collections.abc import Callable
from hashlib import blake2b

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.stores.sql.schema import installation
from gateway.stores.sql.transactions import reading, writing
from gateway.stores.sql.upserts import upsert

log = logging.getLogger("gateway.acme")
Seal = Callable[[bytes], bytes]


class SqlAcmeRecords:
    """The records about one authority, by its `directory`. `open` raises ValueError for what no key opens."""

    def __init__(self, engine: AsyncEngine, seal: Seal, open: Seal, *, directory: str) -> None:
        self._engine, self._seal, self._open = engine, seal, open
        self._of = blake2b(directory.encode(), digest_size=12).hexdigest()
        self._seen: dict[str, tuple[str, bytes | None]] = {}

    async def get(self, what: str) -> bytes | None:
        """Return a record; None if there is none, or none that our keys open. Raises StoreUnavailable."""
        query = select(installation.c.value).where(installation.c.name == self._name(what))
        async with reading(self._engine) as connection:
            sealed = await connection.scalar(query)
        if sealed is None:
            return None
        if self._seen.get(what, ("", None))[0] != sealed:
            self._seen[what] = sealed, self._opened(what, sealed)
        return self._seen[what][1]

    def _opened(self, what: str, sealed: str) -> bytes | None:
        try:
            return self._open(sealed.encode())
        except ValueError:
            log.error(
                "the ACME %s in the database is sealed with another key ring, so a new one is made", what
            )
            return None

    async def put(self, what: str, value: bytes) -> None:
        """Write a record. Raises StoreUnavailable."""
        row = {"name": self._name(what), "value": self._seal(value).decode()}
        async with writing(self._engine) as connection:
            statement = upsert(connection, installation).values(row)
            await connection.execute(statement.on_conflict_do_update(index_elements=["name"], set_=row))

    def _name(self, what: str) -> str:
        return f"acme {what} {self._of}"
