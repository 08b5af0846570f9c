"""How administrators see a session, so that one of a million is found; and users by mail address."""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("sessions", sa.Column("shown", sa.String(32), nullable=False, server_default=""))
    op.create_index("sessions_shown", "sessions", ["shown"])
    op.create_index("users_email", "users", [sa.text("lower(email)")])
