"""API operations on sessions, the audit log, its export, and changes."""

from aiohttp import web

from gateway.admin.api import request_models, response_models
from gateway.admin.api.operation import ApiCall, ApiResponse, Operation
from gateway.admin.exports import streamed, users_yaml
from gateway.admin.pages.audit import CHANGES, stream_audit
from gateway.admin.pages.base import Paper
from gateway.admin.revocation import Accesses
from gateway.admin.services import AdminServices
from gateway.config.names import user_name
from gateway.errors import RequestRefused
from gateway.stores.protocols.audit import AuditQuery

_NO_SESSION = "There is no such session."


class RecordOperations:
    """What the API can do with sessions and the audit log."""

    def __init__(self, admin: AdminServices, accesses: Accesses, paper: Paper) -> None:
        self._admin, self._accesses, self._paper = admin, accesses, paper

    def all(self) -> list[Operation]:
        """Return the operations, as router and OpenAPI document take them."""
        return [
            Operation(
                method="GET",
                path="/sessions",
                name="listSessions",
                summary="Sessions, last used first",
                run=self.sessions,
                query=request_models.SessionsQuery,
                gives=response_models.SessionsPage,
            ),
            Operation(
                method="DELETE",
                path="/sessions/{id}",
                name="endSession",
                summary="End one session",
                run=self.end,
                status=204,
                refusals=(404,),
            ),
            Operation(
                method="GET",
                path="/audit",
                name="listAudit",
                summary="The audit log, newest first",
                run=self.audit,
                query=request_models.AuditPageQuery,
                gives=response_models.AuditPage,
            ),
            Operation(
                method="GET",
                path="/audit/export",
                name="exportAudit",
                summary="The audit log as a stream",
                run=self.export,
                query=request_models.AuditExportQuery,
                media=("text/csv", "application/x-ndjson"),
            ),
            Operation(
                method="GET",
                path="/changes",
                name="listChanges",
                summary="What people changed, newest first",
                run=self.changes,
                query=request_models.AuditPageQuery,
                gives=response_models.AuditPage,
            ),
            Operation(
                method="GET",
                path="/export/users.yaml",
                name="exportUsers",
                summary="Users without password hashes",
                run=self.users,
                media=("application/yaml",),
            ),
        ]

    async def sessions(self, call: ApiCall) -> ApiResponse:
        """Answer with a page of sessions."""
        query = call.read(request_models.SessionsQuery)
        rest = await self._accesses.sessions(
            call.actor, user_name(query.username), limit=query.limit + 1, after=query.cursor
        )
        shown = rest[: query.limit]
        more = shown[-1].id if len(rest) > query.limit else None
        items = [
            response_models.SessionOut(**{**_fields(one), "factors": list(one.factors)}) for one in shown
        ]
        return ApiResponse(response_models.SessionsPage(items=items, next=more))

    async def end(self, call: ApiCall) -> ApiResponse:
        """End one session. Raises RequestRefused (404) if there is none of this id."""
        if not await self._accesses.end(call.actor, call.args["id"]):
            raise RequestRefused("no such session", status=404, public=_NO_SESSION)
        return ApiResponse(None, 204)

    async def audit(self, call: ApiCall) -> ApiResponse:
        return await self._page(call, ())

    async def changes(self, call: ApiCall) -> ApiResponse:
        return await self._page(call, CHANGES)

    async def _page(self, call: ApiCall, events: tuple[str, ...]) -> ApiResponse:
        query = call.read(request_models.AuditPageQuery)
        wanted = _wanted(query, events)
        page = await self._admin.search.newest(wanted, query.limit, before=query.cursor)
        items = [
            response_models.AuditOut(
                id=one.id,
                at=one.row.at,
                event=one.row.event,
                user=one.row.username,
                ip=one.row.ip,
                data=one.row.data,
            )
            for one in page.entries
        ]
        return ApiResponse(response_models.AuditPage(items=items, next=page.older or None))

    async def export(self, call: ApiCall) -> web.StreamResponse:
        query = call.read(request_models.AuditExportQuery)
        return await stream_audit(call.request.http, self._paper, _wanted(query, ()), query.format)

    async def users(self, call: ApiCall) -> web.StreamResponse:
        everybody = users_yaml(self._admin.services.users.directory, passwords=False)
        headers = {"Content-Type": "application/yaml; charset=utf-8"}
        return await streamed(call.request.http, headers, everybody)


def _wanted(query: request_models.AuditFilter, events: tuple[str, ...]) -> AuditQuery:
    """Within `events`, if there are any."""
    asked = tuple(query.event.replace(",", " ").split())
    chosen = tuple(event for event in asked if event in events) if events and asked else asked or events
    if events and asked and not chosen:
        chosen = ("",)  # matches nothing
    return AuditQuery(
        username=user_name(query.user),
        events=chosen,
        ip=query.ip,
        since=query.since,
        until=query.until,
        text=query.text,
    )


def _fields(one: object) -> dict[str, object]:
    return {name: getattr(one, name) for name in response_models.SessionOut.model_fields}
