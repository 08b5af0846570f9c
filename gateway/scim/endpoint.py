"""Reads a SCIM request, asks who may make it, finds what answers it, and says errors as RFC 7644 §3.12 has them."""

import json
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from aiohttp import web
from pydantic import ValidationError
from scim2_models import (
    Error,
    InvalidSyntaxException,
    ListResponse,
    NotFoundException,
    SCIMException,
    SearchRequest,
    UniquenessException,
)

from gateway.admin.actor import Actor
from gateway.authn.api_credentials import ApiCredentials
from gateway.authn.shown_credentials import NotAccepted
from gateway.config.names import user_name
from gateway.config.sections.base import Network
from gateway.errors import GatewayError, InvalidUser, RequestRefused, TooManyAttempts, UserExists, UserUnknown
from gateway.portal.request import PortalRequest
from gateway.request.small_body import read_small
from gateway.scim.description import PAGE, resource_types, schemas, service_config
from gateway.scim.groups import ScimGroups
from gateway.scim.models import POLICY, Context, Group, PatchGroup, PatchUser, ScimUser
from gateway.scim.queries import Lookup, lookup
from gateway.scim.users import ScimUsers

log = logging.getLogger("gateway.scim")

SCOPE = "scim"
_LARGEST = 4 * 1024 * 1024
"""A group of twenty thousand members is 2 MiB."""
_TYPES = ("application/scim+json", "application/json")
_HEADERS = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Vary": "Authorization",
}
_MOST_SEARCHED = 500
"""Resources that are read at a time where a filter has to look at all."""
Answer = tuple[int, str, Mapping[str, str]]
"""Status, body and headers."""


class ScimEndpoint:
    """All of `/_auth/scim/v2`, for programs with a token of scope `scim`.

    `base` is its URL, `path` where requests of it come.
    """

    def __init__(
        self,
        credentials: ApiCredentials,
        users: ScimUsers,
        groups: ScimGroups,
        *,
        base: str,
        path: str,
        networks: Sequence[Network],
    ) -> None:
        self._credentials, self._users, self._groups = credentials, users, groups
        self._base, self._path, self._networks = base, path, networks

    async def handle(self, request: PortalRequest) -> web.StreamResponse:
        """Answer a request; every error of ours is a SCIM error."""
        try:
            status, body, headers = await self._answer(request)
        except SCIMException as error:
            return _refusal(error.to_error())
        except ValidationError as error:
            return _refusal(Error.from_validation_errors(error)[0])
        except GatewayError as error:
            return _refusal(_said(error), _challenge(error))
        text = body if status != 204 else None
        kind = {} if text is None else {"Content-Type": "application/scim+json"}
        return web.Response(text=text, status=status, headers={**_HEADERS, **kind, **headers})

    async def _answer(self, request: PortalRequest) -> Answer:
        actor = await self._actor(request)
        method = "GET" if request.target.method == "HEAD" else request.target.method
        place = request.target.path.removeprefix(self._path).strip("/").split("/")
        match method, place:
            case "GET", ["ServiceProviderConfig"]:
                return _json(service_config(self._base), Context.RESOURCE_QUERY_RESPONSE)
            case "GET", ["ResourceTypes" | "Schemas", *name] if len(name) < 2:
                return self._described(request, place)
            case "GET", ["Users" | "Groups" as kind]:
                return await self._list(kind, request.http.query)
            case "POST", ["Users" | "Groups" as kind, ".search"]:
                return await self._list(kind, await _body(request.http))
            case "POST", ["Users" | "Groups" as kind]:
                return await self._create(kind, actor, await _body(request.http), request.http.query)
            case "GET", ["Users" | "Groups" as kind, id]:
                query = _query(kind, request.http.query)
                found = await self._get(kind, id, query)
                return _json(found, Context.RESOURCE_QUERY_RESPONSE, query)
            case "PUT", ["Users" | "Groups" as kind, id]:
                return await self._replace(kind, id, actor, await _body(request.http), request.http.query)
            case "PATCH", ["Users" | "Groups" as kind, id]:
                return await self._patch(kind, id, actor, await _body(request.http), request.http.query)
            case "DELETE", ["Users" | "Groups" as kind, id]:
                await (self._users if kind == "Users" else self._groups).delete(actor, id)
                return 204, "", {}
            case _, ["Users" | "Groups" | "ServiceProviderConfig" | "ResourceTypes" | "Schemas", *_]:
                raise RequestRefused("method", status=405, public="This can't be done here.")
            case _, ["Me" | "Bulk" | ".search" | ""]:
                raise RequestRefused(
                    "not implemented", status=501, public="This service has no such endpoint."
                )
        raise NotFoundException(detail="there is nothing here")

    async def _actor(self, request: PortalRequest) -> Actor:
        """Whose token it is. Raises NotAccepted, OutOfScope, RequestRefused (403) elsewhere."""
        shown = tuple(request.http.headers.getall("Authorization", ()))
        if self._networks and not any(request.target.client in network for network in self._networks):
            raise RequestRefused("outside scim.networks", status=403, public="Not from this address.")
        if not shown:
            raise NotAccepted("SCIM without a token", 'Bearer realm="scim"')
        token = await self._credentials.by_scope(request.target, shown, SCOPE)
        return Actor(token.username, request.client.ip)

    def _described(self, request: PortalRequest, place: Sequence[str]) -> Answer:
        if "filter" in request.http.query:  # RFC 7644 §4
            raise RequestRefused("filter of a description", status=403, public="There is no filter here.")
        found = (resource_types if place[0] == "ResourceTypes" else schemas)(self._base)
        if len(place) == 1:
            return _list_of(found, 1, len(found))
        for one in found:
            if one.id == place[1]:
                return _json(one, Context.RESOURCE_QUERY_RESPONSE)
        raise NotFoundException(detail="there is nothing here")

    async def _get(self, kind: str, id: str, query: Any) -> Any:
        if kind == "Users":
            return await self._users.get(id)
        return await self._groups.get(id, members=_members(query))

    # -- reading -------------------------------------------------------------------------------------------------------

    async def _list(self, kind: str, asked: Mapping[str, Any]) -> Answer:
        query = _query(kind, asked)
        start, count = query.start_index_0 or 0, PAGE if query.count is None else min(query.count, PAGE)
        if query.filter is not None:
            found = await self._matching(kind, query.filter, members=_members(query))
            page, total = found[start : start + count], len(found)
        elif kind == "Users":
            page, total = await self._users.page(start, count), await self._users.count()
        else:
            names = await self._groups.all()
            page = await self._groups.named(names[start : start + count], members=_members(query))
            total = len(names)
        return _list_of(page, start + 1, total, query)

    async def _matching(self, kind: str, wanted: Any, *, members: bool) -> Sequence[Any]:
        """All that fit a filter, in order."""
        asked = lookup(wanted.ast, "user" if kind == "Users" else "group")
        if kind == "Users":
            read: Callable[[Sequence[str]], Awaitable[Sequence[Any]]] = self._users.named
            pages = self._users_like(asked)
        else:
            needs = members or "members" in str(wanted).lower()
            read = lambda names: self._groups.named(names, members=needs)  # noqa: E731
            pages = self._groups_like(asked)
        return [one async for names in pages for one in await read(names) if wanted.match(one)]

    async def _users_like(self, asked: Lookup | None) -> Any:
        if asked is not None and not asked.value.isprintable():
            return
        if asked is None:
            start = 0
            while names := await self._users.usernames(start, _MOST_SEARCHED):
                yield names
                start += len(names)
        elif asked.by == "name":
            yield [user_name(asked.value)]
        elif asked.by == "id":
            yield [name] if (name := await self._users.username(asked.value)) else []
        elif asked.by == "external_id":
            yield await self._users.called(asked.value)
        else:
            yield await self._users.with_email(asked.value)

    async def _groups_like(self, asked: Lookup | None) -> Any:
        if asked is not None and not asked.value.isprintable():
            return
        if asked is not None and asked.by == "id":
            yield [name] if (name := await self._groups.name(asked.value)) else []
        elif asked is not None and asked.by == "external_id":
            yield await self._groups.called(asked.value)
        else:
            yield await self._groups.all()

    # -- writing -------------------------------------------------------------------------------------------------------

    async def _create(self, kind: str, actor: Actor, body: Any, asked: Mapping[str, Any]) -> Answer:
        model, one = (ScimUser, self._users) if kind == "Users" else (Group, self._groups)
        wanted = model.model_validate(body, scim_ctx=Context.RESOURCE_CREATION_REQUEST, scim_policy=POLICY)
        made = await one.create(actor, wanted)
        _, text, headers = _json(made, Context.RESOURCE_CREATION_RESPONSE, _query(kind, asked))
        return 201, text, {**headers, "Location": made.meta.location}

    async def _replace(self, kind: str, id: str, actor: Actor, body: Any, asked: Mapping[str, Any]) -> Answer:
        model, one = (ScimUser, self._users) if kind == "Users" else (Group, self._groups)
        wanted = model.model_validate(body, scim_ctx=Context.RESOURCE_REPLACEMENT_REQUEST, scim_policy=POLICY)
        found = await one.replace(actor, id, wanted)
        return _json(found, Context.RESOURCE_REPLACEMENT_RESPONSE, _query(kind, asked))

    async def _patch(self, kind: str, id: str, actor: Actor, body: Any, asked: Mapping[str, Any]) -> Answer:
        model = PatchUser if kind == "Users" else PatchGroup
        patch = model.model_validate(body, scim_ctx=Context.RESOURCE_PATCH_REQUEST, scim_policy=POLICY)
        if kind == "Groups":
            await self._groups.patch(actor, id, patch)
            return 204, "", {}  # the members of a large group are not told again for each that comes
        found = await self._users.patch(actor, id, patch)
        return _json(found, Context.RESOURCE_PATCH_RESPONSE, _query(kind, asked))


def _query(kind: str, asked: Mapping[str, Any]) -> Any:
    model: Any = SearchRequest[ScimUser] if kind == "Users" else SearchRequest[Group]
    known = ("filter", "startIndex", "count", "attributes", "excludedAttributes", "schemas")
    given = {name: asked[name] for name in known if name in asked}
    return model.model_validate(given, scim_policy=POLICY)


def _members(query: Any) -> bool:
    """Whether members of groups are asked for: a page of large groups is long to read and to send."""
    if query.attributes:
        return any(str(path).lower().endswith("members") for path in query.attributes)
    return not any(str(path).lower().endswith("members") for path in query.excluded_attributes or ())


async def _body(request: web.BaseRequest) -> Any:
    if request.content_type not in _TYPES:
        raise RequestRefused("not JSON", status=415, public="Send application/scim+json.")
    try:
        body = json.loads(await read_small(request, _LARGEST))
        json.dumps(body, ensure_ascii=False).encode()  # half of a surrogate pair is no text (RFC 8259 §8.2)
    except (ValueError, RecursionError):
        raise InvalidSyntaxException(detail="the body is no JSON") from None
    if not isinstance(body, dict):
        raise InvalidSyntaxException(detail="the body is no JSON object")
    return body


def _list_of(found: Sequence[Any], start: int, total: int, query: Any = None) -> Answer:
    resources = [
        json.loads(one.model_dump_json(scim_ctx=Context.RESOURCE_QUERY_RESPONSE, response_parameters=query))
        for one in found
    ]
    body = {
        "schemas": [str(ListResponse.__schema__)],
        "totalResults": total,
        "startIndex": start,
        "itemsPerPage": len(resources),
        "Resources": resources,
    }
    return 200, json.dumps(body), {}


def _json(found: Any, context: Any, query: Any = None) -> Answer:
    return 200, found.model_dump_json(scim_ctx=context, response_parameters=query), {}


def _said(error: GatewayError) -> Any:
    """The error as SCIM has it. What went wrong here is told to the operator alone."""
    detail = error.detail if error.status < 500 and "public" not in vars(error) else str(error.public)
    match error:
        case UserExists():
            return UniquenessException(detail=detail).to_error()
        case InvalidUser():
            return Error(status=400, scim_type="invalidValue", detail=detail)
        case UserUnknown():
            return Error(status=404, detail=detail)
    return Error(status=error.status, detail=detail)


def _challenge(error: GatewayError) -> Mapping[str, str]:
    if isinstance(error, NotAccepted):
        return {"WWW-Authenticate": error.challenge}
    return {"Retry-After": str(error.retry_after)} if isinstance(error, TooManyAttempts) else {}


def _refusal(error: Any, headers: Mapping[str, str] = {}) -> web.Response:
    return web.Response(
        text=error.model_dump_json(),
        status=int(error.status),
        headers={**_HEADERS, "Content-Type": "application/scim+json", **headers},
    )
