"""The tables, as SQLAlchemy Core sees them; the migrations build exactly these (a test compares the two).

Times are Unix seconds. Sessions and credentials have no foreign key to users: LDAP and files keep theirs elsewhere.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    false,
    text,
)

metadata = MetaData()

users = Table(
    "users",
    metadata,
    Column("username", String(128), primary_key=True),
    Column("name", Text, nullable=False),
    Column("email", Text, nullable=False),
    Column("phone", String(32), nullable=False),
    Column("disabled", Boolean, nullable=False),
    Column("password_hash", Text, nullable=False),
    Column("password_changed_at", Double, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("searchable", Text, nullable=False, server_default=""),
    Column("attributes", Text, nullable=False, server_default=""),
    Index("users_email", text("lower(email)")),
)

user_groups = Table(
    "user_groups",
    metadata,
    Column("username", String(128), ForeignKey("users.username", ondelete="CASCADE"), primary_key=True),
    Column("name", String(128), primary_key=True),
    Column("position", Integer, nullable=False),
    Index("user_groups_name", "name"),
)

credentials = Table(
    "credentials",
    metadata,
    Column("id", String(128), primary_key=True),
    Column("username", String(128), nullable=False),
    Column("kind", String(32), nullable=False),
    Column("name", Text, nullable=False),
    Column("secret", LargeBinary, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("last_used_at", Double, nullable=False),
    Column("counter", BigInteger, nullable=False),
    Index("credentials_username", "username"),
)

sessions = Table(
    "sessions",
    metadata,
    Column("sid", String(128), primary_key=True),
    Column("username", String(128), nullable=False),
    Column("amr", Text, nullable=False),
    Column("proven_at", Text, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("last_seen", Double, nullable=False),
    Column("expires_at", Double, nullable=False),
    Column("ip", String(64), nullable=False),
    Column("user_agent", Text, nullable=False),
    Column("step_up", Boolean, nullable=False, server_default=false()),
    Column("shown", String(32), nullable=False, server_default=""),
    Column("device_id", String(64), nullable=False, server_default=""),
    Column("device_key", Text, nullable=False, server_default=""),
    Column("device_at", Double, nullable=False, server_default="0"),
    Column("key_models", Text, nullable=False, server_default="{}"),
    Column("kept", Boolean, nullable=False, server_default=false()),
    Column("provider_groups", Text, nullable=False, server_default="[]"),
    Index("sessions_username", "username"),
    Index("sessions_shown", "shown"),
    Index("sessions_expires_at", "expires_at"),
    Index("sessions_last_seen", "last_seen"),
    Index("sessions_alive", "last_seen", "expires_at"),
    Index("sessions_device_id", "device_id"),
)

# `id` is the digest of what the browser's cookie holds.
devices = Table(
    "devices",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("username", String(128), nullable=False),
    Column("user_agent", Text, nullable=False),
    Column("ip", String(64), nullable=False),
    Column("created_at", Double, nullable=False),
    Column("last_used_at", Double, nullable=False),
    Column("expires_at", Double, nullable=False),
    Index("devices_username", "username"),
    Index("devices_expires_at", "expires_at"),
)

# Where users signed in from: one row for each network and kind of browser.
places = Table(
    "places",
    metadata,
    Column("username", String(128), primary_key=True),
    Column("network", String(64), primary_key=True),
    Column("device", String(64), primary_key=True),
    Column("country", String(8), nullable=False),
    Column("latitude", Double),
    Column("longitude", Double),
    Column("seen_at", Double, nullable=False),
    Index("places_seen_at", "seen_at"),
)

# No code and no whole number: `number` and `range` are keyed hashes, `session` is a digest.
sms_messages = Table(
    "sms_messages",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("username", String(128), nullable=False),
    Column("session", String(64), nullable=False),
    Column("masked", String(32), nullable=False),
    Column("number", String(64), nullable=False),
    Column("range", String(64), nullable=False),
    Column("country", String(2), nullable=False),
    Column("provider", String(32), nullable=False),
    Column("channel", String(8), nullable=False),
    Column("micros", BigInteger, nullable=False),
    Column("currency", String(3), nullable=False),
    Column("created_at", Double, nullable=False),
    Column("sid", String(64), nullable=False),
    Column("status", String(24), nullable=False),
    Column("stage", Integer, nullable=False),
    Column("error", String(24), nullable=False),
    Column("problem", Text, nullable=False),
    Column("priced", Boolean, nullable=False),
    Column("updated_at", Double, nullable=False),
    Column("verified_at", Double, nullable=False),
    Index("sms_messages_created_at", "created_at"),
    Index("sms_messages_session", "session"),
    Index("sms_messages_range", "range", "created_at"),
    Index("sms_messages_username", "username"),
)

sms_blocks = Table(
    "sms_blocks",
    metadata,
    Column("range", String(16), primary_key=True),
    Column("since", Double, nullable=False),
    Column("until", Double, nullable=False),
    Column("sends", Integer, nullable=False),
    Column("verified", Integer, nullable=False),
)

# The numbers that users had before: for `sms.cool_off` codes still go there.
phone_changes = Table(
    "phone_changes",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("username", String(128), nullable=False),
    Column("before", String(32), nullable=False),
    Column("at", Double, nullable=False),
    Column("waived", Boolean, nullable=False, server_default=false()),
    Index("phone_changes_username", "username"),
    Index("phone_changes_at", "at"),
    sqlite_autoincrement=True,
)

ledger = Table(
    "ledger",
    metadata,
    Column("key", String(64), primary_key=True),
    Column("amount", BigInteger, nullable=False),
    Column("value", LargeBinary),
    Column("expires_at", Double, nullable=False),
    Index("ledger_expires_at", "expires_at"),
)

# Which of the ledger's counters are at their limit; the ledger has the truth.
spent_budgets = Table(
    "spent_budgets",
    metadata,
    Column("key", String(64), primary_key=True),
    Column("spent", LargeBinary, nullable=False),
    Column("expires_at", Double, nullable=False),
)

# AUTOINCREMENT: plain SQLite row ids start at 1 again once the table is purged empty; cursors miss rows.
changes = Table(
    "changes",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("kind", String(32), nullable=False),
    Column("subject", Text, nullable=False),
    Column("at", Double, nullable=False),
    Index("changes_at", "at"),
    sqlite_autoincrement=True,
)

audit = Table(
    "audit",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("at", Double, nullable=False),
    Column("event", String(64), nullable=False),
    Column("username", Text, nullable=False),
    Column("ip", String(64), nullable=False),
    Column("data", Text, nullable=False),
    Index("audit_at", "at"),
    Index("audit_username", "username"),
    Index("audit_event", "event"),
    sqlite_autoincrement=True,
)

api_tokens = Table(
    "api_tokens",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("name", String(128), nullable=False, unique=True),
    Column("digest", String(64), nullable=False),
    Column("groups", Text, nullable=False),
    Column("routes", Text, nullable=False),
    Column("methods", Text, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("expires_at", Double, nullable=False),
    Column("last_used_at", Double, nullable=False),
    Column("scopes", Text, nullable=False, server_default="[]"),
    Column("owner", String(128), nullable=False, server_default="", index=True),
    Column("title", String(60), nullable=False, server_default=""),
)

# `slot` holds one open request or grant of a user for a group; it is the id once that is over.
access_requests = Table(
    "access_requests",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("slot", String(300), nullable=False, unique=True),
    Column("username", String(128), nullable=False),
    Column("group", String(128), nullable=False),
    Column("page", Text, nullable=False),
    Column("why", Text, nullable=False),
    Column("state", String(16), nullable=False),
    Column("asked_at", Double, nullable=False),
    Column("expires_at", Double, nullable=False),
    Column("decided_by", String(160), nullable=False),
    Column("decided_at", Double, nullable=False),
    Index("access_requests_username", "username"),
    Index("access_requests_expires_at", "expires_at"),
)

# Who asked for an account and waits for an administrator, or was refused: one row an address.
registrations = Table(
    "registrations",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("address", String(128), nullable=False, unique=True),
    Column("name", Text, nullable=False),
    Column("phone", String(32), nullable=False),
    Column("lang", String(16), nullable=False),
    Column("state", String(16), nullable=False),
    Column("asked_at", Double, nullable=False),
    Column("expires_at", Double, nullable=False),
    Column("decided_by", String(160), nullable=False),
    Index("registrations_expires_at", "expires_at"),
)

# Facts about the installation that this database belongs to, such as the ids of its key ring.
installation = Table(
    "installation",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("value", Text, nullable=False),
)

# What apps call a user by. `directory_id` tells a person who got the name of another from that other.
subjects = Table(
    "subjects",
    metadata,
    Column("username", String(128), primary_key=True),
    Column("subject", String(128), nullable=False, unique=True),
    Column("directory_id", String(128), nullable=False),
)

federated_accounts = Table(
    "federated_accounts",
    metadata,
    Column("provider", String(64), primary_key=True),
    Column("subject", String(255), primary_key=True),
    Column("username", String(128), nullable=False),
    Column("linked_at", Double, nullable=False),
    UniqueConstraint("provider", "username", name="federated_accounts_username"),
)
