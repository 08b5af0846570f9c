"""HTTP Basic as programs write it: who can't be read is nobody, and costs nobody a try."""

import base64
from pathlib import Path

import aiohttp
import pytest

from gateway.rate_limits import PASSWORD_PER_USER
from tests.rig import running_gateway

PASSWORD = "Größe ist nicht alles"
ROUTES = [
    {"host": "*", "path": "/", "upstream": "UPSTREAM", "basic": True, "policy": {"require": "one_factor"}}
]


async def status(url: str, header: str) -> int:
    async with aiohttp.ClientSession() as session:
        response = await session.get(url + "/", headers={"Authorization": header}, allow_redirects=False)
        return response.status


def basic(name: str, password: str, encoding: str) -> str:
    return "Basic " + base64.b64encode(f"{name}:{password}".encode(encoding)).decode()


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1"])
async def test_names_and_passwords_are_read_in_either_encoding(tmp_path: Path, encoding: str) -> None:
    async with running_gateway(tmp_path, routes=ROUTES) as rig:
        await rig.add_user("jörg")
        await rig.directory.set_password("jörg", PASSWORD)
        assert await status(rig.url, basic("jörg", PASSWORD, encoding)) == 200
        assert await status(rig.url, basic("jörg", PASSWORD + "x", encoding)) == 401


async def test_what_names_nobody_counts_against_no_name(tmp_path: Path) -> None:
    """Else the first clients that can't write a header would shut out all others that can't either."""
    async with running_gateway(tmp_path, routes=ROUTES) as rig:
        for value in ("Basic !!!", f"Basic {base64.b64encode(b':secret').decode()}") * 11:
            assert await status(rig.url, value) == 401
        await rig.gateway.services.limits.check(
            PASSWORD_PER_USER, ""
        )  # raises TooManyAttempts once it is spent
        await rig.add_user()
        assert await status(rig.url, basic("alice", "correct horse battery", "utf-8")) == 200
