"""Fills a migrated database by bulk SQL: users with groups, sessions of which some have expired, audit rows."""

import asyncio
import sqlite3
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import asyncpg

DAY = 86400.0
KEPT_DAYS, WRITTEN_DAYS = 30, 33
"""The audit log is kept for 30 days and reaches back 33, so that a sweep finds every eleventh row too old."""
EXPIRED_SHARE = 0.4
"""Of all sessions: a sweep of more than half is held back."""
HASH = "$2y$05$abcdefghijklmnopqrstuuE0RuKGxGUjBVXyVxHVPGyrIRFFbE7yS"
EVENTS = ("login", "password_ok", "code_sent", "password_failed", "logout", "user_changed", "token_used")
_INDEXES = {"audit_at": "at", "audit_username": "username", "audit_event": "event"}
_ENOUGH = 1_000_000
"""From so many rows on, indexes are made after them."""


@dataclass(frozen=True, slots=True)
class Amounts:
    users: int
    sessions: int
    audit: int


def statements(amounts: Amounts, now: float) -> Iterator[str]:
    """What fills the tables; the same SQL for both databases."""
    if amounts.audit >= _ENOUGH:
        yield from (f"DROP INDEX {name}" for name in _INDEXES)
    yield _insert("users", _user_columns(now), amounts.users)
    yield _insert("user_groups", {"username": _name("i"), "name": "'staff'", "position": "0"}, amounts.users)
    team = {"username": _name("i"), "name": "'team' || (i % 200)", "position": "1"}
    yield _insert("user_groups", team, amounts.users)
    yield _insert("sessions", _session_columns(amounts, now), amounts.sessions)
    yield _insert("audit", _audit_columns(amounts, now), amounts.audit)
    if amounts.audit >= _ENOUGH:
        yield from (f"CREATE INDEX {name} ON audit ({column})" for name, column in _INDEXES.items())


def _insert(table: str, columns: dict[str, str], count: int) -> str:
    """`columns` holds an expression of the row's number `i` for each column."""
    return (
        f"WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < {count})"
        f" INSERT INTO {table} ({', '.join(columns)}) SELECT {', '.join(columns.values())} FROM n"
    )


def _name(number: str) -> str:
    return f"'user' || ({number})"


def _mixed(number: str, among: int) -> str:
    """Scatter a row's number over `among` values."""
    return f"(CAST({number} AS BIGINT) * 7919 % {among})"


def _user_columns(now: float) -> dict[str, str]:
    name = _name("i")
    return {
        "username": name,
        "name": "'Person Number ' || i",
        "email": f"{name} || '@example.com'",
        "phone": "'+49151' || (10000000 + i)",
        "disabled": "(i % 50 = 7)",
        "password_hash": f"'{HASH}'",
        "password_changed_at": str(now - 100 * DAY),
        "created_at": str(now - 100 * DAY),
        "searchable": f"{name} || ' person number ' || i || ' ' || {name} || '@example.com'",
    }


def _session_columns(amounts: Amounts, now: float) -> dict[str, str]:
    share = int(EXPIRED_SHARE * 100)
    return {
        "sid": f"'scale-' || {_mixed('i', 4_294_967_291)} || '-' || i",
        "username": _name(_mixed("i", amounts.users)),
        "amr": """'["password", "sms"]'""",
        "proven_at": f"""'{{"password": {now:.0f}, "sms": {now:.0f}}}'""",
        "created_at": f"{now - 7200} + i * 0.001",
        "last_seen": f"{now - 600} + {_mixed('i', 600)}",
        "expires_at": f"CASE WHEN i % 100 < {share} THEN {now - 60} ELSE {now + DAY} END",
        "ip": "'192.0.2.' || (i % 250)",
        "user_agent": "'Mozilla/5.0 (X11; Linux x86_64; rv:130.0) Gecko/20100101 Firefox/130.0'",
    }


def _audit_columns(amounts: Amounts, now: float) -> dict[str, str]:
    cases = " ".join(f"WHEN {number} THEN '{event}'" for number, event in enumerate(EVENTS))
    step = WRITTEN_DAYS * DAY / amounts.audit
    return {
        "at": f"{now - WRITTEN_DAYS * DAY} + i * {step!r}",
        "event": f"CASE i % {len(EVENTS)} {cases} END",
        "username": _name(_mixed("i", amounts.users)),
        "ip": "'198.51.100.' || (i % 250)",
        "data": """'{"sid": "' || (i % 100000000) || '", "factors": ["password", "sms"], "door": "login"}'""",
    }


def fill(url: str, amounts: Amounts) -> float:
    """Returns the seconds that it took."""
    begin = time.monotonic()
    filling = list(statements(amounts, time.time()))
    if url.startswith("sqlite:///"):
        _fill_sqlite(Path(url.removeprefix("sqlite:///")), filling)
    else:
        asyncio.run(_fill_postgres(url, filling))
    return time.monotonic() - begin


def _fill_sqlite(file: Path, filling: Sequence[str]) -> None:
    connection = sqlite3.connect(file, isolation_level=None)
    for pragma in ("synchronous = OFF", "cache_size = -500000", "temp_store = MEMORY"):
        connection.execute(f"PRAGMA {pragma}")
    for one in filling:
        connection.execute(one)
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.execute("ANALYZE")
    connection.close()


async def _fill_postgres(url: str, filling: Sequence[str]) -> None:
    connection = await asyncpg.connect(url)
    for setting in ("synchronous_commit = off", "maintenance_work_mem = '1GB'", "statement_timeout = 0"):
        await connection.execute(f"SET {setting}")
    for one in filling:
        await connection.execute(one, timeout=3600)
    for table in ("users", "user_groups", "sessions", "audit"):
        await connection.execute(f"VACUUM ANALYZE {table}", timeout=3600)
    await connection.close()
