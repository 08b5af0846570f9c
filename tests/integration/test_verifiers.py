"""What docs/verify gives apps to check X-Auth-Assertion takes the gateway's own assertions and no others."""

import asyncio
import base64
import importlib.util
import json
import shutil
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey

from tests.rig import FakeClock, Rig, running_gateway
from tests.verifiers.programs import HERE, SNIPPETS, go, node, php_library
from tests.waiting import PATIENCE

SOUND = "alice"
REFUSED = "-"


@dataclass
class Shown:
    """Assertions, and what a verifier has to make of each."""

    issuer: str
    audience: str
    assertions: dict[str, str]

    @property
    def expected(self) -> list[str]:
        return [SOUND if name.startswith("sound") else REFUSED for name in self.assertions]


def part(value: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


async def shown(rig: Rig) -> Shown:
    """The assertion that an app got, and what others might show instead."""
    await rig.add_user("alice")
    async with rig.browser() as browser:
        await browser.sign_in()
        seen = await (await browser.get("/x")).json()
    real = next(value for name, value in seen["headers"] if name == "X-Auth-Assertion")
    head, body, signature = real.split(".")
    claims = json.loads(base64.urlsafe_b64decode(body + "=="))
    kid = json.loads(base64.urlsafe_b64decode(head + "=="))["kid"]
    sign = rig.gateway._composed.assertions.sign
    other = ECKey.generate_key("P-256", {"kid": kid}, private=True)
    return Shown(
        issuer=rig.url,
        audience=claims["aud"],
        assertions={
            "sound": real,
            "missing": "",
            "garbage": "x.y.z",
            "another app's": sign(claims | {"aud": "other.example.com"}),
            "another gateway's": sign(claims | {"iss": "https://other.example.com"}),
            "expired": sign(claims | {"iat": claims["iat"] - 900, "exp": claims["iat"] - 600}),
            "endless": sign({name: value for name, value in claims.items() if name != "exp"}),
            "nobody's": sign({name: value for name, value in claims.items() if name != "aud"}),
            "not signed": f"{part({'alg': 'none', 'typ': 'JWT', 'kid': kid})}.{body}.",
            "not signed, with a signature": f"{part({'alg': 'none', 'kid': kid})}.{body}.{signature}",
            "signed by another key": jwt.encode({"alg": "ES256", "kid": kid}, claims, other),
            "signed by an unknown key": jwt.encode({"alg": "ES256", "kid": "?"}, claims, other),
            "changed": f"{head}.{part(claims | {'sub': 'root'})}.{signature}",
            "sound again": real,
        },
    )


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    async with running_gateway(tmp_path, clock=FakeClock(time.time())) as rig:
        yield rig


async def said_by(command: list[str], given: Shown, *more: str) -> list[str]:
    process = await asyncio.create_subprocess_exec(
        *command,
        given.issuer,
        given.audience,
        *more,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    lines = "".join(f"{one}\n" for one in given.assertions.values())
    out, _ = await asyncio.wait_for(process.communicate(lines.encode()), PATIENCE)
    return out.decode().split()


def python_snippet() -> ModuleType:
    file = SNIPPETS / "auth_gateway_verify.py"
    spec = importlib.util.spec_from_file_location("auth_gateway_verify", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


async def test_wsgi_apps_let_in_whom_the_gateway_says(rig: Rig) -> None:
    given, snippet = await shown(rig), python_snippet()

    def app(environ: dict[str, Any], start: Callable[..., None]) -> list[bytes]:
        start("200 OK", [])
        return [environ[snippet.USER]["sub"].encode()]

    guarded = snippet.wsgi(app, snippet.Verifier(given.issuer, given.audience))

    def ask(assertion: str) -> str:
        statuses: list[str] = []
        environ = {"HTTP_X_AUTH_ASSERTION": assertion} if assertion else {}
        body = b"".join(guarded(environ, lambda status, headers: statuses.append(status)))
        return body.decode() if statuses == ["200 OK"] else REFUSED

    answers = [await asyncio.to_thread(ask, one) for one in given.assertions.values()]
    assert answers == given.expected


async def test_asgi_apps_let_in_whom_the_gateway_says(rig: Rig) -> None:
    given, snippet = await shown(rig), python_snippet()

    async def app(scope: dict[str, Any], receive: object, send: Callable[..., Any]) -> None:
        await send({"type": "http.response.body", "body": scope[snippet.USER]["sub"].encode()})

    guarded = snippet.asgi(app, snippet.Verifier(given.issuer, given.audience))

    async def ask(kind: str, *assertions: str) -> list[dict[str, Any]]:
        sent: list[dict[str, Any]] = []

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)

        headers = [(b"x-auth-assertion", one.encode()) for one in assertions if one]
        await guarded({"type": kind, "headers": headers}, None, send)
        return sent

    answers = []
    for one in given.assertions.values():
        sent = await ask("http", one)
        answers.append(REFUSED if sent[0].get("status") == 401 else sent[0]["body"].decode())
    assert answers == given.expected
    assert await ask("websocket") == [{"type": "websocket.close", "code": 1008}]
    real = given.assertions["sound"]
    assert (await ask("http", real, real))[0]["status"] == 401


async def test_node_apps_let_in_whom_the_gateway_says(rig: Rig, tmp_path: Path) -> None:
    (folder := tmp_path / "node").mkdir()
    command = await asyncio.to_thread(node, folder)
    given = await shown(rig)
    assert await said_by(command, given) == given.expected


async def test_go_apps_let_in_whom_the_gateway_says(rig: Rig, tmp_path: Path) -> None:
    (folder := tmp_path / "go").mkdir()
    command = await asyncio.to_thread(go, folder)
    given = await shown(rig)
    assert await said_by(command, given) == given.expected


async def test_php_apps_let_in_whom_the_gateway_says(rig: Rig) -> None:
    library = php_library()
    if shutil.which("php") is None or library is None:
        pytest.skip("PHP or firebase/php-jwt is not installed: only Composer's registry has it")
    given = await shown(rig)
    command = ["php", str(HERE / "check.php")]
    assert await said_by(command, given, str(library), str(SNIPPETS / "verify.php")) == given.expected
