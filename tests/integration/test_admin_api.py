"""The admin API: the same acts as the console's, for programs; what it does not know it refuses."""

import asyncio
from pathlib import Path
from typing import Any

import aiohttp
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from gateway.admin.api.reference import markdown
from gateway.authn.factors.phone_lines import SecondPhone
from tests.admin_rig import ADMIN, add_token, administered, api
from tests.rig import PASSWORD

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
EXAMPLES = 5
PAGE = Path(__file__).resolve().parents[2] / "docs" / "admin-api.md"


async def test_users_are_added_read_changed_and_deleted(tmp_path: Path) -> None:
    async with administered(tmp_path) as (rig, _), aiohttp.ClientSession() as client:
        token = await add_token(rig, "admin:read", "admin:write")

        async def call(method: str, path: str, **more: Any) -> tuple[int, Any, Any]:
            return await api(client, rig, method, path, token | more.pop("headers", {}), **more)

        status, body, headers = await call("POST", "/users", json={"username": "Carol", "groups": ["a"]})
        assert (status, body["user"]["username"], body["link"]) == (201, "carol", None)
        tag = headers["ETag"]
        assert (await call("POST", "/users", json={"username": "carol"}))[0] == 409
        status, body, headers = await call(
            "PATCH", "/users/carol", json={"name": "C"}, headers={"If-Match": tag}
        )
        assert (status, body["name"], body["groups"]) == (200, "C", ["a"])
        status, body, _ = await call("PATCH", "/users/carol", json={"name": "D"}, headers={"If-Match": tag})
        assert (status, body["status"]) == (412, 412)
        assert (await call("PATCH", "/users/carol", json={"disabled": True}))[1]["disabled"] is True
        status, body, _ = await call("POST", "/users/carol/link")
        assert (status, body["kind"]) == (201, "invitation")
        assert "/_auth/invite?token=" in body["url"]
        assert (await call("DELETE", "/users/carol"))[0] == 204
        status, body, headers = await call("GET", "/users/carol")
        assert (status, headers["Content-Type"]) == (404, "application/problem+json; charset=utf-8")
        await rig.gateway.services.audit.flush()
        changes = (await call("GET", "/changes?user=carol"))[1]["items"]
        assert [one["event"] for one in changes] == [
            "user_deleted",
            "link_made",
            "user_disabled",
            "user_changed",
            "user_added",
        ]
        assert changes[3]["data"]["changes"] == {"name": [None, "C"]}
        assert {one["data"]["by"] for one in changes} == {"token:ci"}


async def test_lists_come_in_pages(tmp_path: Path) -> None:
    async with administered(tmp_path) as (rig, _), aiohttp.ClientSession() as client:
        token = await add_token(rig, "admin:read")
        await rig.gateway.services.audit.flush()
        seen: list[str] = []
        cursor = ""
        while cursor is not None:
            page = (await api(client, rig, "GET", f"/users?limit=1&cursor={cursor}", token))[1]
            seen += [one["username"] for one in page["items"]]
            cursor = page["next"]
        assert seen == ["alice", "bob"]
        first = (await api(client, rig, "GET", "/audit?limit=1", token))[1]
        second = (await api(client, rig, "GET", f"/audit?limit=1&cursor={first['next']}", token))[1]
        assert first["items"][0]["id"] > second["items"][0]["id"]
        assert [
            one["username"] for one in (await api(client, rig, "GET", "/sessions", token))[1]["items"]
        ] == ["alice"]


async def test_the_state_of_the_gateway_is_told(tmp_path: Path) -> None:
    async with administered(tmp_path) as (rig, browser), aiohttp.ClientSession() as client:
        token = await add_token(rig, "admin:read")
        await browser.get("/")
        assert (await api(client, rig, "GET", "/overview", token))[1]["users"] == 2
        assert (await api(client, rig, "GET", "/routes", token))[1]["items"][0]["route"] == "*/"
        assert (await api(client, rig, "GET", "/sms", token))[1]["currency"] == "USD"
        question = {"url": f"{rig.url}/x", "username": "bob", "factors": ["password"]}
        told = (await api(client, rig, "POST", "/explain", token, json=question))[1]
        assert (told["verdict"], told["reason"]) == ("step_up", "factor")
        status, text, _ = await api(client, rig, "GET", "/export/users.yaml", token)
        assert status == 200
        assert "bob:" in text
        assert "argon2" not in text


def fuzz(document: dict[str, Any], base: str, headers: dict[str, str]) -> int:
    """Call every operation with made-up input; how many calls that were. Raises what schemathesis finds."""
    schema = schemathesis.openapi.from_dict(document)
    calls = 0
    for found in schema.get_all_operations():
        operation = found.ok()

        @given(case=operation.as_strategy())
        @settings(
            max_examples=EXAMPLES,
            deadline=None,
            database=None,
            derandomize=True,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        def hold(case: schemathesis.Case) -> None:
            nonlocal calls
            calls += 1
            response = case.call(base_url=base, headers=headers)
            case.validate_response(response, checks=CHECKS)

        hold()
    return calls


async def test_made_up_input_never_breaks_it_and_answers_are_as_the_document_says(tmp_path: Path) -> None:
    async with administered(tmp_path) as (rig, browser):
        token = await add_token(rig, "admin:read", "admin:write")
        document = await (await browser.get(f"{ADMIN}/api/openapi.json")).json()
        assert document["openapi"].startswith("3.1")
        assert PAGE.read_text(encoding="utf-8") == markdown(document), "make docs/admin-api.md anew from it"
        base = rig.url + document["servers"][0]["url"]
        assert await asyncio.to_thread(fuzz, document, base, token) >= len(document["paths"])
        assert await rig.directory.authenticate("alice", PASSWORD), "the last administrator is still there"


async def test_a_second_number_is_listed_masked_and_taken_away(tmp_path: Path) -> None:
    async with administered(tmp_path) as (rig, _), aiohttp.ClientSession() as client:
        token = await add_token(rig, "admin:read", "admin:write")
        await SecondPhone(rig.gateway.stores.credentials, rig.clock).store("bob", "+4915112345679")
        factors = (await api(client, rig, "GET", "/users/bob/factors", token))[1]["items"]
        [held] = [one for one in factors if one["kind"] == "second_phone"]
        assert held["detail"] == "+49•••••679"
        where = f"/users/bob/factors/{held['id']}"
        assert (await api(client, rig, "DELETE", where, token))[:2] == (200, {"count": 1})
        assert (await api(client, rig, "DELETE", where, token))[0] == 404
