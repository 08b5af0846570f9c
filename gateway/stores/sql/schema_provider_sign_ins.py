"""The table of sessions that began at identity providers. Times are Unix seconds."""

from sqlalchemy import Column, Double, Index, LargeBinary, String, Table

from gateway.stores.sql.schema import metadata

# A session is known by its user and when it began, since its id changes with each proof.
provider_sign_ins = Table(
    "provider_sign_ins",
    metadata,
    Column("username", String(128), primary_key=True),
    Column("session_started", Double, primary_key=True),
    Column("provider", String(40), primary_key=True),
    Column("subject", String(255), nullable=False),
    Column("provider_sid", String(255), nullable=False),
    Column("id_token", LargeBinary, nullable=False),
    Column("at", Double, nullable=False),
    Index("provider_sign_ins_subject", "provider", "subject"),
    Index("provider_sign_ins_sid", "provider", "provider_sid"),
    Index("provider_sign_ins_started", "session_started"),
)
