"""Living sessions are counted and skipped without reading a million rows of theirs."""

from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("sessions_alive", "sessions", ["last_seen", "expires_at"])
