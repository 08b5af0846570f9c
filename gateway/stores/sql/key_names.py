"""Which key ring this database belongs to: the ids of its keys (no secrets), known since the first start.

Whoever starts with no ring, or with somebody else's, hears of it instead of making every session, enrolled factor
and token unreadable.
"""

import json
from collections.abc import Sequence
from pathlib import Path

from sqlalchemy import exists, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from gateway.errors import ConfigError, Mistake
from gateway.stores.sql.schema import api_tokens, credentials, installation, sessions
from gateway.stores.sql.transactions import reading, writing
from gateway.stores.sql.upserts import upsert

_NAME = "key ring"
_SIGNING = "signing keys"
_KEPT = 50
"""Ids that are remembered: a backup of some rotations ago is still known as ours."""


async def known_keys(engine: AsyncEngine) -> Sequence[str]:
    """The ids of the ring's keys, newest first; empty before the first start."""
    async with reading(engine) as connection:
        return await _known(connection)


async def never_had_keys(engine: AsyncEngine) -> bool:
    """Whether this is the first start: no ring was known, and nothing is here that one has sealed or signed."""
    used = or_(*(exists(select(table.c[0])) for table in (sessions, credentials, api_tokens)))
    async with reading(engine) as connection:
        return not await _known(connection) and not await connection.scalar(select(used))


async def claim_keys(engine: AsyncEngine, path: Path, ids: Sequence[str]) -> None:
    """Note that the ring in `path` has these keys. Raises ConfigError if the database knows another ring."""
    if _same(await known_keys(engine), ids):
        return
    async with writing(engine) as connection:
        first = upsert(connection, installation).values(name=_NAME, value=json.dumps(list(ids)))
        await connection.execute(first.on_conflict_do_nothing())  # of several first starts, one ring counts
        known = await _known(connection)
        if not set(known) & set(ids):
            raise _foreign(path, ids, known)
        await _put(connection, list(dict.fromkeys([*ids, *known]))[:_KEPT])


async def replace_keys(engine: AsyncEngine, ids: Sequence[str]) -> None:
    """From now on the database belongs to the ring of these keys."""
    async with writing(engine) as connection:
        await _put(connection, ids)


def _same(known: Sequence[str], ids: Sequence[str]) -> bool:
    return bool(ids) and list(known[: len(ids)]) == list(ids)


async def _known(connection: AsyncConnection) -> Sequence[str]:
    value = await connection.scalar(select(installation.c.value).where(installation.c.name == _NAME))
    return json.loads(value) if value else []


async def _put(connection: AsyncConnection, ids: Sequence[str]) -> None:
    row = {"name": _NAME, "value": json.dumps(list(ids))}
    statement = upsert(connection, installation).values(row)
    await connection.execute(statement.on_conflict_do_update(index_elements=["name"], set_=row))


def _foreign(path: Path, ids: Sequence[str], known: Sequence[str]) -> ConfigError:
    problem = f"this is another key ring (newest key {ids[0]}) than the database's (newest key {known[0]})"
    mend = (
        "write the path of the ring that the other replicas use, or restore it from a backup; if it is lost,"
        " `auth-gateway key adopt` takes this one: everyone is signed out, apps and keys must be enrolled again"
    )
    mistake = Mistake(file=str(path), line=0, key="session.keys_file", problem=problem, mend=mend)
    return ConfigError([mistake])


async def had_signing_keys(engine: AsyncEngine) -> bool:
    """Whether tokens were ever signed here: then the file with the keys must be there."""
    query = select(installation.c.value).where(installation.c.name == _SIGNING)
    async with reading(engine) as connection:
        return await connection.scalar(query) is not None


async def note_signing_keys(engine: AsyncEngine) -> None:
    """Note that there are keys which sign tokens."""
    async with writing(engine) as connection:
        statement = upsert(connection, installation).values(name=_SIGNING, value="made")
        await connection.execute(statement.on_conflict_do_nothing())
