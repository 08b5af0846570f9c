"""Sessions may be bound to a key of their browser, and know which models of security keys were used in them."""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("sessions", sa.Column("device_id", sa.String(64), nullable=False, server_default=""))
    op.add_column("sessions", sa.Column("device_key", sa.Text, nullable=False, server_default=""))
    op.add_column("sessions", sa.Column("device_at", sa.Double, nullable=False, server_default="0"))
    op.add_column("sessions", sa.Column("key_models", sa.Text, nullable=False, server_default="{}"))
    op.create_index("sessions_device_id", "sessions", ["device_id"])
