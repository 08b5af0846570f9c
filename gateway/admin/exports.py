"""Exports from the console: the audit log and, as YAML, the users, in pages so that memory stays small.

People open CSV files in spreadsheets, where text that begins like a formula is run as one: such cells are quoted.
"""

import asyncio
import csv
import io
import json
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime

import yaml
from aiohttp import web

from gateway.directory.base import Directory, every
from gateway.directory.user_files import FORMULA
from gateway.model import User
from gateway.stores.protocols.audit import AuditEntry, AuditQuery, AuditSearch


def csv_line(cells: Iterable[object]) -> str:
    """One line; what could be a formula is made text by a quote in front (OWASP, CSV injection)."""
    out = io.StringIO()
    csv.writer(out).writerow([_plain(str(cell)) for cell in cells])
    return out.getvalue()


def _plain(text: str) -> str:
    return f"'{text}" if text.lstrip(" ").startswith(FORMULA) else text


PROTECTED = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
"""Headers of every export."""


async def streamed(
    request: web.BaseRequest, headers: Mapping[str, str], chunks: AsyncIterator[bytes]
) -> web.StreamResponse:
    """Answer with `chunks` as they come: however much it is, little of it is in memory at a time."""
    response = web.StreamResponse(headers={**PROTECTED, **headers})
    await response.prepare(request)
    if request.method != "HEAD":
        async for chunk in chunks:
            await response.write(chunk)
    await response.write_eof()
    return response


_PAGE = 500
_DUMPER = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
"""The one in C writes the same, five times as fast."""
COLUMNS = ("id", "time", "event", "user", "ip", "data")


async def audit_lines(search: AuditSearch, query: AuditQuery, kind: str) -> AsyncIterator[bytes]:
    """Yield everything that matches, newest first, as "csv" or "ndjson", a page of rows at a time."""
    if kind == "csv":
        yield csv_line(COLUMNS).encode()
    write = _csv if kind == "csv" else _ndjson
    before, more = 0, True
    while more:
        page = await search.newest(query, _PAGE, before=before)
        yield "".join(map(write, page.entries)).encode()
        before, more = page.older, page.older > 0


def _csv(entry: AuditEntry) -> str:
    row = entry.row
    at = datetime.fromtimestamp(row.at, UTC).isoformat(timespec="milliseconds")
    return csv_line((entry.id, at, row.event, row.username, row.ip, json.dumps(row.data, ensure_ascii=False)))


def _ndjson(entry: AuditEntry) -> str:
    return (
        json.dumps({"id": entry.id, "user": entry.row.username, **asdict(entry.row)}, ensure_ascii=False)
        + "\n"
    )


async def users_yaml(directory: Directory, *, passwords: bool) -> AsyncIterator[bytes]:
    """Yield all users in the form that the file directory and `user import` read, some hundreds at a time.

    With password hashes only if asked for. YAML takes its time, so it is written in a thread.
    """
    first = True
    async for page in every(directory):
        text = await asyncio.to_thread(_users_yaml, page, passwords)
        yield (text if first else text.partition("\n")[2]).encode()
        first = False
    if first:
        yield _users_yaml((), passwords).encode()


def _users_yaml(users: Sequence[User], passwords: bool) -> str:
    entries = {user.username: _entry(user, passwords) for user in users}
    text = yaml.dump({"users": entries}, Dumper=_DUMPER, allow_unicode=True, sort_keys=False, width=110)
    return str(text)


def _entry(user: User, passwords: bool) -> dict[str, object]:
    facts: dict[str, object] = {"name": user.name, "email": user.email, "phone": user.phone}
    facts["groups"] = list(user.groups)
    facts["disabled"] = user.disabled
    facts["attributes"] = {name: list(values) for name, values in user.attributes}
    facts["password"] = user.password_hash if passwords else ""
    return {key: value for key, value in facts.items() if value}
