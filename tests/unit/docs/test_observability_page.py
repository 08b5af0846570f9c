"""docs/observability.md: what it says of faults, metrics, alerts and log lines is so."""

import re
from pathlib import Path

import yaml

from gateway.observability import metrics

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs/observability.md").read_text(encoding="utf-8")
ALERTS = {
    rule["alert"]
    for group in yaml.safe_load((ROOT / "deploy/observability/alerts.yaml").read_text())["groups"]
    for rule in group["rules"]
}


def faults() -> list[list[str]]:
    table = PAGE.partition("## Faults, and how each is seen")[2].partition("All metrics begin")[0]
    lines = [line.strip("|") for line in table.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.split("|")] for line in lines[1:]]


def test_every_alert_is_on_the_page_and_every_alert_of_the_page_is_there() -> None:
    assert set(re.findall(r"`(AuthGateway\w+)`", PAGE)) == ALERTS


def test_metrics_and_log_lines_of_faults_are_real() -> None:
    source = "\n".join(file.read_text(encoding="utf-8") for file in (ROOT / "gateway").rglob("*.py"))
    text = re.sub(r'"\s*\n\s*f?"', "", source)  # sentences that go on in the next line
    exposed = {sample.name for family in metrics.REGISTRY.collect() for sample in family.samples}
    exposed |= {family.name for family in metrics.REGISTRY.collect()} | {"up", "auth_gateway_request_seconds"}
    rows = faults()
    assert len(rows) > 10
    for fault, *cells in rows:
        counted, _, said = cells[:3]
        for name in re.findall(r"`(\w+)", counted):
            known = {name, f"auth_gateway_{name}", f"auth_gateway_{name.removesuffix('_total')}"}
            assert known & exposed, (fault, name)
        for line in re.findall(r"`([^`]+)`", said):
            for piece in (part.strip(" :") for part in line.split("…")):
                assert piece in text or piece in ("request ID", "s ahead of the database's"), (fault, piece)
