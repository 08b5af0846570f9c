"""What apps of the OpenID provider call users by. Whoever an app may know by name already keeps that name there."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

_NAMED_IN = ("users", "credentials", "sessions", "places", "oidc_grants", "oidc_logins", "oidc_consents")
_TRACES = ("oidc_grants", "oidc_logins", "oidc_consents")


def upgrade() -> None:
    subjects = op.create_table(
        "subjects",
        sa.Column("username", sa.String(128), primary_key=True),
        sa.Column("subject", sa.String(128), nullable=False, unique=True),
        sa.Column("directory_id", sa.String(128), nullable=False),
    )
    op.add_column("oidc_logins", sa.Column("subject", sa.String(128), nullable=False, server_default=""))
    connection = op.get_bind()
    if not _apps_know_somebody(connection):
        return
    names: set[str] = set()
    for table in _NAMED_IN:
        column: sa.ColumnClause[str] = sa.column("username")
        names |= set(connection.scalars(sa.select(column).select_from(sa.table(table, column)).distinct()))
    rows = [{"username": name, "subject": name, "directory_id": ""} for name in sorted(names) if name]
    if rows:
        connection.execute(sa.insert(subjects), rows)


def _apps_know_somebody(connection: sa.Connection) -> bool:
    """Grants and consents end; that a code was issued stays in the audit log for longer."""
    for table in _TRACES:
        if connection.execute(sa.select(sa.literal(1)).select_from(sa.table(table)).limit(1)).first():
            return True
    audit = sa.table("audit", sa.column("event"))
    query = sa.select(audit.c.event).where(audit.c.event.in_(("oidc_code_issued", "oidc_tokens_issued")))
    return connection.execute(query.limit(1)).first() is not None
