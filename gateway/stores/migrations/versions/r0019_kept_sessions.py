"""Sessions whose user wants to stay signed in need no use to live on."""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("sessions", sa.Column("kept", sa.Boolean, nullable=False, server_default=sa.false()))
