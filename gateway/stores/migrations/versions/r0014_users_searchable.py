"""What users are searched by, folded here: SQLite and PostgreSQL in the C locale fold no letters beyond ASCII."""

import sqlalchemy as sa
from alembic import op

from gateway.stores.sql.folding import folded

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

users = sa.table(
    "users", sa.column("username"), sa.column("name"), sa.column("email"), sa.column("searchable")
)


def upgrade() -> None:
    op.add_column("users", sa.Column("searchable", sa.Text, nullable=False, server_default=""))
    connection = op.get_bind()
    rows = connection.execute(sa.select(users.c.username, users.c.name, users.c.email)).all()
    step = sa.update(users).where(users.c.username == sa.bindparam("of"))
    values = [{"of": row[0], "text": folded("\n".join(row))} for row in rows]
    if values:
        connection.execute(step.values(searchable=sa.bindparam("text")), values)
