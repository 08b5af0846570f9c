"""Sessions that began at an identity provider, so that it can end them and they can end its own."""

import sqlalchemy as sa
from alembic import op

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "provider_sign_ins",
        sa.Column("username", sa.String(128), primary_key=True),
        sa.Column("session_started", sa.Double, primary_key=True),
        sa.Column("provider", sa.String(40), primary_key=True),
        sa.Column("subject", sa.String(255), nullable=False),
        sa.Column("provider_sid", sa.String(255), nullable=False),
        sa.Column("id_token", sa.LargeBinary, nullable=False),
        sa.Column("at", sa.Double, nullable=False),
    )
    op.create_index("provider_sign_ins_subject", "provider_sign_ins", ["provider", "subject"])
    op.create_index("provider_sign_ins_sid", "provider_sign_ins", ["provider", "provider_sid"])
    op.create_index("provider_sign_ins_started", "provider_sign_ins", ["session_started"])
