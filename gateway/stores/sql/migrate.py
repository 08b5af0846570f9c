"""Brings a database to the newest schema.

Safe when workers and replicas all start at once: one migrates, the rest wait. The migrations are
part of the package, so that an installed wheel can migrate.
"""

import logging
from pathlib import Path

from sqlalchemy import Connection, inspect, select, text
from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.errors import SchemaTooNew
from gateway.stores.sql.schema import installation
from gateway.stores.sql.transactions import in_order, no_statement_timeout, reading, writing
from gateway.stores.sql.upserts import upsert

MIGRATIONS = Path(__file__).parents[1] / "migrations"
_LOCK = 0x61757468_0001
_SCHEMA, _OLDEST = "schema", "oldest code"
SCHEMA_ROWS = frozenset({_SCHEMA, _OLDEST})
"""The rows of `installation` that are about the schema."""
OLDEST_CODE = "0011"
"""Code written for this schema or a later one runs on ours. A migration that takes something away raises it.

Code before 0.2 starts only where `alembic_version` has the schema that it was written for. So that table keeps
OLDEST_CODE between migrations, and `installation` has what is true.
"""

log = logging.getLogger("gateway.migrate")


async def migrate(engine: AsyncEngine) -> None:
    """Bring the schema up to date, in one transaction: a migration that fails leaves the database as it was.

    Raises SchemaTooNew if a newer gateway has changed the database so that this one must not use it.
    """
    ours, found, oldest = newest_revision(), *(await _found(engine))
    if found > ours:
        _judge(ours, found, oldest)
    if found >= ours:
        return
    async with writing(engine, "EXCLUSIVE") as connection:
        await no_statement_timeout(connection)  # others wait for the lock, and a big table takes its time
        await in_order(connection, _LOCK)
        await connection.run_sync(_told_alembic)
        await connection.run_sync(_upgrade)
        for name, value in ((_SCHEMA, ours), (_OLDEST, OLDEST_CODE)):
            row = {"name": name, "value": value}
            statement = upsert(connection, installation).values(row)
            await connection.execute(statement.on_conflict_do_update(index_elements=["name"], set_=row))
        await connection.execute(_stamp, {"revision": OLDEST_CODE})


async def usable_revision(engine: AsyncEngine) -> str:
    """Return the schema's revision, "" for an empty database.

    Raises SchemaTooNew, and StoreUnavailable if the database does not answer.
    """
    found, oldest = await _found(engine)
    if found > newest_revision():
        _judge(newest_revision(), found, oldest)
    return found


def newest_revision() -> str:
    """The schema that this code was written for."""
    return max(file.name for file in (MIGRATIONS / "versions").glob("r[0-9]*.py"))[1:5]


async def _found(engine: AsyncEngine) -> tuple[str, str]:
    """The schema's revision ("" in an empty database), and the oldest code that may use it ("" if that is not said).

    Asked first, since most starts find a current database and Alembic costs each worker a dozen MiB.
    """
    async with reading(engine) as connection:
        return await connection.run_sync(_revisions)


def _revisions(connection: Connection) -> tuple[str, str]:
    inspected = inspect(connection)
    if not inspected.has_table("alembic_version"):
        return "", ""
    stamped = str(connection.execute(text("SELECT version_num FROM alembic_version")).scalar())
    if not inspected.has_table(installation.name):
        return stamped, ""
    query = select(installation.c.name, installation.c.value).where(installation.c.name.in_(SCHEMA_ROWS))
    said = {row.name: row.value for row in connection.execute(query)}
    return said.get(_SCHEMA, stamped), said.get(_OLDEST, "")


_stamp = text("UPDATE alembic_version SET version_num = :revision")


def _told_alembic(connection: Connection) -> None:
    """Alembic goes on from where the schema is."""
    found, _ = _revisions(connection)
    if found:
        connection.execute(_stamp, {"revision": found})


def _judge(ours: str, found: str, oldest: str) -> None:
    """A newer gateway shares this database, or has been here before a rollback. Raises SchemaTooNew."""
    if not oldest or ours < oldest:
        raise SchemaTooNew(
            f"the database has schema {found}, made by a newer gateway; this one knows {ours}:"
            " run the newer version, or restore the backup from before the upgrade (docs/upgrading.md)"
        )
    log.warning("the database has schema %s, newer than %s: a newer gateway shares it", found, ours)


def _upgrade(connection: Connection, revision: str = "head") -> None:
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))  # ConfigParser interpolates
    config.attributes["connection"] = connection
    command.upgrade(config, revision)
