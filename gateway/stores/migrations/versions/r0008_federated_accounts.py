"""Accounts at other providers and the users they belong to."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "federated_accounts",
        sa.Column("provider", sa.String(64), primary_key=True),
        sa.Column("subject", sa.String(255), primary_key=True),
        sa.Column("username", sa.String(128), nullable=False),
        sa.Column("linked_at", sa.Double, nullable=False),
        sa.UniqueConstraint("provider", "username", name="federated_accounts_username"),
    )
