"""Health checks as load balancers send them: HTTP/1.0, often without a Host."""

from pathlib import Path

import pytest

from tests.rig import running_gateway
from tests.security.raw import exchange, status_of


@pytest.mark.parametrize("page", ["healthz", "readyz"])
async def test_a_check_without_a_host_is_answered(tmp_path: Path, page: str) -> None:
    async with running_gateway(tmp_path) as rig:
        assert status_of(await exchange(rig.port, f"GET /_auth/{page} HTTP/1.0\r\n\r\n".encode())) == 200


async def test_without_a_host_the_rules_of_the_public_host_hold(tmp_path: Path) -> None:
    routes = [
        {"host": "127.0.0.1", "path": "/", "upstream": "UPSTREAM"},
        {"host": "*", "path": "/", "upstream": "UPSTREAM", "policy": {"require": "bypass"}},
    ]
    async with running_gateway(tmp_path, routes=routes) as rig:
        assert status_of(await exchange(rig.port, b"GET / HTTP/1.0\r\n\r\n")) == 401
        assert status_of(await exchange(rig.port, b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n")) == 400
        assert rig.upstream.requests == []
