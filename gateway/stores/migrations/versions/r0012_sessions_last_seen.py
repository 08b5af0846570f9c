"""Sessions that nobody uses are found without reading all of them."""

from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("sessions_last_seen", "sessions", ["last_seen"])
