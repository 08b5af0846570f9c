"""The Helm chart: what it renders is valid, confined and sound, and what can't work is refused in a sentence.

`go install helm.sh/helm/v3/cmd/helm@v3.19.0` brings helm, `pip install kubernetes-validate` the schemas of Kubernetes.
CI installs both where Go is (170 s of processor time, beside linting; 72 MB of schemas); elsewhere these skip.
"""

import importlib.util
import json
import re
import shutil
import subprocess
import tomllib
from functools import cache
from pathlib import Path
from typing import Any, NoReturn

import pytest
import yaml
from click.testing import CliRunner

from gateway.cli.check.command import check
from gateway.config.schema import Config
from tests.services import missing

ROOT = Path(__file__).resolve().parents[3]
CHART = ROOT / "deploy" / "helm"
BOTH = pytest.mark.parametrize("kind", ["sqlite", "postgres"])
KUBERNETES = "1.30.0"
FOREIGN = {"ServiceMonitor"}
"""Kinds of which Kubernetes itself has no schema."""


def helm() -> str:
    """Where it is: on the PATH, or where `go install` puts it."""
    found = shutil.which("helm") or str(Path.home() / "go" / "bin" / "helm")
    if not Path(found).exists():
        skip("helm is not installed (go install helm.sh/helm/v3/cmd/helm@v3.19.0)")
    return found


def skip(reason: str) -> NoReturn:
    """Skip, or fail in CI where it would have been installed."""
    if shutil.which("go") is None:
        pytest.skip(reason)
    missing(reason)


def run(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([helm(), *arguments], check=False, capture_output=True, text=True)


def template(kind: str, *settings: str) -> "subprocess.CompletedProcess[str]":
    changed = [word for setting in settings for word in ("--set", setting)]
    values = ("-f", str(CHART / f"values-{kind}.yaml"))
    return run("template", "gw", str(CHART), "--kube-version", KUBERNETES, *values, *changed)


@cache
def rendered(kind: str, *settings: str) -> dict[str, Any]:
    """The objects by their kind, of which each stands once."""
    done = template(kind, *settings)
    assert done.returncode == 0, done.stderr
    documents = [document for document in yaml.safe_load_all(done.stdout) if document]
    found = {document["kind"]: document for document in documents}
    assert len(found) == len(documents)
    return found


def pod(kind: str, *settings: str) -> Any:
    return rendered(kind, *settings)["Deployment"]["spec"]["template"]


def config_of(kind: str, *settings: str) -> str:
    return str(rendered(kind, *settings)["Secret"]["stringData"]["config.yaml"])


@BOTH
def test_helm_lint_finds_nothing(kind: str) -> None:
    done = run("lint", "--strict", str(CHART), "-f", str(CHART / f"values-{kind}.yaml"))
    assert done.returncode == 0, done.stdout


@BOTH
def test_kubernetes_knows_every_field(kind: str) -> None:
    if importlib.util.find_spec("kubernetes_validate") is None:
        skip("kubernetes-validate is not installed (pip install kubernetes-validate)")
    schemas: Any = importlib.import_module("kubernetes_validate")
    for name, found in rendered(kind).items():
        if name not in FOREIGN:
            schemas.validate(found, KUBERNETES, strict=True)


@BOTH
def test_the_configuration_passes_the_gateways_own_check(kind: str, tmp_path: Path) -> None:
    text = config_of(kind)
    for number, (name, value) in enumerate(SECRETS.items()):
        secret = tmp_path / str(number)
        secret.write_text(value)
        secret.chmod(0o600)
        text = text.replace(f"/run/secrets/{name}", str(secret))
    assert "/run/secrets" not in text.replace("/run/secrets/keys/session.keys", "")
    file = tmp_path / "config.yaml"
    file.write_text(text)
    result = CliRunner().invoke(check, ["--config", str(file)])
    assert result.exit_code == 0, result.output
    assert "is sound" in result.output


SECRETS = {
    "stores/database_url": "postgresql://gateway:secret@db/gateway",
    "stores/state_url": "redis://redis:6379/0",
    "twilio/auth_token": "0123456789abcdef0123456789abcdef",
}
"""What the operator's Secrets hold."""


@BOTH
def test_pods_are_confined_and_have_no_account_of_kubernetes(kind: str) -> None:
    spec = pod(kind)["spec"]
    assert spec["automountServiceAccountToken"] is False
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["runAsUser"] == 10001
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    (container,) = spec["containers"]
    context = container["securityContext"]
    assert context["allowPrivilegeEscalation"] is False
    assert context["readOnlyRootFilesystem"] is True
    assert context["capabilities"] == {"drop": ["ALL"]}
    assert container["resources"]["limits"]["memory"]


@BOTH
def test_a_pod_has_time_to_drain_and_no_probe_asks_the_stores(kind: str) -> None:
    spec = pod(kind)["spec"]
    (container,) = spec["containers"]
    pause = int(container["lifecycle"]["preStop"]["exec"]["command"][-1])
    assert spec["terminationGracePeriodSeconds"] > pause + Config().server.drain_timeout
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        asked = {"path": "/_auth/healthz", "port": "http", "scheme": "HTTP"}
        assert container[probe]["httpGet"] == asked


@BOTH
def test_every_volume_is_mounted_and_every_file_of_the_configuration_is_in_one(kind: str) -> None:
    spec = pod(kind)["spec"]
    mounts = {mount["name"]: mount["mountPath"] for mount in spec["containers"][0]["volumeMounts"]}
    assert set(mounts) == {volume["name"] for volume in spec["volumes"]}
    for file in re.findall(r"(?:_file: |sqlite:///)(/\S+)", config_of(kind)):
        assert any(Path(file).is_relative_to(path) for path in mounts.values()), file


@BOTH
def test_all_parts_select_the_same_pods(kind: str) -> None:
    found = rendered(kind)
    labels = found["Deployment"]["spec"]["selector"]["matchLabels"]
    assert labels.items() <= pod(kind)["metadata"]["labels"].items()
    assert found["Service"]["spec"]["selector"] == labels
    assert found["NetworkPolicy"]["spec"]["podSelector"]["matchLabels"] == labels
    if kind == "postgres":
        assert found["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"] == labels
        assert found["ServiceMonitor"]["spec"]["selector"]["matchLabels"] == labels
        assert (
            found["HorizontalPodAutoscaler"]["spec"]["scaleTargetRef"]["name"]
            == (found["Deployment"]["metadata"]["name"])
        )


def test_a_change_of_the_configuration_rolls_the_pods() -> None:
    before, after = (
        pod("sqlite", *changed)["metadata"]["annotations"]["checksum/config"]
        for changed in ((), ("config.session.domain=example.org",))
    )
    assert before != after
    assert pod("sqlite", "podLabels.team=a")["metadata"]["annotations"]["checksum/config"] == before


def test_sqlite_is_one_pod_with_a_volume_that_outlives_the_release() -> None:
    found = rendered("sqlite")
    assert found["Deployment"]["spec"]["replicas"] == 1
    assert found["Deployment"]["spec"]["strategy"] == {"type": "Recreate"}
    claim = found["PersistentVolumeClaim"]
    assert claim["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"
    assert "PodDisruptionBudget" not in found  # it would stop every drain of a node


def test_postgres_is_never_without_a_pod_and_its_secrets_are_the_operators() -> None:
    found = rendered("postgres")
    assert found["Deployment"]["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"] == 0
    assert found["PodDisruptionBudget"]["spec"]["minAvailable"] >= 1
    assert found["HorizontalPodAutoscaler"]["spec"]["minReplicas"] >= 2
    assert list(found["Secret"]["stringData"]) == ["config.yaml"]
    assert "PersistentVolumeClaim" not in found


def test_the_network_lets_the_ingress_controller_in_and_prometheus_where_it_is_asked_for() -> None:
    peers = [rule["from"][0] for rule in rendered("postgres")["NetworkPolicy"]["spec"]["ingress"]]
    names = [peer["namespaceSelector"]["matchLabels"]["kubernetes.io/metadata.name"] for peer in peers]
    assert names == ["ingress", "monitoring"]
    assert len(rendered("sqlite")["NetworkPolicy"]["spec"]["ingress"]) == 1
    (endpoint,) = rendered("postgres")["ServiceMonitor"]["spec"]["endpoints"]
    assert (endpoint["path"], endpoint["scheme"]) == ("/_auth/metrics", "http")


def test_a_prefix_and_tls_of_the_gateways_own_reach_probes_and_prometheus() -> None:
    changed = ("config.server.prefix=/_sso", "config.server.tls.cert_file=/run/secrets/tls/tls.crt")
    (container,) = pod("postgres", *changed)["spec"]["containers"]
    asked = {"path": "/_sso/healthz", "port": "http", "scheme": "HTTPS"}
    assert container["livenessProbe"]["httpGet"] == asked
    (endpoint,) = rendered("postgres", *changed)["ServiceMonitor"]["spec"]["endpoints"]
    assert (endpoint["path"], endpoint["scheme"]) == ("/_sso/metrics", "https")


@pytest.mark.parametrize(
    ("setting", "sentence"),
    [
        ("replicas=2", "SQLite is one file for one replica: set replicas to 1"),
        ("autoscaling.enabled=true", "SQLite is one file for one replica"),
        ("config.server.listen=:9000", "config.server.listen is the chart's"),
        ("config.storage.url=sqlite:///x", "config.storage is the chart's"),
        ("config.session.keys_file=x", "config.session.keys_file is the chart's"),
        ("config.server.public_url=null", "config.server.public_url is missing"),
        ("serviceMonitor.enabled=true", "needs config.server.metrics_networks"),
        ("networkPolicy.from=null", "networkPolicy.from is empty, so nobody would reach the gateway"),
        ("secrets.keys=mine", "secrets.keys is the chart's own name"),
        ("replica=2", "additional properties 'replica' not allowed"),
        ("storage.kind=mysql", "value must be one of 'sqlite', 'postgres'"),
    ],
)
def test_what_cannot_work_is_refused_in_a_sentence(setting: str, sentence: str) -> None:
    done = template("sqlite", setting)
    assert done.returncode != 0
    assert sentence in done.stderr


def test_the_schema_names_the_values_that_there_are_and_no_others() -> None:
    """Without helm, too: else a value would be refused that values.yaml itself shows, or a mistyped one taken."""

    def compare(values: dict[str, Any], schema: dict[str, Any], place: str) -> None:
        if schema.get("additionalProperties") is not False:
            return
        assert set(values) == set(schema["properties"]) - {"global"}, place
        for key, value in values.items():
            if isinstance(value, dict):
                compare(value, schema["properties"][key], f"{place}.{key}")

    schema = json.loads((CHART / "values.schema.json").read_text())
    defaults = yaml.safe_load((CHART / "values.yaml").read_text())
    compare(defaults, schema, "values")
    assert {name for name, it in schema["properties"].items() if it.get("additionalProperties") is False}
    for kind in ("sqlite", "postgres"):
        assert set(yaml.safe_load((CHART / f"values-{kind}.yaml").read_text())) <= set(defaults)


def test_the_charts_version_is_that_of_the_program() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert chart["appVersion"] == project["version"]
