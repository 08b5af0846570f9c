"""SMS and calls with delivery and cost, blocked ranges of numbers, and the numbers that users had before."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "sms_messages",
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("username", sa.String(128), nullable=False),
        sa.Column("session", sa.String(64), nullable=False),
        sa.Column("masked", sa.String(32), nullable=False),
        sa.Column("number", sa.String(64), nullable=False),
        sa.Column("range", sa.String(64), nullable=False),
        sa.Column("country", sa.String(2), nullable=False),
        sa.Column("provider", sa.String(32), nullable=False),
        sa.Column("channel", sa.String(8), nullable=False),
        sa.Column("micros", sa.BigInteger, nullable=False),
        sa.Column("currency", sa.String(3), nullable=False),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.Column("sid", sa.String(64), nullable=False),
        sa.Column("status", sa.String(24), nullable=False),
        sa.Column("stage", sa.Integer, nullable=False),
        sa.Column("error", sa.String(24), nullable=False),
        sa.Column("problem", sa.Text, nullable=False),
        sa.Column("priced", sa.Boolean, nullable=False),
        sa.Column("updated_at", sa.Double, nullable=False),
        sa.Column("verified_at", sa.Double, nullable=False),
    )
    op.create_index("sms_messages_created_at", "sms_messages", ["created_at"])
    op.create_index("sms_messages_session", "sms_messages", ["session"])
    op.create_index("sms_messages_range", "sms_messages", ["range", "created_at"])
    op.create_index("sms_messages_username", "sms_messages", ["username"])
    op.create_table(
        "sms_blocks",
        sa.Column("range", sa.String(16), primary_key=True),
        sa.Column("since", sa.Double, nullable=False),
        sa.Column("until", sa.Double, nullable=False),
        sa.Column("sends", sa.Integer, nullable=False),
        sa.Column("verified", sa.Integer, nullable=False),
    )
    op.create_table(
        "phone_changes",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("username", sa.String(128), nullable=False),
        sa.Column("before", sa.String(32), nullable=False),
        sa.Column("at", sa.Double, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("phone_changes_username", "phone_changes", ["username"])
    op.create_index("phone_changes_at", "phone_changes", ["at"])
