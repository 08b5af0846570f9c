"""Brings a database to the newest schema.

Safe when workers and replicas all start at once: one migrates, the rest wait. The migrations are
part of the package, so that an installed wheel can migrate.
"""

from pathlib import Path

from sqlalchemy import Connection, inspect, text
from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.stores.sql.engine import in_order, no_statement_timeout, reading, writing

MIGRATIONS = Path(__file__).parents[1] / "migrations"
_LOCK = 0x61757468_0001


async def migrate(engine: AsyncEngine) -> None:
    """Bring the schema up to date, in one transaction: a migration that fails leaves the database as it was."""
    if await _is_current(engine):
        return
    async with writing(engine, "EXCLUSIVE") as connection:
        await no_statement_timeout(connection)  # others wait for the lock, and a big table takes its time
        await in_order(connection, _LOCK)
        await connection.run_sync(_upgrade)


async def _is_current(engine: AsyncEngine) -> bool:
    """Asked first, since most starts find a current database and Alembic costs each worker a dozen MiB."""
    newest = max(file.name for file in (MIGRATIONS / "versions").glob("r[0-9]*.py"))
    async with reading(engine) as connection:
        return await connection.run_sync(_revision) == newest[1:5]


def _revision(connection: Connection) -> str:
    if not inspect(connection).has_table("alembic_version"):
        return ""
    return str(connection.execute(text("SELECT version_num FROM alembic_version")).scalar())


def _upgrade(connection: Connection) -> None:
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))  # ConfigParser interpolates
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
