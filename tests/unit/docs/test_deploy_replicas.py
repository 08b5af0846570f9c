"""The files for replicas say what keeps them safe: probes, confinement, budgets, sound configurations."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from gateway.config.schema import Config

DEPLOY = Path(__file__).resolve().parents[3] / "deploy"
KUBERNETES = DEPLOY / "kubernetes"


def objects() -> Iterator[dict[str, Any]]:
    kustomization = yaml.safe_load((KUBERNETES / "kustomization.yaml").read_text())
    for name in kustomization["resources"]:
        yield from yaml.safe_load_all((KUBERNETES / name).read_text())


def one(kind: str) -> Any:
    (found,) = [item for item in objects() if item["kind"] == kind]
    return found["spec"]


def test_every_file_of_the_folder_is_part_of_the_kustomization() -> None:
    kustomization = yaml.safe_load((KUBERNETES / "kustomization.yaml").read_text())
    named = {
        *kustomization["resources"],
        *kustomization["configMapGenerator"][0]["files"],
        "kustomization.yaml",
    }
    assert named == {file.name for file in KUBERNETES.iterdir()}


def test_pods_are_confined_and_never_root() -> None:
    pod = one("Deployment")["template"]["spec"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod["automountServiceAccountToken"] is False
    for container in pod["containers"]:
        context = container["securityContext"]
        assert context["allowPrivilegeEscalation"] is False
        assert context["readOnlyRootFilesystem"] is True
        assert context["capabilities"] == {"drop": ["ALL"]}
        assert container["resources"]["limits"]["memory"]


def test_two_replicas_and_one_is_always_there() -> None:
    deployment, budget, scaler = one("Deployment"), one("PodDisruptionBudget"), one("HorizontalPodAutoscaler")
    assert deployment["replicas"] >= 2
    assert deployment["strategy"]["rollingUpdate"]["maxUnavailable"] == 0
    assert budget["minAvailable"] >= 1
    assert scaler["minReplicas"] >= 2


def test_no_probe_takes_all_pods_away_when_a_store_is_away() -> None:
    (container,) = one("Deployment")["template"]["spec"]["containers"]
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert container[probe]["httpGet"] == {"path": "/_auth/healthz", "port": "http"}


def test_a_pod_has_time_to_drain() -> None:
    pod = one("Deployment")["template"]["spec"]
    (container,) = pod["containers"]
    pause = int(container["lifecycle"]["preStop"]["exec"]["command"][-1])
    assert pod["terminationGracePeriodSeconds"] > pause + Config().server.drain_timeout


def test_service_budget_and_policy_select_the_pods() -> None:
    labels = one("Deployment")["template"]["metadata"]["labels"]
    assert one("Deployment")["selector"]["matchLabels"] == labels
    assert one("Service")["selector"] == labels
    assert one("PodDisruptionBudget")["selector"]["matchLabels"] == labels
    assert one("NetworkPolicy")["podSelector"]["matchLabels"] == labels
    assert one("NetworkPolicy")["policyTypes"] == ["Ingress"]


def test_the_policy_lets_in_the_ingress_controller_and_prometheus_and_nobody_else() -> None:
    rules = one("NetworkPolicy")["ingress"]
    label = "kubernetes.io/metadata.name"
    let_in = {peer["namespaceSelector"]["matchLabels"][label] for rule in rules for peer in rule["from"]}
    assert let_in == {"ingress-nginx", "monitoring"}
    (container,) = one("Deployment")["template"]["spec"]["containers"]
    ports = [port["containerPort"] for port in container["ports"]]
    assert all([port["port"] for port in rule["ports"]] == ports for rule in rules)
    values = yaml.safe_load((KUBERNETES / "config.yaml").read_text())
    assert values["server"]["metrics_networks"], "else Prometheus gets in and reads nothing"


def test_secrets_are_mounted_and_in_no_file_here() -> None:
    pod = one("Deployment")["template"]["spec"]
    mounted = {mount["mountPath"] for mount in pod["containers"][0]["volumeMounts"]}
    assert {"/run/secrets/keys", "/run/secrets/stores"} <= mounted
    assert "Secret" not in {item["kind"] for item in objects()}


@pytest.mark.parametrize("folder", ["kubernetes", "replicas"])
def test_the_configuration_is_sound_for_replicas(folder: str) -> None:
    values = yaml.safe_load((DEPLOY / folder / "config.yaml").read_text())
    storage = values["storage"]
    for key in ("url", "state_url"):
        storage[key] = storage.pop(f"{key}_file", None) or storage[key]
    config = Config.model_validate(values)
    assert config.server.trusted_proxies
    assert config.storage.state_url
    assert config.routes[0].policy.require == "two_factor"


def test_compose_runs_two_confined_gateways_behind_haproxy() -> None:
    services = yaml.safe_load((DEPLOY / "replicas" / "compose.yaml").read_text())["services"]
    published = [name for name, service in services.items() if "ports" in service]
    assert published == ["haproxy"]
    for name in ("gateway-a", "gateway-b"):
        assert services[name]["read_only"] is True
        assert services[name]["cap_drop"] == ["ALL"]
    assert "noeviction" in services["redis"]["command"]
    assert services["redis"]["command"][1:3] == ["--appendonly", "yes"]


def test_compose_starts_the_image_as_it_is_so_that_commands_in_a_container_find_what_serve_finds() -> None:
    """`docker compose exec` sees no variable that a start script has set."""
    compose = yaml.safe_load((DEPLOY / "replicas" / "compose.yaml").read_text())
    text = (DEPLOY / "replicas" / "config.yaml").read_text()
    mounted = {f"/run/secrets/{name}" for name in compose["services"]["gateway-a"]["secrets"]}
    assert yaml.safe_load(text)["storage"]["url_file"] in mounted
    assert "${" not in text
    assert not {"entrypoint", "command"} & set(compose["services"]["gateway-a"])
    ignored = (DEPLOY.parent / ".gitignore").read_text().split()
    assert {Path(secret["file"]).name for secret in compose["secrets"].values()} <= set(ignored)
