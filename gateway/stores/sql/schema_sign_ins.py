"""The table of the last sign-ins, which the writer of the audit log keeps. Times are Unix seconds."""

from sqlalchemy import Column, Double, String, Table

from gateway.stores.sql.schema import metadata

sign_ins = Table(
    "sign_ins",
    metadata,
    Column("username", String(128), primary_key=True),
    Column("at", Double, nullable=False),
)
