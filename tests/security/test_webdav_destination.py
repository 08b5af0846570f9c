"""COPY and MOVE write where their Destination says: no rule about a path is got round by naming it there."""

from pathlib import Path

import pytest

from tests.rig import running_gateway

RULES = [
    {"paths": ["/secret/*"], "require": "deny"},
    {"paths": ["/read-only/*"], "methods": ["PUT"], "require": "deny"},
    {"require": "bypass"},
]
ROUTES = [
    {"path": "/elsewhere", "upstream": "UPSTREAM", "policy": {"require": "bypass"}},
    {"path": "/", "upstream": "UPSTREAM", "rules": RULES},
]


async def test_a_destination_is_judged_as_the_request_itself_is(tmp_path: Path) -> None:
    async with running_gateway(tmp_path, routes=ROUTES) as rig, rig.browser() as browser:
        for destination, status in (
            ("/files/b", 200),
            (f"{rig.url}/files/b", 200),
            (f"{rig.url}/secret/b", 403),
            (f"{rig.url}/%73ecret/b", 403),
            (f"{rig.url}/files/../secret/b", 400),
            (f"{rig.url}/files/%2e%2e/secret/b", 400),
            ("/read-only/b", 403),
            ("/elsewhere/b", 403),
            ("/files;x/b", 400),
            ("http://elsewhere.test/secret/b", 200),  # the app's to refuse: it is no address of ours
        ):
            for method in ("COPY", "MOVE"):
                headers = {"Destination": destination, "Accept": "application/json"}
                async with browser.session.request(method, f"{rig.url}/files/a", headers=headers) as response:
                    assert response.status == status, (method, destination)


@pytest.mark.parametrize("fast", [True, False])
async def test_both_paths_map_the_addresses_in_an_if_header(tmp_path: Path, fast: bool) -> None:
    routes = [{"path": "/dav", "upstream": "UPSTREAM", "strip_path": True, "policy": {"require": "bypass"}}]
    async with (
        running_gateway(tmp_path, routes=routes, server={"fast_path": fast}) as rig,
        rig.browser() as browser,
    ):
        headers = {"If": f"<{rig.url}/dav/a> (<urn:x>)"}
        async with browser.session.get(f"{rig.url}/dav/a", headers=headers) as response:
            seen = dict((await response.json())["headers"])
        assert seen["If"] == f"<{rig.url}/a> (<urn:x>)"
