"""Requests for a group, and the groups that were lent."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "access_requests",
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("slot", sa.String(300), nullable=False, unique=True),
        sa.Column("username", sa.String(128), nullable=False),
        sa.Column("group", sa.String(128), nullable=False),
        sa.Column("page", sa.Text, nullable=False),
        sa.Column("why", sa.Text, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("asked_at", sa.Double, nullable=False),
        sa.Column("expires_at", sa.Double, nullable=False),
        sa.Column("decided_by", sa.String(160), nullable=False),
        sa.Column("decided_at", sa.Double, nullable=False),
    )
    op.create_index("access_requests_username", "access_requests", ["username"])
    op.create_index("access_requests_expires_at", "access_requests", ["expires_at"])
