"""Routes a request into the API: authenticates it, refuses what a browser was tricked into, finds and calls the
operation.
"""

import json
from collections.abc import Mapping, Sequence
from functools import cached_property
from urllib.parse import unquote

from aiohttp import web
from pydantic import ValidationError

from gateway.admin.actor import Actor
from gateway.admin.api.openapi import document
from gateway.admin.api.operation import ApiCall, ApiResponse, Operation, Taken
from gateway.admin.api.request_models import Nothing
from gateway.admin.api.response_models import ApiProblem
from gateway.admin.authorization import ConsoleAuthorization
from gateway.admin.pages.base import sentence
from gateway.admin.services import AdminServices
from gateway.authn.shown_credentials import NotAccepted
from gateway.errors import GatewayError, RequestRefused, TooManyAttempts
from gateway.model import Verdict
from gateway.portal.forms import ForeignForm, check_origin, token_matches
from gateway.portal.rendering.status_texts import wording
from gateway.portal.request import PortalRequest
from gateway.request.small_body import read_small

_LARGEST = 64 * 1024
_SAFE = ("GET", "HEAD")
_HEADERS = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Vary": "Cookie, Authorization",
}


class BadInput(RequestRefused):
    """Input that the models refuse. `errors` say what is wrong, without repeating it."""

    status = 422

    def __init__(self, errors: Sequence[str]) -> None:
        super().__init__("the input does not fit the operation", public="The input does not fit.")
        self.errors = list(errors)


class Router:
    """Finds the operation of a call, asks who may make it, and answers in JSON."""

    def __init__(
        self, admin: AdminServices, door: ConsoleAuthorization, operations: Sequence[Operation]
    ) -> None:
        self._admin, self._door, self._operations = admin, door, operations

    @cached_property
    def _document(self) -> str:
        """The description of all operations, for whoever may read. Most workers are never asked for it."""
        return json.dumps(document(self._operations, f"{self._admin.home}/api/v1"))

    async def handle(self, request: PortalRequest) -> web.StreamResponse:
        """Answer a call; every error of ours is a problem+json (RFC 9457)."""
        try:
            return await self._answer(request)
        except GatewayError as error:
            return _problem(request, error)

    async def _answer(self, request: PortalRequest) -> web.StreamResponse:
        path = request.target.path.removeprefix(f"{self._admin.home}/api")
        method = "GET" if request.target.method == "HEAD" else request.target.method
        operation, args, others = self._find(method, path.removeprefix("/v1"))
        # Who may not come in learns nothing of what there is.
        scope = operation.scope if operation else "admin:read" if method in _SAFE else "admin:write"
        actor, csrf = await self._actor(request, scope)
        if path == "/openapi.json" and method == "GET":
            return web.Response(text=self._document, content_type="application/json", headers=_HEADERS)
        if operation is None or not path.startswith("/v1/"):
            raise RequestRefused(
                "no such operation", status=405 if others else 404, public="There is nothing here."
            )
        taken = [_query(request, operation.query or Nothing)]
        if operation.body is not None:
            taken.append(await _body(request.http, operation.body))
        seen = request.http.headers.get("If-Match", "").strip().removeprefix("W/").strip('"')
        answer = await operation.run(
            ApiCall(
                request=request,
                actor=actor,
                csrf=csrf,
                args=args,
                taken=taken,
                seen="" if seen == "*" else seen,
            )
        )
        return answer if isinstance(answer, web.StreamResponse) else _response(answer)

    def _find(self, method: str, path: str) -> tuple[Operation | None, Mapping[str, str], bool]:
        """The operation with the parts of the path, and whether other methods are known there."""
        others = False
        for one in self._operations:
            if match := one.pattern.fullmatch(path):
                if one.method == method:
                    return one, {name: unquote(text) for name, text in match.groupdict().items()}, False
                others = True
        return None, {}, others

    async def _actor(self, request: PortalRequest, scope: str) -> tuple[Actor, str]:
        """By API token, or by an administrator's session, which needs its csrf token for changes (rule 6)."""
        shown = request.http.headers.getall("Authorization", ())
        if shown:
            networks = self._admin.config.admin.networks
            if networks and not any(request.target.client in network for network in networks):
                raise RequestRefused("outside admin.networks", status=403, public=wording(403).message)
            token = await self._admin.credentials.by_scope(request.target, tuple(shown), scope)
            return Actor(token.username, request.client.ip), ""
        decision, principal = self._door.decide(request), request.visit.principal
        if decision.verdict is Verdict.DENY:
            self._door.note(request, decision)
            raise RequestRefused(decision.reason, status=403, public=wording(403).message)
        if decision.verdict is not Verdict.ALLOW or principal is None:
            raise NotAccepted(f"{decision.verdict}: {decision.reason}", 'Bearer realm="admin"')
        if request.target.method not in _SAFE:
            check_origin(request)
            if not token_matches(request.http.headers.get("X-CSRF-Token", ""), request.visit.csrf):
                raise ForeignForm("X-CSRF-Token does not match")
        return self._door.actor(request, principal), request.visit.csrf


def _query(request: PortalRequest, model: type[Taken]) -> Taken:
    pairs = list(request.http.query.items())
    if len({name for name, _ in pairs}) != len(pairs):
        raise BadInput(["query: a parameter is given twice"])
    try:
        return model.model_validate_strings(dict(pairs))
    except ValidationError as error:
        raise BadInput(_said("query", error)) from None


async def _body(request: web.BaseRequest, model: type[Taken]) -> Taken:
    if request.content_type != "application/json":
        raise RequestRefused("not JSON", status=415, public="Send application/json.")
    body = await read_small(request, _LARGEST)
    try:
        return model.model_validate_json(body)
    except ValidationError as error:
        raise BadInput(_said("body", error)) from None


def _said(where: str, error: ValidationError) -> list[str]:
    found = error.errors(include_url=False, include_context=False, include_input=False)
    return [": ".join((".".join(map(str, (where, *one["loc"]))), one["msg"])) for one in found[:20]]


def _response(answer: ApiResponse) -> web.Response:
    headers = {**_HEADERS, **answer.headers}
    if answer.body is None:
        return web.Response(status=204, headers=headers)
    return web.Response(
        text=answer.body.model_dump_json(),
        status=answer.status,
        content_type="application/json",
        headers=headers,
    )


def _problem(request: PortalRequest, error: GatewayError) -> web.Response:
    body = ApiProblem(
        title=str(wording(error.status).title),
        status=error.status,
        detail=str(sentence(error) if error.status < 500 else error.public),
        request_id=request.request_id,
        errors=error.errors if isinstance(error, BadInput) else [],
    )
    headers = dict(_HEADERS)
    if isinstance(error, NotAccepted):
        headers["WWW-Authenticate"] = error.challenge
    if isinstance(error, TooManyAttempts):
        headers["Retry-After"] = str(error.retry_after)
    return web.Response(
        text=body.model_dump_json(),
        status=error.status,
        content_type="application/problem+json",
        headers=headers,
    )
