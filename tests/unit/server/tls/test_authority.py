"""What an authority answers, as the library hears it over HTTP: limits, nonsense, silence, and an account's binding."""

import base64
import json
from collections.abc import AsyncIterator
from email.utils import formatdate
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from gateway.server.tls.acme.authority import Authority, OrderFailed, Proof
from gateway.server.tls.acme.bundle import new_key
from tests.acme_rig import HOST, acme_section
from tests.waiting import free_port

NOW = 1_800_000_000.0
JSON = "application/problem+json"


class Directory:
    """An authority that answers each request for an order or account as the test says."""

    def __init__(self) -> None:
        self.answers: list[web.Response] = []
        self.asked: list[dict[str, Any]] = []
        self.app = web.Application()
        self.app.add_routes([web.get("/dir", self.directory), web.route("*", "/nonce", self.nonce)])
        self.app.add_routes([web.post("/{kind}", self.post)])
        self.url = ""

    async def directory(self, request: web.Request) -> web.Response:
        names = {"newNonce": "nonce", "newAccount": "account", "newOrder": "order"}
        return web.json_response({key: f"{self.url}/{path}" for key, path in names.items()})

    async def nonce(self, request: web.Request) -> web.Response:
        return web.Response(headers={"Replay-Nonce": "bm9uY2U"})

    async def post(self, request: web.Request) -> web.Response:
        body = await request.json()
        self.asked.append({name: _read(body[name]) for name in ("protected", "payload")})
        answer = self.answers.pop(0)
        answer.headers.setdefault("Replay-Nonce", "bm9uY2U")
        return answer

    def refuse(self, code: str, *, status: int = 400, **headers: str) -> None:
        problem = {"type": f"urn:ietf:params:acme:error:{code}", "detail": f"because of {code}\nreally"}
        self.answers.append(
            web.Response(text=json.dumps(problem), status=status, content_type=JSON, headers=headers)
        )


def _read(part: str) -> Any:
    text = base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
    return json.loads(text) if text else None


@pytest.fixture
async def directory() -> AsyncIterator[Directory]:
    one = Directory()
    async with TestServer(one.app) as server:
        one.url = str(server.make_url("")).rstrip("/")
        yield one


def authority(directory: Directory, **given: Any) -> Authority:
    from pathlib import Path

    section = acme_section(Path("unused"), directory=f"{directory.url}/dir", **given)
    return Authority(section, account_key=new_key(), account="https://a.test/1", now=lambda: NOW)


async def failure(directory: Directory) -> OrderFailed:
    with pytest.raises(OrderFailed) as caught:
        await authority(directory).order([HOST])
    return caught.value


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        ("86400", 86400.0),
        (formatdate(NOW + 3600, usegmt=True), 3600.0),
        (formatdate(NOW - 3600, usegmt=True), 0.0),
        ("soon", None),
        ("-5", None),
        ("", None),
    ],
)
async def test_a_limit_tells_how_long_to_wait(directory: Directory, said: str, seconds: float | None) -> None:
    directory.refuse("rateLimited", status=429, **{"Retry-After": said})
    error = await failure(directory)
    assert (error.code, error.asked) == ("rateLimited", seconds)
    assert "because of rateLimited really" in str(error)  # on one line
    assert "wait" in error.mend


async def test_a_nonce_may_be_refused_several_times(directory: Directory) -> None:
    for _ in range(6):
        directory.refuse("badNonce")
    directory.refuse("caa", status=403)
    assert (await failure(directory)).code == "caa"
    assert directory.answers == []


@pytest.mark.parametrize(
    "answer",
    [
        web.Response(text="<html>", status=502, content_type="text/html"),
        web.Response(text="[]", status=201, content_type="application/json"),
        web.Response(text='{"status": "pending"', status=201, content_type="application/json"),
    ],
    ids=["a proxy's page", "another type", "half of it"],
)
async def test_an_answer_that_is_not_acme_is_a_failure_and_nothing_worse(
    directory: Directory, answer: web.Response
) -> None:
    directory.answers.append(answer)
    assert (await failure(directory)).code == "malformed"


async def test_a_proof_that_was_not_found_is_told_in_the_words_of_the_authority(directory: Directory) -> None:
    problem = {"type": "urn:ietf:params:acme:error:dns", "detail": "no address for it"}
    challenge = {
        "type": "http-01",
        "status": "invalid",
        "url": "https://a.test/c",
        "token": "LoqXcYV8q5ONbJQxbmR7SCTNo3tiAXDfowyjxAjEuX0",
        "error": problem,
    }
    found = {
        "identifier": {"type": "dns", "value": HOST},
        "status": "invalid",
        "challenges": [challenge],
    }
    directory.answers.append(web.json_response(found))
    proof = Proof(host=HOST, token="", value="", authorization=f"{directory.url}/authz", body=None)  # type: ignore[arg-type]
    with pytest.raises(OrderFailed, match=f"{HOST}: no address for it") as caught:
        await authority(directory).proven(proof)
    assert caught.value.code == "dns"


async def test_a_directory_that_is_down_is_named(tmp_path: Any) -> None:
    url = f"https://127.0.0.1:{free_port()}/dir"
    one = Authority(acme_section(tmp_path, directory=url), account_key=new_key(), now=lambda: NOW)
    with pytest.raises(OrderFailed) as caught:
        await one.order([HOST])
    assert caught.value.code == "away"
    assert url in str(caught.value)


async def test_an_account_is_bound_to_the_one_that_the_authority_knows(directory: Directory) -> None:
    binding = {"key_id": "customer-7", "key": base64.urlsafe_b64encode(b"k" * 32).decode().rstrip("=")}
    directory.answers.append(
        web.json_response({"status": "valid"}, status=201, headers={"Location": "https://a.test/9"})
    )
    one = authority(directory, external_account=binding)
    one._account = ""
    assert await one.register() == "https://a.test/9"
    payload = directory.asked[0]["payload"]
    assert payload["termsOfServiceAgreed"] is True
    assert payload["contact"] == ["mailto:ops@example.test"]
    assert _read(payload["externalAccountBinding"]["protected"])["kid"] == "customer-7"


async def test_a_key_that_has_an_account_keeps_it(directory: Directory) -> None:
    directory.answers.append(
        web.json_response({"status": "valid"}, status=200, headers={"Location": "https://a.test/2"})
    )
    one = authority(directory)
    one._account = ""
    assert await one.register() == "https://a.test/2"
