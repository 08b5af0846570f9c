"""A gateway that has no certificate yet: what it serves with, whom it answers over plain http, and what apps see."""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from gateway.config.schema import Config
from gateway.server.process.sockets import Listeners
from gateway.server.tls.context import shared_context
from tests.acme_rig import HOST
from tests.rig import Rig, listening_socket, running_gateway

TOKEN = "LoqXcYV8q5ONbJQxbmR7SCTNo3tiAXDfowyjxAjEuX0"
PROOF = f"/.well-known/acme-challenge/{TOKEN}"
APP = "app.example.test"


@dataclass
class Doors:
    """A gateway with an https and a plain address."""

    rig: Rig
    secure: int
    plain: int

    async def ask(
        self, path: str, *, plain: bool, host: str = HOST, method: str = "GET"
    ) -> tuple[int, str, str]:
        """Status, Location and body."""
        # Without `Connection: close`, which the fast path does not take.
        length = "Content-Length: 0\r\n" if method == "POST" else ""
        request = f"{method} {path} HTTP/1.1\r\nHost: {host}\r\n{length}\r\n"
        return await self.raw(request.encode(), plain=plain)

    async def raw(self, request: bytes, *, plain: bool) -> tuple[int, str, str]:
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        port = self.plain if plain else self.secure
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=None if plain else context)
        writer.write(request)
        head = (await reader.readuntil(b"\r\n\r\n")).decode().removesuffix("\r\n\r\n")
        lines = dict(line.split(": ", 1) for line in head.split("\r\n")[1:])
        if lines.get("Transfer-Encoding") == "chunked":
            size = int(await reader.readline(), 16)
        else:
            size = int(lines.get("Content-Length", 0))
        body = (await reader.readexactly(size)).decode()
        writer.close()
        assert "Set-Cookie" not in lines or not plain
        return int(head.split()[1]), lines.get("Location", ""), body


@asynccontextmanager
async def doors(folder: Path, **overrides: Any) -> AsyncIterator[Doors]:
    main, plain = listening_socket(), listening_socket()
    secure, port = main.getsockname()[1], plain.getsockname()[1]
    acme = {
        "email": "ops@example.test",
        "agree_to_terms": True,
        "hosts": [HOST, APP],
        "directory": "https://127.0.0.1:1/directory",  # where nobody is
        "cache": str(folder / "acme"),
    }
    server = {
        "listen": [f"127.0.0.1:{secure}", f"http://127.0.0.1:{port}"],
        "public_url": f"https://{HOST}:{secure}",
        "tls": {"acme": acme},
    }
    config = Config.model_validate({"server": server})
    routes = [{"host": APP, "upstream": "UPSTREAM", "policy": {"require": "bypass"}}]
    async with running_gateway(
        folder,
        ssl_context=shared_context(config.server.tls),
        sockets=lambda _: [main, plain],
        server=server,
        **{"routes": routes, **overrides},
    ) as rig:
        yield Doors(rig, secure, port)


@pytest.fixture
async def gateway(tmp_path: Path) -> AsyncIterator[Doors]:
    async with doors(tmp_path) as running:
        yield running


async def test_without_a_certificate_one_that_nobody_trusts_is_served_and_readyz_says_so(
    gateway: Doors, caplog: pytest.LogCaptureFixture
) -> None:
    status, _, body = await gateway.ask("/_auth/readyz", plain=False)
    assert status == 503
    assert json.loads(body)["checks"]["certificate"] == "unavailable"
    assert (await gateway.ask("/_auth/healthz", plain=False))[0] == 200
    with pytest.raises(ssl.SSLCertVerificationError):
        await asyncio.open_connection("127.0.0.1", gateway.secure, ssl=ssl.create_default_context())


async def test_a_proof_is_shown_to_everybody_on_both_addresses_and_by_no_app(gateway: Doors) -> None:
    certificates = gateway.rig.gateway._composed.certificates
    assert certificates is not None
    await certificates.records.show(TOKEN, f"{TOKEN}.thumbprint")
    for plain in (True, False):
        for host in (HOST, APP):  # the app's route lets everybody pass, on the fast path too
            assert (await gateway.ask(PROOF, plain=plain, host=host)) == (200, "", f"{TOKEN}.thumbprint")
    assert (await gateway.ask(PROOF, plain=True, method="POST"))[0] == 404
    await certificates.records.hide(TOKEN)
    assert (await gateway.ask(PROOF, plain=True, host=APP))[0] == 404


async def test_a_question_that_is_not_about_us_goes_to_the_app_on_https_only(gateway: Doors) -> None:
    status, _, body = await gateway.ask(PROOF, plain=False, host=APP)
    assert (status, json.loads(body)["path"]) == (200, PROOF)
    assert (await gateway.ask(PROOF, plain=True, host=APP))[0] == 404
    assert (await gateway.ask("/.well-known/acme-challenge/..%2Fx", plain=True, host=APP))[0] == 400


async def test_over_plain_http_nothing_of_anybodys_is_served(gateway: Doors) -> None:
    for path, method in (
        ("/", "GET"),
        ("/_auth/login", "POST"),
        ("/_auth/metrics", "GET"),
        ("/_auth/readyz", "GET"),
    ):
        status, to, body = await gateway.ask(path, plain=True, host=APP, method=method)
        assert (status, to, body) == (308, f"https://{APP}:{gateway.secure}{path}", "")
    assert gateway.rig.upstream.requests == []


@pytest.mark.parametrize("host", ["evil.example.test", f"{HOST}.evil.test", "127.0.0.1"])
async def test_plain_http_redirects_to_no_host_that_is_not_ours(gateway: Doors, host: str) -> None:
    status, to, _ = await gateway.ask("/", plain=True, host=host)
    assert (status, to) == (404, "")


async def test_the_redirect_keeps_to_the_host_whatever_the_path(gateway: Doors) -> None:
    secure = f"https://{APP}:{gateway.secure}"
    for path in ("//evil.test/x", "/@evil.test", "/%5Cevil.test", "/a?next=//evil.test"):
        status, to, _ = await gateway.ask(path, plain=True, host=APP)
        assert status == 400 or (status == 308 and to == secure + path)
    absolute = f"GET http://evil.test/ HTTP/1.1\r\nHost: {APP}\r\nConnection: close\r\n\r\n"
    assert (await gateway.raw(absolute.encode(), plain=True))[0] == 404
    split = f"GET /a%0d%0aLocation:%20x HTTP/1.1\r\nHost: {APP}\r\nConnection: close\r\n\r\n"
    assert (await gateway.raw(split.encode(), plain=True))[0] == 400


def test_an_address_of_port_80_redirects_only_where_something_serves_https() -> None:
    tls = {"cert_file": "c", "key_file": "k"}
    both = {"listen": [":80", ":443", "unix:/run/a.sock"]}
    served = Config.model_validate({"server": {**both, "tls": tls}}).server
    assert (served.plain, served.main) == ((":80",), (":443", "unix:/run/a.sock"))
    served = Config.model_validate({"server": both}).server
    assert (served.plain, served.main) == ((), (":80", ":443", "unix:/run/a.sock"))


def test_an_address_without_a_host_is_every_address() -> None:
    listeners = Listeners(":0")
    listeners.grow(1)
    try:
        found = {sock.getsockname()[0] for sock in listeners.share(0, 1)}
        assert found <= {"0.0.0.0", "::"}
        assert found
    finally:
        listeners.close()
