"""Changes of numbers whose cool-off an administrator waived: they are still told to the old number."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("phone_changes", sa.Column("waived", sa.Boolean, nullable=False, server_default=sa.false()))
