"""The pages that read the audit log: everything with filters and export, and the changes that people made."""

from datetime import UTC, datetime
from urllib.parse import urlencode

from aiohttp import web

from gateway.admin.exports import audit_lines, streamed
from gateway.admin.pages.base import Call, Paper
from gateway.config.names import user_name
from gateway.errors import RequestRefused
from gateway.i18n.text import N_
from gateway.observability.event_names import EVENT_NAMES
from gateway.stores.protocols.audit import AuditQuery

PAGE = 100
CHANGES = (
    "user_added",
    "user_invited",
    "user_changed",
    "user_disabled",
    "user_enabled",
    "user_deleted",
    "bulk_act",
    "users_imported",
    "factors_reset",
    "link_made",
    "session_revoked",
    "device_revoked",
    "unlocked",
    "token_added",
    "token_revoked",
    "key_rotated",
    "backup_made",
    "backup_restored",
    "key_ring_made",
    "key_ring_adopted",
    "access_granted",
    "access_refused",
    "access_ended",
    "users_exported",
)
FILTERS = ("user", "event", "ip", "since", "until", "text")
BAD_TIME = N_("Write times such as 2027-01-15 or 2027-01-15T08:30.")


class AuditScreens:
    """The pages of the audit log."""

    def __init__(self, paper: Paper) -> None:
        self._paper, self._search = paper, paper.admin.search

    async def list(self, call: Call) -> web.StreamResponse:
        """Show a page of events that fit the filters."""
        given = {name: call.query(name) for name in FILTERS}
        page = await self._search.newest(query_of(given), PAGE, before=cursor_of(call.query("before")))
        return self._paper.page(
            call,
            "audit.html",
            "/audit",
            entries=page.entries,
            given=given,
            event_names=EVENT_NAMES,
            older=_older(given, page.older),
            export=urlencode({name: value for name, value in given.items() if value}),
        )

    async def changes(self, call: Call) -> web.StreamResponse:
        """Show a page of the changes that people made."""
        query = AuditQuery(username=call.query("user"), events=CHANGES)
        page = await self._search.newest(query, PAGE, before=cursor_of(call.query("before")))
        given = {"user": call.query("user")}
        return self._paper.page(
            call,
            "changes.html",
            "/changes",
            entries=page.entries,
            given=given,
            older=_older(given, page.older),
        )

    async def export(self, call: Call) -> web.StreamResponse:
        """Streamed page by page: however long the log, little of it is in memory at a time."""
        kind = "csv" if call.query("format") == "csv" else "ndjson"
        query = query_of({name: call.query(name) for name in FILTERS})
        return await stream_audit(call.request.http, self._paper, query, kind)


async def stream_audit(
    request: web.BaseRequest, paper: Paper, query: AuditQuery, kind: str
) -> web.StreamResponse:
    """Send all events that fit as a file, in pieces as they are read. `kind` is "csv" or "ndjson"."""
    type = "text/csv; charset=utf-8" if kind == "csv" else "application/x-ndjson"
    headers = {
        "Content-Type": type,
        "Content-Disposition": f'attachment; filename="audit.{kind}"',
        "Content-Security-Policy": "default-src 'none'; sandbox",
    }
    return await streamed(request, headers, audit_lines(paper.admin.search, query, kind))


def query_of(given: dict[str, str]) -> AuditQuery:
    """Read the filters of a form. Raises RequestRefused for times that are none."""
    events = tuple(given["event"].replace(",", " ").split())
    return AuditQuery(
        username=user_name(given["user"]),
        events=events,
        ip=given["ip"].strip(),
        since=_time(given["since"]),
        until=_time(given["until"]),
        text=given["text"].strip(),
    )


def cursor_of(text: str) -> int:
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 16 else 0


def _time(text: str) -> float:
    """Unix seconds of a time in UTC; "" is open."""
    if not text.strip():
        return 0.0
    try:
        at = datetime.fromisoformat(text.strip())
        return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        raise RequestRefused("not a time", status=422, public=BAD_TIME) from None


def _older(given: dict[str, str], before: int) -> str:
    """The query of the next page, "" if this is the last."""
    if not before:
        return ""
    kept = {name: value for name, value in given.items() if value}
    return urlencode({**kept, "before": before})
