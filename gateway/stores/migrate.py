"""Brings a database to the newest schema.

Safe when workers and replicas all start at once: one migrates, the rest wait. The migrations are
part of the package, so that an installed wheel can migrate.
"""

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.stores.engine import in_order, no_statement_timeout, writing

MIGRATIONS = Path(__file__).with_name("migrations")
_LOCK = 0x61757468_0001


async def migrate(engine: AsyncEngine) -> None:
    """Everything in one transaction: a migration that fails leaves the database as it was."""
    async with writing(engine, "EXCLUSIVE") as connection:
        await no_statement_timeout(connection)  # others wait for the lock, and a big table takes its time
        await in_order(connection, _LOCK)
        await connection.run_sync(_upgrade)


def _upgrade(connection: Connection) -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))  # ConfigParser interpolates
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
