"""A session knows the groups that an identity provider named when it began."""

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("sessions", sa.Column("provider_groups", sa.Text, nullable=False, server_default="[]"))
