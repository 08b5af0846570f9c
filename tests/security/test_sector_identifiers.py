"""No app calls itself part of a sector that does not list it, and nobody makes the gateway ask any address for it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from tests.oidc_rig import WEB, AppCalls, answer_of, authorize_path, claims_of, pkce, provider, tokens_for
from tests.rig import Rig, Upstream, running_upstream
from tests.security.test_self_registration import LOCAL, allow, register, unlisted

TWO = ["https://app.example.com/callback", "https://other.example.com/callback"]


@asynccontextmanager
async def sector(answer: dict[str, Any]) -> AsyncIterator[Upstream]:
    """A list of redirect URIs as `answer` has it at the time."""

    async def listed(request: web.Request) -> web.Response:
        return web.json_response(**answer)

    async with running_upstream(listed) as upstream:
        yield upstream


def pairwise(uri: str, id: str = "web") -> dict[str, Any]:
    return {
        **WEB,
        "id": id,
        "redirect_uris": TWO,
        "subject_type": "pairwise",
        "sector_identifier_uri": uri,
        "scopes": ["openid"],
    }


async def test_a_sector_is_what_its_list_says_and_nothing_is_given_without(tmp_path: Path) -> None:
    answer: dict[str, Any] = {"data": TWO[:1]}
    async with (
        sector(answer) as where,
        provider(
            tmp_path, pairwise(f"{where.url}/list"), {**pairwise(f"{where.url}/list"), "id": "too"}
        ) as rig,
        rig.browser() as browser,
    ):
        await rig.add_user()
        await browser.sign_in()
        wrong = [
            {"data": TWO[:1]},
            {"data": dict.fromkeys(TWO, 1)},
            {"data": " ".join(TWO)},
            {"data": TWO, "status": 500},
        ]
        for number, one in enumerate(
            [*wrong, {"text": "[" * 9000}, {"data": TWO, "content_type": "text/html"}]
        ):
            answer.clear()
            answer.update(one)
            for _ in range(2):
                refused = answer_of(await browser.get(authorize_path(pkce(), scope="openid")))
                assert refused["error"] == "server_error", one
            assert len(where.requests) == number + 1, "a list that fails is read once in a minute"
            rig.clock.advance(61)
        answer.clear()
        answer.update({"data": TWO})
        first = await tokens_for(browser, AppCalls(rig), scope="openid")
        second = await tokens_for(browser, AppCalls(rig, "too"), scope="openid")
        assert claims_of(first["id_token"])["sub"] == claims_of(second["id_token"])["sub"]
        assert len(where.requests) == 7, "what was right is remembered"


async def test_an_app_that_registers_itself_may_be_pairwise(tmp_path: Path) -> None:
    settings = {**LOCAL, "redirect_hosts": ["app.example.com", "other.example.com"]}
    async with provider(tmp_path, oidc=unlisted(**settings)) as rig, rig.browser() as browser:
        await rig.add_user()
        await browser.sign_in()

        async def subject(**more: Any) -> str:
            _, app = await register(rig, {"redirect_uris": TWO[:1], **more})
            about = {"client_id": app["client_id"], "redirect_uri": TWO[0], "scope": "openid"}
            proof = pkce()
            code = (await allow(browser, authorize_path(proof, **about)))["code"]
            form = {"code": code, "redirect_uri": TWO[0], "code_verifier": proof.verifier}
            calls = AppCalls(rig, app["client_id"], None)
            _, tokens = await calls.post("token", grant_type="authorization_code", **form)
            return str(claims_of(tokens["id_token"])["sub"])

        public, hidden = await subject(), await subject(subject_type="pairwise")
        assert public != hidden
        assert await subject(subject_type="pairwise") == hidden, "one host is one sector"
        for wrong in ("secret", 7, ["pairwise"]):
            _, refused = await register(rig, {"redirect_uris": TWO[:1], "subject_type": wrong})
            assert refused["error"] == "invalid_client_metadata"
        _, refused = await register(rig, {"redirect_uris": TWO, "subject_type": "pairwise"})
        assert refused["error"] == "invalid_client_metadata", "of which of the two hosts?"


async def test_the_operator_may_make_all_such_apps_pairwise(tmp_path: Path) -> None:
    async with provider(tmp_path, oidc=unlisted(**LOCAL, subject_type="pairwise")) as rig:
        for asked in ({}, {"subject_type": "public"}):
            _, app = await register(rig, {"redirect_uris": ["http://127.0.0.1:1/cb"], **asked})
            assert app["subject_type"] == "pairwise"


@pytest.mark.parametrize("where", ["listed", "elsewhere", "inside"])
async def test_a_list_is_read_at_hosts_of_the_operator_alone(tmp_path: Path, where: str) -> None:
    answer: dict[str, Any] = {"data": TWO}
    async with sector(answer) as host:
        authority = host.url.removeprefix("http://")
        settings = {
            **LOCAL,
            "redirect_hosts": ["app.example.com", "other.example.com"],
            "document_hosts": [authority] if where == "listed" else ["docs.example.com"],
        }
        uri = "http://169.254.169.254/list" if where == "inside" else f"{host.url}/list"
        async with provider(tmp_path, oidc=unlisted(**settings)) as rig:
            body = {"redirect_uris": TWO, "subject_type": "pairwise", "sector_identifier_uri": uri}
            status, app = await register(rig, body)
            if where == "listed":
                assert (status, app["sector_identifier_uri"]) == (201, uri)
                answer["data"] = TWO[1:]
                _, refused = await register(rig, {**body, "redirect_uris": TWO[:1]})
                assert refused["error"] == "invalid_client_metadata", "the list does not have it"
                return
            assert (status, app["error"]) == (400, "invalid_client_metadata")
            assert host.requests == []
            assert await _refused(rig, body, 7)


async def _refused(rig: Rig, body: dict[str, Any], uri: Any) -> bool:
    return (await register(rig, {**body, "sector_identifier_uri": uri}))[0] == 400
