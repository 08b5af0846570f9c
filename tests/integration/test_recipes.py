"""docs/recipes.md with the real programs: the route as the page prints it, the app with the setting that it names."""

import asyncio
import os
import re
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml

from tests.federation_rig import answering
from tests.rig import PASSWORD, Rig, running_gateway
from tests.waiting import free_port

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "recipes.md").read_text(encoding="utf-8")
pytestmark = pytest.mark.xdist_group("processes")


def recipe(heading: str, port: int) -> list[dict[str, Any]]:
    """The routes of a recipe, for whatever host the test asks at and with the app on `port`."""
    section = PAGE.partition(f"### {heading}\n")[2].partition("\n### ")[0]
    block = re.search(r"```yaml\n(.*?)```", section, re.S)
    assert block, heading
    routes: list[dict[str, Any]] = yaml.safe_load(block[1])["routes"]
    return [{**route, "host": "*", "upstream": f"http://127.0.0.1:{port}"} for route in routes]


@asynccontextmanager
async def running(argv: list[str], ready: str) -> AsyncIterator[None]:
    process = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        await answering(ready)
        yield
    finally:
        process.terminate()
        await asyncio.to_thread(process.wait, 20)


@asynccontextmanager
async def radicale(folder: Path) -> AsyncIterator[Rig]:
    port = free_port()
    settings = folder / "radicale.conf"
    settings.write_text(
        f"[server]\nhosts = 127.0.0.1:{port}\n[auth]\ntype = http_x_remote_user\n"
        f"[storage]\nfilesystem_folder = {folder / 'collections'}\n[logging]\nlevel = error\n"
    )
    argv = [sys.executable, "-m", "radicale", "--config", str(settings)]
    async with (
        running(argv, f"http://127.0.0.1:{port}/.web/"),
        running_gateway(folder, routes=recipe("Radicale", port)) as rig,
    ):
        yield rig


async def test_radicale_knows_who_signed_in_and_a_calendar_program_comes_in_with_its_password(
    tmp_path: Path,
) -> None:
    principal = '<propfind xmlns="DAV:"><prop><current-user-principal/></prop></propfind>'
    forged = {"Depth": "0", "X-Remote-User": "mallory", "X_Remote_User": "mallory"}
    async with radicale(tmp_path) as rig, rig.browser() as browser, aiohttp.ClientSession() as program:
        await rig.add_user()
        assert (await browser.password()).status == 303
        by_browser = await browser.session.request("PROPFIND", f"{rig.url}/", data=principal, headers=forged)
        assert by_browser.status == 207
        assert "/alice/" in await by_browser.text()
        alice, stranger = (
            {**forged, "Authorization": aiohttp.encode_basic_auth("alice", password)}
            for password in (PASSWORD, "another password")
        )
        made = await program.request("MKCALENDAR", f"{rig.url}/alice/work/", headers=alice)
        assert made.status == 201
        refused = await program.request("MKCALENDAR", f"{rig.url}/alice/more/", headers=stranger)
        assert refused.status == 401
        elsewhere = await program.request("MKCALENDAR", f"{rig.url}/mallory/x/", headers=alice)
        assert elsewhere.status == 403, "Radicale knows alice, whatever the client says"


async def test_prometheus_is_reached_by_those_of_the_group_alone(tmp_path: Path) -> None:
    if shutil.which("prometheus") is None:
        if os.environ.get("REQUIRE_SERVICES") == "1":
            pytest.fail("no prometheus on the PATH, and REQUIRE_SERVICES=1")
        pytest.skip("no prometheus on the PATH")
    port = free_port()
    (tmp_path / "prometheus.yml").write_text("scrape_configs: []\n")
    argv = [
        "prometheus",
        f"--config.file={tmp_path / 'prometheus.yml'}",
        f"--storage.tsdb.path={tmp_path / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--web.external-url=https://prometheus.example.com/",
    ]
    async with (
        running(argv, f"http://127.0.0.1:{port}/-/ready"),
        running_gateway(tmp_path, routes=recipe("Prometheus", port)) as rig,
        rig.browser() as ops,
        rig.browser() as other,
    ):
        await rig.add_user("olga", groups=("ops",), phone="+15550100002")
        await rig.add_user("otto", phone="+15550100003")
        await ops.sign_in("olga")
        await other.sign_in("otto")
        answer = await ops.get("/api/v1/query?query=vector(1)")
        assert (await answer.json())["data"]["result"][0]["value"][1] == "1"
        assert (await other.get("/api/v1/query?query=vector(1)")).status == 403
