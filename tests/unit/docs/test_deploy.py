"""What an operator starts from is safe as it stands: image, compose file, systemd unit, Makefile, CI script."""

import configparser
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from gateway.config.loader import read

ROOT = Path(__file__).resolve().parents[3]
SECRET = re.compile(r"(?i)\b(ENV|ARG)\s+\S*(token|secret|password|_key)\S*\s*=?")


def instructions() -> list[tuple[str, str]]:
    """The Dockerfile as (instruction, rest), with continued lines joined and comments dropped."""
    text = (ROOT / "Dockerfile").read_text()
    lines = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
    joined = lines.replace("\\\n", " ").splitlines()
    return [
        (word.upper(), rest.strip())
        for word, _, rest in (line.partition(" ") for line in joined if line.strip())
    ]


def final_stage() -> list[tuple[str, str]]:
    steps = instructions()
    last = max(index for index, (word, _) in enumerate(steps) if word == "FROM")
    return steps[last:]


def test_image_runs_as_a_numbered_user_that_is_not_root() -> None:
    users = [rest for word, rest in final_stage() if word == "USER"]
    assert users == ["10001:10001"]


def test_image_has_a_health_check_and_stops_by_sigterm() -> None:
    steps = dict(final_stage())
    assert steps["HEALTHCHECK"].endswith('CMD ["auth-gateway", "health"]')
    assert steps["STOPSIGNAL"] == "SIGTERM"
    assert steps["VOLUME"] == "/var/lib/auth-gateway"


def test_image_starts_the_gateway_without_a_shell_between_it_and_its_signals() -> None:
    steps = dict(final_stage())
    assert steps["ENTRYPOINT"] == '["auth-gateway"]'
    assert steps["CMD"].startswith('["serve"')


def test_image_carries_no_secret_and_takes_only_what_it_needs_from_the_tree() -> None:
    assert not SECRET.search((ROOT / "Dockerfile").read_text())
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    assert ignored[0] == "*"
    copied = {
        part
        for word, rest in instructions()
        if word == "COPY" and "--from" not in rest
        for part in rest.split()[:-1]
    }
    assert copied <= {line.removeprefix("!") for line in ignored}


def test_final_stage_builds_nothing() -> None:
    assert not any("pip" in rest or "apt" in rest for word, rest in final_stage() if word == "RUN")


def test_compose_services_have_no_more_rights_than_they_need() -> None:
    compose = yaml.safe_load((ROOT / "deploy/compose.yaml").read_text())
    for service in compose["services"].values():
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert "no-new-privileges:true" in service["security_opt"]
        assert not service.get("privileged")


def test_compose_app_is_reachable_through_the_gateway_only() -> None:
    compose = yaml.safe_load((ROOT / "deploy/compose.yaml").read_text())
    app = compose["services"]["app"]
    assert "ports" not in app
    assert [compose["networks"][name]["internal"] for name in app["networks"]] == [True]


def test_compose_configuration_is_valid() -> None:
    config = read(ROOT / "deploy/config.yaml", {}).config
    assert config.routes[0].policy.require == "two_factor"


def unit_file() -> dict[str, list[str]]:
    text = (ROOT / "deploy/auth-gateway.service").read_text()
    parser = configparser.ConfigParser(strict=False, interpolation=None, delimiters=("=",))
    parser.optionxform = str  # type: ignore[assignment,method-assign] # keys keep their case
    parser.read_string(text)
    return {key: [value] for key, value in parser["Service"].items()}


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("DynamicUser", "yes"),
        ("NoNewPrivileges", "yes"),
        ("ProtectSystem", "strict"),
        ("ProtectHome", "yes"),
        ("PrivateTmp", "yes"),
        ("MemoryDenyWriteExecute", "yes"),
        ("Type", "notify"),
        ("WatchdogSec", "30"),
        ("ExecReload", "/bin/kill -HUP $MAINPID"),
        ("RestartPreventExitStatus", "2"),
    ],
)
def test_systemd_unit_is_hardened_and_reloads_by_sighup(key: str, value: str) -> None:
    assert unit_file()[key] == [value]


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd-analyze is not installed")
def test_systemd_finds_no_fault_in_the_unit(tmp_path: Path) -> None:
    program = tmp_path / "auth-gateway"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    unit = tmp_path / "auth-gateway.service"
    text = (ROOT / "deploy/auth-gateway.service").read_text()
    unit.write_text(text.replace("/opt/auth-gateway/bin/auth-gateway", str(program)))
    result = subprocess.run(["systemd-analyze", "verify", str(unit)], capture_output=True, text=True)
    assert (result.returncode, result.stderr) == (0, "")


def test_every_make_target_is_explained_by_make_help() -> None:
    makefile = (ROOT / "Makefile").read_text()
    phony = re.search(r"^\.PHONY: (.+)$", makefile, re.MULTILINE)
    assert phony
    shown = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert set(phony[1].split()) == set(re.findall(r"make (\S+)", shown))


def test_ci_script_is_strict_and_executable() -> None:
    script = ROOT / ".ci/run"
    assert script.stat().st_mode & 0o111
    assert "set -euo pipefail" in script.read_text()
    assert subprocess.run(["bash", "-n", str(script)]).returncode == 0
