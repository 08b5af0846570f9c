"""Whoever an app is told about is whom we signed in: what clients say under our names never arrives (rules 1, 6)."""

import asyncio
import json
import re
from pathlib import Path

import pytest

from gateway.config.sections.header_presets import IDENTITY
from tests.rig import running_gateway
from tests.security.raw import status_of
from tests.waiting import PATIENCE

FORGED = "mallory"
ROUTES = [
    {"host": "*", "path": "/open", "upstream": "UPSTREAM", "policy": {"require": "bypass"}},
    {
        "host": "*",
        "path": "/",
        "upstream": "UPSTREAM",
        "headers": {"rename": {"Remote-User": "X-Webauth-User"}},
    },
]


def spellings(name: str) -> list[str]:
    """As CGI, WSGI and PHP apps might take for the same header."""
    return [name, name.lower(), name.upper(), name.replace("-", "_"), name.replace("-", "."), name + " "]


FORGERIES = [spelling for name in (*IDENTITY, "X-Webauth-User") for spelling in spellings(name)]


async def ask(port: int, data: list[bytes]) -> list[bytes]:
    """The answers to requests on one connection, one after the other; those after a refusal are left out."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    answers = []
    for request in data:
        writer.write(request)
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), PATIENCE)
        length = int(re.findall(rb"(?i)content-length: (\d+)", head)[0])
        answers.append(head + await reader.readexactly(length))
        if not head.startswith(b"HTTP/1.1 200"):
            break
    writer.close()
    return answers


@pytest.mark.parametrize("fast_path", [True, False])
async def test_no_spelling_of_an_identity_header_passes(tmp_path: Path, fast_path: bool) -> None:
    async with running_gateway(tmp_path, routes=ROUTES, server={"fast_path": fast_path}) as rig:
        await rig.add_user()
        async with rig.browser() as browser:
            await browser.sign_in()
            cookie = f"Cookie: auth_session={browser.cookie()}\r\n"
        passed = 0
        for forged in FORGERIES:
            start = f"GET /x HTTP/1.1\r\nHost: 127.0.0.1:{rig.port}\r\n"
            claim = f"{forged}: {FORGED}\r\n"
            signed_in = f"{start}{cookie}{claim}\r\n"
            named = f"{start}{claim}{cookie}{claim}Connection: keep-alive, {forged.strip()}\r\n\r\n"
            nobody = f"{start.replace('/x', '/open/x')}{claim}\r\n"
            requests = [
                signed_in,
                signed_in,
                named,
                *([] if "webauth" in forged.lower() else [nobody, nobody]),
            ]
            for answer in await ask(rig.port, [request.encode() for request in requests]):
                assert FORGED.encode() not in answer, forged
                assert status_of(answer) in (200, 400), (forged, answer[:100])
                passed += status_of(answer) == 200
        assert passed > 4 * len(IDENTITY) * 3


async def test_the_app_is_told_who_signed_in_under_its_own_name(tmp_path: Path) -> None:
    async with running_gateway(tmp_path, routes=ROUTES) as rig, rig.browser() as browser:
        await rig.add_user()
        await browser.sign_in()
        body = json.loads(await (await browser.get("/x", **{"X-Webauth-User": FORGED})).text())
        assert [value for name, value in body["headers"] if name == "X-Webauth-User"] == ["alice"]


async def test_an_open_page_is_told_who_is_signed_in_and_of_nobody_else(tmp_path: Path) -> None:
    async with running_gateway(tmp_path, routes=ROUTES) as rig, rig.browser() as browser:
        await rig.add_user()

        async def told() -> list[str]:
            body = json.loads(await (await browser.get("/open/x", **{"Remote-User": FORGED})).text())
            return [value for name, value in body["headers"] if name == "Remote-User"]

        assert await told() == []
        await browser.sign_in()
        assert await told() == ["alice"]
