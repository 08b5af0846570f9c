"""Which budgets are spent, so that operators can see and lift them."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "spent_budgets",
        sa.Column("key", sa.String(64), primary_key=True),
        sa.Column("spent", sa.LargeBinary, nullable=False),
        sa.Column("expires_at", sa.Double, nullable=False),
    )
