"""The dashboard and the alerts ask for metrics that there are, and the alerts fire on what they are for."""

import asyncio
import json
import os
import re
import shutil
import subprocess
import time
from pathlib import Path

import pytest
import yaml
from aiohttp import ClientSession, web
from prometheus_client import Counter, Gauge, Histogram

from gateway.observability import metrics
from tests.rig import running_gateway
from tests.waiting import until

ROOT = Path(__file__).resolve().parents[2]
OBSERVABILITY = ROOT / "deploy" / "observability"
DASHBOARD = json.loads((OBSERVABILITY / "grafana-dashboard.json").read_text())
ALERTS = yaml.safe_load((OBSERVABILITY / "alerts.yaml").read_text())["groups"][0]["rules"]
QUERIES = [target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]]


def promtool(*arguments: str) -> subprocess.CompletedProcess[str]:
    program = shutil.which("promtool")
    if program is None:
        if os.environ.get("REQUIRE_SERVICES") == "1":
            pytest.fail("no promtool on the PATH, and REQUIRE_SERVICES=1")
        pytest.skip("no promtool on the PATH")
    return subprocess.run([program, *arguments], capture_output=True, text=True, timeout=60)


def series() -> dict[str, set[str]]:
    """Every series that the gateway exposes, with its labels."""
    found: dict[str, set[str]] = {}
    collectors = [one for one in vars(metrics).values() if isinstance(one, Counter | Gauge | Histogram)]
    assert len(collectors) >= 11
    for one in collectors:
        (family,) = one.describe()
        ends = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count")}.get(family.type, ("",))
        for end in ends:
            found[family.name + end] = set(one._labelnames) | ({"le"} if end == "_bucket" else set())
    return found


@pytest.mark.parametrize("expression", [*QUERIES, *(rule["expr"] for rule in ALERTS)])
def test_every_expression_asks_for_series_and_labels_that_there_are(expression: str) -> None:
    known = series() | {"up": {"instance"}}
    used = re.findall(r"\b(auth_gateway_\w+|up)\b(?:\{([^}]*)\})?", expression)
    assert used
    for name, matchers in used:
        assert name in known
        labels = set(re.findall(r"(\w+)\s*[=!]", matchers)) - {"job"}
        assert labels <= known[name], name


def test_alerts_are_what_prometheus_understands() -> None:
    done = promtool("check", "rules", str(OBSERVABILITY / "alerts.yaml"))
    assert done.returncode == 0, done.stdout + done.stderr


def test_alerts_fire_on_what_they_are_for_and_on_nothing_else() -> None:
    done = promtool("test", "rules", str(ROOT / "tests" / "data" / "alerts.test.yaml"))
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_wrong_alert_would_be_noticed(tmp_path: Path) -> None:
    rules = (OBSERVABILITY / "alerts.yaml").read_text().replace("> 0.05", "> 0.5")
    (tmp_path / "alerts.yaml").write_text(rules)
    tests = (ROOT / "tests" / "data" / "alerts.test.yaml").read_text()
    (tmp_path / "tests.yaml").write_text(re.sub(r"\[\.\./.*alerts.yaml\]", "[alerts.yaml]", tests))
    assert promtool("test", "rules", str(tmp_path / "tests.yaml")).returncode != 0


def test_every_alert_has_words_in_the_docs() -> None:
    text = (ROOT / "docs" / "observability.md").read_text()
    assert [rule["alert"] for rule in ALERTS if rule["alert"] not in text] == []


def test_panels_do_not_overlap_and_say_what_they_show() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not cells & taken, panel["title"]
        assert panel["description"]
        assert at["x"] + at["w"] <= 24
        taken |= cells


async def test_a_websocket_is_counted_but_is_no_time_to_answer(tmp_path: Path) -> None:
    """A page that stays open for an hour would look like an app that takes an hour."""

    async def socket(request: web.Request) -> web.StreamResponse:
        answer = web.WebSocketResponse()
        await answer.prepare(request)
        await answer.close()
        return answer

    def counted(name: str) -> float:
        return sum(
            one.value for one in metrics.samples() if one.name == name and one.labels.get("route") == "ws"
        )

    routes = [{"name": "ws", "host": "*", "upstream": "UPSTREAM", "policy": {"require": "bypass"}}]
    async with running_gateway(tmp_path, routes=routes, handler=socket) as rig, ClientSession() as client:
        async with client.ws_connect(rig.url) as connection:
            await connection.receive()
        await until(lambda: counted("auth_gateway_requests_total"))
    assert counted("auth_gateway_requests_total") == 1
    assert counted("auth_gateway_request_seconds_count") == 0


@pytest.mark.parametrize("fast", [True, False])
@pytest.mark.parametrize("leaves", [True, False])
async def test_how_long_a_stream_goes_on_is_no_time_to_answer(
    tmp_path: Path, fast: bool, leaves: bool
) -> None:
    async def events(request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse()
        await answer.prepare(request)
        for _ in range(5):
            await asyncio.sleep(0.1)
            await answer.write(b"data: x\n\n")
        return answer

    name = f"stream-{fast}-{leaves}"

    def counted(metric: str) -> float:
        return sum(
            one.value for one in metrics.samples() if one.name == metric and one.labels.get("route") == name
        )

    routes = [{"name": name, "host": "*", "upstream": "UPSTREAM", "policy": {"require": "bypass"}}]
    server = {"fast_path": fast}
    waited = 0.0
    async with (
        running_gateway(tmp_path, routes=routes, handler=events, server=server) as rig,
        ClientSession() as client,
    ):
        for _ in range(2):
            asked = time.perf_counter()
            async with client.get(rig.url) as response:
                waited += time.perf_counter() - asked
                await (response.content.readany() if leaves else response.read())
        await until(lambda: counted("auth_gateway_requests_total") == 2)
    assert counted("auth_gateway_request_seconds_count") == 2
    assert (
        counted("auth_gateway_request_seconds_sum") <= waited
    )  # the client can't have its head before it went out
