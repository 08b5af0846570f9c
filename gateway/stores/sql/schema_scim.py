"""The table of what programs that speak SCIM know users and groups by. Times are Unix seconds."""

from sqlalchemy import Column, Double, Index, String, Table, Text

from gateway.stores.sql.schema import metadata

scim_names = Table(
    "scim_names",
    metadata,
    Column("kind", String(8), primary_key=True),
    Column("name", String(128), primary_key=True),
    Column("id", String(32), nullable=False, unique=True),
    Column("external_id", String(300), nullable=False),
    Column("resource", Text, nullable=False),
    Column("changed_at", Double, nullable=False),
    Index("scim_names_external_id", "kind", "external_id"),
)
