"""Exports from the console: the audit log, in pages so that memory stays small, and users as YAML.

People open CSV files in spreadsheets, where text that begins like a formula is run as one: such cells are quoted.
"""

import csv
import io
import json
from collections.abc import AsyncIterator, Iterable
from dataclasses import asdict
from datetime import UTC, datetime

import yaml

from gateway.model import User
from gateway.stores.protocols.audit import AuditEntry, AuditQuery, AuditSearch

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


def csv_line(cells: Iterable[object]) -> str:
    """One line; what could be a formula is made text by a quote in front (OWASP, CSV injection)."""
    out = io.StringIO()
    csv.writer(out).writerow([_plain(str(cell)) for cell in cells])
    return out.getvalue()


def _plain(text: str) -> str:
    return f"'{text}" if text.lstrip(" ").startswith(_FORMULA) else text


_PAGE = 500
COLUMNS = ("id", "time", "event", "user", "ip", "data")


async def audit_lines(search: AuditSearch, query: AuditQuery, kind: str) -> AsyncIterator[bytes]:
    """Yield everything that matches, newest first, as "csv" or "ndjson", a page of rows at a time."""
    if kind == "csv":
        yield csv_line(COLUMNS).encode()
    write = _csv if kind == "csv" else _ndjson
    before = 0
    while page := await search.newest(query, _PAGE, before=before):
        yield "".join(map(write, page)).encode()
        before = page[-1].id


def _csv(entry: AuditEntry) -> str:
    row = entry.row
    at = datetime.fromtimestamp(row.at, UTC).isoformat(timespec="milliseconds")
    return csv_line((entry.id, at, row.event, row.username, row.ip, json.dumps(row.data, ensure_ascii=False)))


def _ndjson(entry: AuditEntry) -> str:
    return json.dumps({"id": entry.id, **asdict(entry.row)}, ensure_ascii=False) + "\n"


def users_yaml(users: Iterable[User], *, passwords: bool) -> str:
    """Return users in the form that the file directory and `user import` read, with password hashes only if asked
    for.
    """
    entries = {user.username: _entry(user, passwords) for user in users}
    return yaml.safe_dump({"users": entries}, allow_unicode=True, sort_keys=False, width=110)


def _entry(user: User, passwords: bool) -> dict[str, object]:
    facts: dict[str, object] = {"name": user.name, "email": user.email, "phone": user.phone}
    facts["groups"] = list(user.groups)
    facts["disabled"] = user.disabled
    facts["password"] = user.password_hash if passwords else ""
    return {key: value for key, value in facts.items() if value}
