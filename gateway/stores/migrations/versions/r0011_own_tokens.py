"""API tokens that users make for themselves."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("api_tokens", sa.Column("owner", sa.String(128), nullable=False, server_default=""))
    op.add_column("api_tokens", sa.Column("title", sa.String(60), nullable=False, server_default=""))
    op.create_index("ix_api_tokens_owner", "api_tokens", ["owner"])
