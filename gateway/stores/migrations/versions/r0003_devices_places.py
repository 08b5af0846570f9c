"""Remembered devices, places that users signed in from, and sessions that a risk signal asks more of."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    step_up = sa.Column("step_up", sa.Boolean, nullable=False, server_default=sa.false())
    op.add_column("sessions", step_up)
    op.create_table(
        "devices",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("username", sa.String(128), nullable=False),
        sa.Column("user_agent", sa.Text, nullable=False),
        sa.Column("ip", sa.String(64), nullable=False),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.Column("last_used_at", sa.Double, nullable=False),
        sa.Column("expires_at", sa.Double, nullable=False),
    )
    op.create_index("devices_username", "devices", ["username"])
    op.create_index("devices_expires_at", "devices", ["expires_at"])
    op.create_table(
        "places",
        sa.Column("username", sa.String(128), primary_key=True),
        sa.Column("network", sa.String(64), primary_key=True),
        sa.Column("device", sa.String(64), primary_key=True),
        sa.Column("country", sa.String(8), nullable=False),
        sa.Column("latitude", sa.Double),
        sa.Column("longitude", sa.Double),
        sa.Column("seen_at", sa.Double, nullable=False),
    )
    op.create_index("places_seen_at", "places", ["seen_at"])
