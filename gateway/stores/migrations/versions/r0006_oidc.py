"""The OpenID provider: grants, refresh tokens, consents, and who is to hear of a session's end."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "oidc_grants",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("client_id", sa.String(128), nullable=False),
        sa.Column("username", sa.String(128), nullable=False),
        sa.Column("session_started", sa.Double, nullable=False),
        sa.Column("scopes", sa.Text, nullable=False),
        sa.Column("facts", sa.Text, nullable=False),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.Column("expires_at", sa.Double, nullable=False),
        sa.Column("redeemed", sa.Boolean, nullable=False),
    )
    op.create_index("oidc_grants_username", "oidc_grants", ["username"])
    op.create_index("oidc_grants_expires_at", "oidc_grants", ["expires_at"])
    grant = sa.ForeignKey("oidc_grants.id", ondelete="CASCADE")
    op.create_table(
        "oidc_refresh_tokens",
        sa.Column("digest", sa.String(64), primary_key=True),
        sa.Column("grant_id", sa.String(64), grant, nullable=False),
        sa.Column("expires_at", sa.Double, nullable=False),
        sa.Column("used_at", sa.Double, nullable=False),
    )
    op.create_index("oidc_refresh_tokens_grant_id", "oidc_refresh_tokens", ["grant_id"])
    op.create_index("oidc_refresh_tokens_expires_at", "oidc_refresh_tokens", ["expires_at"])
    op.create_table(
        "oidc_consents",
        sa.Column("username", sa.String(128), primary_key=True),
        sa.Column("client_id", sa.String(128), primary_key=True),
        sa.Column("scopes", sa.Text, nullable=False),
        sa.Column("created_at", sa.Double, nullable=False),
    )
    op.create_table(
        "oidc_logins",
        sa.Column("username", sa.String(128), primary_key=True),
        sa.Column("session_started", sa.Double, primary_key=True),
        sa.Column("client_id", sa.String(128), primary_key=True),
        sa.Column("expires_at", sa.Double, nullable=False),
        sa.Column("due_at", sa.Double, nullable=False),
        sa.Column("tries", sa.Integer, nullable=False),
    )
    op.create_index("oidc_logins_due_at", "oidc_logins", ["due_at"])
