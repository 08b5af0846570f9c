"""Run by Alembic. The connection, its transaction and the lock come from gateway.stores.sql.migrate."""

from alembic import context

from gateway.stores.sql.schema_oidc import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
with context.begin_transaction():
    context.run_migrations()
