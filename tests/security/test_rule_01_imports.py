"""Rule 1 for what is taken over from elsewhere: a rule that we can't say never opens what it shut."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from gateway.cli import main
from gateway.config.loader import read_text
from tests.unit.test_importing import verdict


@pytest.fixture
def config(tmp_path: Path) -> Path:
    file = tmp_path / "config.yaml"
    file.write_text(f"storage: {{url: 'sqlite:///{tmp_path}/gateway.db'}}\n")
    return file


@pytest.mark.parametrize(
    "rule",
    [
        {"domain": "a.test", "policy": "deny", "query": [[{"key": "x"}]]},
        {"domain": "a.test", "policy": "deny", "subject": "oauth2:client:x"},
        {"domain": "a.test", "policy": "deny", "networks": ["unheard-of"]},
        {"domain": "a.test", "policy": "deny", "resources": ["^/(?P<User>[a-z]+)/"]},
        {"domain_regex": r"^(?P<Group>\w+)\.test$", "policy": "deny"},
        {"domain_regex": "^a", "policy": "two_factor", "subject": "group:none"},
    ],
)
def test_a_rule_that_is_not_understood_never_opens_what_it_shut(
    config: Path, rule: dict[str, Any], tmp_path: Path
) -> None:
    file = tmp_path / "configuration.yml"
    rules = [rule, {"domain": "a.test", "policy": "bypass"}]
    file.write_text(yaml.safe_dump({"access_control": {"default_policy": "deny", "rules": rules}}))
    result = CliRunner().invoke(
        main, ["import", "authelia", "--configuration", str(file), "--config", str(config)]
    )
    imported = read_text(result.stdout, "imported.yaml", {}).config
    assert verdict(imported, "https://a.test/x") != "allow"
