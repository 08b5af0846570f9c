"""The OpenAPI 3.1 document, made from the operations and their models."""

import re
from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema

from gateway import __version__
from gateway.admin.api.operation import Operation
from gateway.admin.api.response_models import ApiProblem

_REF = "#/components/schemas/{model}"
_ALWAYS = (401, 403, 422, 429, 503)
_WORDS = {
    400: "Not understood",
    401: "Sign in first",
    403: "Not allowed",
    404: "Not found",
    409: "Refused, with the reason",
    412: "Changed meanwhile",
    413: "Too large",
    415: "Not JSON",
    422: "Does not fit",
    429: "Too many attempts",
    503: "Unavailable for a moment",
}
_Json = dict[str, Any]  # JSON


def document(operations: Sequence[Operation], base: str) -> _Json:
    """Return the OpenAPI 3.1 document. `base` is the path of the API's version."""
    paths: _Json = {}
    for one in operations:
        paths.setdefault(one.path, {})[one.method.lower()] = _operation(one)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "auth-gateway: administration",
            "version": __version__,
            "description": "For API tokens with `admin:read` or `admin:write`, and for sessions of administrators.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": base}],
        "security": [{"token": []}, {"session": []}],
        "paths": paths,
        "components": {
            "schemas": _schemas(operations),
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer"},
                "session": {
                    "type": "apiKey",
                    "in": "header",
                    "name": "X-CSRF-Token",
                    "description": "beside the session's cookie, for changes",
                },
            },
        },
    }


def _schemas(operations: Sequence[Operation]) -> _Json:
    wanted: dict[tuple[type[BaseModel], JsonSchemaMode], None] = {(ApiProblem, "serialization"): None}
    for one in operations:
        if one.body:
            wanted[(one.body, "validation")] = None
        if one.gives:
            wanted[(one.gives, "serialization")] = None
    _, schema = models_json_schema(list(wanted), ref_template=_REF)
    found: _Json = schema["$defs"]
    return found


def _operation(one: Operation) -> _Json:
    described: _Json = {
        "operationId": one.name,
        "summary": one.summary,
        "description": f"Scope of API tokens: `{one.scope}`.",
        "parameters": [*_in_path(one), *_in_query(one), *_if_match(one)],
        "responses": {
            str(one.status): _success(one),
            **{str(status): _refusal(status) for status in _refusals(one)},
        },
    }
    if one.body:
        described["requestBody"] = {
            "required": True,
            "content": {"application/json": {"schema": _ref(one.body)}},
        }
    return described


def _refusals(one: Operation) -> list[int]:
    more = (400, 413, 415) if one.body else (400,)
    return sorted({*_ALWAYS, *more, *one.refusals, *((404,) if "{" in one.path else ())})


def _success(one: Operation) -> _Json:
    described: _Json = {"description": "Done"}
    if one.gives:
        described["content"] = {"application/json": {"schema": _ref(one.gives)}}
    elif one.media:
        described["content"] = {media: {} for media in one.media}
    if one.versioned and one.status == 200:
        described["headers"] = {"ETag": {"schema": {"type": "string"}}}
    return described


def _refusal(status: int) -> _Json:
    content: _Json = {"application/problem+json": {"schema": _ref(ApiProblem)}}
    if status == 400:  # paths that can't be read never come as far as the API
        content["application/json"] = {"schema": {"type": "object"}}
    return {"description": _WORDS[status], "content": content}


def _in_path(one: Operation) -> list[_Json]:
    names = re.findall(r"\{(\w+)\}", one.path)
    text = {"type": "string", "minLength": 1}
    return [{"name": name, "in": "path", "required": True, "schema": text} for name in names]


def _in_query(one: Operation) -> list[_Json]:
    schema = one.query.model_json_schema() if one.query else {}
    required = schema.get("required", ())
    return [
        {
            "name": name,
            "in": "query",
            "required": name in required,
            "description": field.pop("description", ""),
            "schema": field,
        }
        for name, field in schema.get("properties", {}).items()
    ]


def _if_match(one: Operation) -> list[_Json]:
    if not one.versioned or one.method == "GET":
        return []
    text = "the ETag that the change was made from: refused with 412 if it is another one by now"
    return [
        {
            "name": "If-Match",
            "in": "header",
            "required": False,
            "description": text,
            "schema": {"type": "string", "pattern": '^"[0-9a-f]{16}"$'},
        }
    ]


def _ref(model: type[BaseModel]) -> _Json:
    return {"$ref": _REF.format(model=model.__name__)}
