"""Users have attributes, which rules and headers may ask for."""

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("users", sa.Column("attributes", sa.Text, nullable=False, server_default=""))
