"""Authelia's database: authenticator apps, encrypted with AES-256-GCM under the SHA-256 of the passphrase.

Nothing is written: SQLite files are opened read only.
"""

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from gateway.cli.importers.findings import Found, ImportedTotp, LeftOut
from gateway.errors import GatewayError

_APPS = "SELECT username, algorithm, digits, period, secret FROM totp_configurations ORDER BY username"
_NONCE = 12
_OURS = ("SHA1", 6, 30)


@dataclass(frozen=True, slots=True)
class Stored:
    """Rows of authenticator apps, secrets still encrypted, and who has security keys."""

    apps: Sequence[tuple[Any, ...]]
    key_owners: Sequence[str]


def decrypted(sealed: bytes, passphrase: bytes) -> bytes:
    """nonce | ciphertext | tag. Raises GatewayError if this is not the passphrase."""
    try:
        return AESGCM(sha256(passphrase).digest()).decrypt(sealed[:_NONCE], sealed[_NONCE:], None)
    except (InvalidTag, ValueError) as error:
        raise GatewayError("this is not the encryption key that the storage was written with") from error


def read_storage(stored: Stored, passphrase: bytes) -> Found:
    """Apps whose parameters are ours; all else that was a second factor is named."""
    apps, left_out = [], []
    for username, algorithm, digits, period, sealed in stored.apps:
        secret = decrypted(bytes(sealed), passphrase).decode()
        if (str(algorithm).upper(), int(digits), int(period)) == _OURS:
            apps.append(ImportedTotp(str(username), secret))
        else:
            why = f"uses {algorithm}, {digits} digits, {period} s; ours are SHA1, 6 digits, 30 s: enrol again"
            left_out.append(LeftOut(f"authenticator app of {username}", why))
    why = "they are bound to Authelia's address and records: enrol again"
    left_out += [LeftOut(f"security keys of {username}", why) for username in stored.key_owners]
    return Found(apps=tuple(apps), left_out=tuple(left_out))


def from_sqlite(file: Path) -> Stored:
    """Read apps and owners out of Authelia's SQLite file, which is opened read-only. Raises GatewayError."""
    try:
        with closing(sqlite3.connect(f"{file.resolve().as_uri()}?mode=ro", uri=True)) as connection:
            tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master")}
            query = _owners_query(tables)
            owners = [name for (name,) in connection.execute(query)] if query else []
            return Stored(connection.execute(_APPS).fetchall(), owners)
    except sqlite3.DatabaseError as error:
        raise GatewayError(f"{file} is not Authelia's storage: {error}") from error


async def from_postgres(url: str) -> Stored:
    """Read apps and owners out of Authelia's PostgreSQL. Raises GatewayError if it can't be reached or read."""
    import asyncpg  # type: ignore[import-untyped]  # ships no types

    try:
        connection = await asyncpg.connect(url, timeout=10)
        try:
            tables = {row[0] for row in await connection.fetch("SELECT tablename FROM pg_tables")}
            query = _owners_query(tables)
            owners = [row[0] for row in await connection.fetch(query)] if query else []
            return Stored([tuple(row) for row in await connection.fetch(_APPS)], owners)
        finally:
            await connection.close()
    except (OSError, asyncpg.PostgresError, TimeoutError) as error:
        raise GatewayError(f"can't read Authelia's storage: {error}") from error


def _owners_query(tables: set[str]) -> str:
    """The table had another name before version 4.38; "" if there is none."""
    table = next((one for one in ("webauthn_credentials", "webauthn_devices") if one in tables), None)
    return f"SELECT DISTINCT username FROM {table} ORDER BY 1" if table else ""  # noqa: S608 - one of two names
