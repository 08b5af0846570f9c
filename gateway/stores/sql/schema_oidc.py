"""The tables of the OpenID provider. `metadata` holds these and all others."""

from sqlalchemy import Boolean, Column, Double, ForeignKey, Index, Integer, String, Table, Text

from gateway.stores.sql.schema import metadata
from gateway.stores.sql.schema_provider_sign_ins import provider_sign_ins
from gateway.stores.sql.schema_scim import scim_names
from gateway.stores.sql.schema_sign_ins import sign_ins

__all__ = [
    "metadata",
    "oidc_consents",
    "oidc_grants",
    "oidc_logins",
    "oidc_refresh_tokens",
    "provider_sign_ins",
    "scim_names",
    "sign_ins",
]

# What a user let a client have, from one sign-in on. Tokens hang on it: where it is gone, they are void.
oidc_grants = Table(
    "oidc_grants",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("client_id", String(128), nullable=False),
    Column("username", String(128), nullable=False),
    Column("session_started", Double, nullable=False),
    Column("scopes", Text, nullable=False),
    Column("facts", Text, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("expires_at", Double, nullable=False),
    Column("redeemed", Boolean, nullable=False),
    Index("oidc_grants_username", "username"),
    Index("oidc_grants_expires_at", "expires_at"),
)

# `digest` is a hash of the token. Used ones stay: one that comes a second time was stolen.
oidc_refresh_tokens = Table(
    "oidc_refresh_tokens",
    metadata,
    Column("digest", String(64), primary_key=True),
    Column("grant_id", String(64), ForeignKey("oidc_grants.id", ondelete="CASCADE"), nullable=False),
    Column("expires_at", Double, nullable=False),
    Column("used_at", Double, nullable=False),
    Index("oidc_refresh_tokens_grant_id", "grant_id"),
    Index("oidc_refresh_tokens_expires_at", "expires_at"),
)

oidc_consents = Table(
    "oidc_consents",
    metadata,
    Column("username", String(128), primary_key=True),
    Column("client_id", String(128), primary_key=True),
    Column("scopes", Text, nullable=False),
    Column("created_at", Double, nullable=False),
)

# Which clients a session has signed in to. `due_at` is when to tell the client that it ended (0: it has not).
oidc_logins = Table(
    "oidc_logins",
    metadata,
    Column("username", String(128), primary_key=True),
    Column("session_started", Double, primary_key=True),
    Column("client_id", String(128), primary_key=True),
    Column("expires_at", Double, nullable=False),
    Column("due_at", Double, nullable=False),
    Column("tries", Integer, nullable=False),
    Column("subject", String(128), nullable=False, server_default=""),
    Index("oidc_logins_due_at", "due_at"),
)
