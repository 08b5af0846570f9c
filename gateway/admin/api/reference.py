"""The API for people: `… openapi.json | python -m gateway.admin.api.reference > docs/admin-api.md`."""

import json
import sys
from collections.abc import Mapping
from typing import Any

_HEAD = """\
# Admin API

What the [admin console](admin.md) does, for programs: JSON below `/_auth/admin/api/v1`. The OpenAPI 3.1 document is at
`/_auth/admin/api/openapi.json`; this page is made from it by
`python -m gateway.admin.api.reference < openapi.json`.

```sh
token=$(auth-gateway token add ci --scope admin:read --scope admin:write)
curl -H "Authorization: Bearer $token" https://auth.example.com/_auth/admin/api/v1/users?search=ali
```

- **Who:** an API token with the scope of the operation (`admin:write` does not include `admin:read`), or an
  administrator's session. With a session, changes need the header `X-CSRF-Token` from `/me` and come
  from our own pages.
- **Pages:** `next` of an answer is the `cursor` of the next question; null is the end. A page of the audit log may hold
  fewer entries than asked for, or none, and still have a `next`: a rare thing is searched for two seconds a page.
- **Lost updates:** send the `ETag` of a user as `If-Match`; 412 says that somebody else was faster.
- **Errors:** `application/problem+json` (RFC 9457); `detail` is a sentence, `errors` say what does not fit. Unknown
  fields are refused.
- **Changes** are in the audit log with `by: token:NAME`, each field before and after.
"""


def markdown(document: Mapping[str, Any]) -> str:
    """Turn the OpenAPI document into docs/admin-api.md."""
    lines = [_HEAD, "| operation | scope | does | takes | gives |", "|---|---|---|---|---|"]
    for path, methods in document["paths"].items():
        for method, one in methods.items():
            scope = one["description"].split("`")[1]
            takes = ", ".join(_takes(one))
            lines.append(
                f"| `{method.upper()} {path}` | `{scope}` | {one['summary']} | {takes} | {_gives(one)} |"
            )
    lines += ["", "## Bodies", ""]
    for name, schema in document["components"]["schemas"].items():
        if fields := schema.get("properties"):
            lines.append(f"- **{name}**: {', '.join(f'`{field}`' for field in fields)}")
    return "\n".join(lines) + "\n"


def _takes(one: Mapping[str, Any]) -> list[str]:
    names = [f"`{param['name']}`" for param in one["parameters"] if param["in"] != "path"]
    body = one.get("requestBody", {}).get("content", {}).get("application/json", {})
    return [*names, *([_name(body)] if body else [])]


def _gives(one: Mapping[str, Any]) -> str:
    status, success = next(iter(one["responses"].items()))
    content: Mapping[str, Any] = success.get("content", {})
    return f"{status} " + ", ".join(_name(body) or f"`{media}`" for media, body in content.items())


def _name(body: Mapping[str, Any]) -> str:
    return str(body.get("schema", {}).get("$ref", "")).rpartition("/")[2]


if __name__ == "__main__":
    print(markdown(json.load(sys.stdin)), end="")
