"""The first tables."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    _people()
    _sessions()
    _shared_state()
    _audit()


def _people() -> None:
    op.create_table(
        "users",
        sa.Column("username", sa.String(128), primary_key=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("email", sa.Text, nullable=False),
        sa.Column("phone", sa.String(32), nullable=False),
        sa.Column("disabled", sa.Boolean, nullable=False),
        sa.Column("password_hash", sa.Text, nullable=False),
        sa.Column("password_changed_at", sa.Double, nullable=False),
        sa.Column("created_at", sa.Double, nullable=False),
    )
    owner = sa.ForeignKey("users.username", ondelete="CASCADE")
    op.create_table(
        "user_groups",
        sa.Column("username", sa.String(128), owner, primary_key=True),
        sa.Column("name", sa.String(128), primary_key=True),
        sa.Column("position", sa.Integer, nullable=False),
    )
    op.create_index("user_groups_name", "user_groups", ["name"])
    op.create_table(
        "credentials",
        sa.Column("id", sa.String(128), primary_key=True),
        sa.Column("username", sa.String(128), nullable=False),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("secret", sa.LargeBinary, nullable=False),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.Column("last_used_at", sa.Double, nullable=False),
        sa.Column("counter", sa.BigInteger, nullable=False),
    )
    op.create_index("credentials_username", "credentials", ["username"])


def _sessions() -> None:
    op.create_table(
        "sessions",
        sa.Column("sid", sa.String(128), primary_key=True),
        sa.Column("username", sa.String(128), nullable=False),
        sa.Column("amr", sa.Text, nullable=False),
        sa.Column("proven_at", sa.Text, nullable=False),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.Column("last_seen", sa.Double, nullable=False),
        sa.Column("expires_at", sa.Double, nullable=False),
        sa.Column("ip", sa.String(64), nullable=False),
        sa.Column("user_agent", sa.Text, nullable=False),
    )
    op.create_index("sessions_username", "sessions", ["username"])
    op.create_index("sessions_expires_at", "sessions", ["expires_at"])


def _shared_state() -> None:
    op.create_table(
        "ledger",
        sa.Column("key", sa.String(64), primary_key=True),
        sa.Column("amount", sa.BigInteger, nullable=False),
        sa.Column("value", sa.LargeBinary),
        sa.Column("expires_at", sa.Double, nullable=False),
    )
    op.create_index("ledger_expires_at", "ledger", ["expires_at"])
    op.create_table(
        "changes",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("at", sa.Double, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("changes_at", "changes", ["at"])


def _audit() -> None:
    op.create_table(
        "audit",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("at", sa.Double, nullable=False),
        sa.Column("event", sa.String(64), nullable=False),
        sa.Column("username", sa.Text, nullable=False),
        sa.Column("ip", sa.String(64), nullable=False),
        sa.Column("data", sa.Text, nullable=False),
        sqlite_autoincrement=True,
    )
    for column in ("at", "username", "event"):
        op.create_index(f"audit_{column}", "audit", [column])
