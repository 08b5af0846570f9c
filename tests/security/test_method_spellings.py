"""A method counts as it stands, and some apps read "delete" as DELETE: small letters are refused at every door."""

import asyncio
from pathlib import Path

import pytest

from tests.both_paths import read_answer, request
from tests.rig import Rig, running_gateway

RULES = [{"methods": ["DELETE"], "require": "deny"}, {"require": "bypass"}]
ROUTES = [{"host": "app.test", "path": "/", "upstream": "UPSTREAM", "rules": RULES}]


def asked_by(dialect: str, method: str) -> bytes:
    if dialect == "traefik":
        said = {"Method": method, "Proto": "http", "Host": "app.test", "Uri": "/x"}
        return request(
            "/_auth/forward",
            *(f"X-Forwarded-{name}: {text}" for name, text in said.items()),
            host="localhost",
        )
    if dialect == "nginx":
        said = {"URL": "http://app.test/x", "Method": method}
        return request(
            "/_auth/forward", *(f"X-Original-{name}: {text}" for name, text in said.items()), host="localhost"
        )
    return request("/_auth/forward/x" if dialect == "envoy" else "/x", method=method)


async def status(rig: Rig, data: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", rig.port)
    writer.write(data)
    answer = await read_answer(reader, "GET")
    writer.close()
    return bytes(answer[0]).split(b" ")[1]  # type: ignore[call-overload]


@pytest.mark.parametrize("door", ["own proxy", "traefik", "nginx", "envoy"])
async def test_a_rule_about_a_method_is_not_got_round_by_its_spelling(tmp_path: Path, door: str) -> None:
    server = {"trusted_proxies": ["127.0.0.1"]}
    async with running_gateway(tmp_path, routes=ROUTES, server=server) as rig:
        assert await status(rig, asked_by(door, "PATCH")) == b"200"
        for method in ("DELETE", "delete", "Delete", "trace", "connect"):
            assert await status(rig, asked_by(door, method)) in (b"400", b"403"), method
