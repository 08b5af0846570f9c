"""When each user signed in last, for administrators who look for accounts that nobody uses."""

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "sign_ins",
        sa.Column("username", sa.String(128), primary_key=True),
        sa.Column("at", sa.Double, nullable=False),
    )
    # What the audit log still knows; else everybody would seem never to have come.
    known = (
        "INSERT INTO sign_ins (username, at) SELECT username, MAX(at) FROM audit"
        " WHERE event = 'login' AND LENGTH(username) BETWEEN 1 AND 128 GROUP BY username"
    )
    op.get_bind().execute(sa.text(known))
