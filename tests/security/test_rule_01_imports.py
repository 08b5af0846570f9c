"""Rule 1 for what is taken over from elsewhere: a rule that we can't say never opens what it shut."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from gateway.cli import main
from gateway.config.loader import read_text
from gateway.config.schema import Config
from gateway.model import User
from tests.importers_rig import verdict


@pytest.fixture
def config(tmp_path: Path) -> Path:
    file = tmp_path / "config.yaml"
    file.write_text(f"storage: {{url: 'sqlite:///{tmp_path}/gateway.db'}}\n")
    return file


BEYOND_US = [[{"key": "x", "operator": "pattern", "value": "(?<!a)b"}]]
"""A query that our patterns can't ask about."""
SHUT = [
    {"domain": "a.test", "policy": "deny", "query": BEYOND_US},
    {"domain": "a.test", "policy": "deny", "subject": "oauth2:client:x"},
    {"domain": "a.test", "policy": "deny", "networks": ["unheard-of"]},
    {"domain": "a.test", "policy": "deny", "resources": ["^/(?P<User>[a-z]+)/"]},
    {"domain": "a.test", "policy": "deny", "resources": ["^/x$"]},
    {"domain_regex": r"^(?P<Group>\w+)\.test$", "policy": "deny"},
    {"domain_regex": "^a", "policy": "two_factor", "subject": "group:none"},
    {"domain_regex": r"^a\.test$|\.b\.test$", "policy": "deny"},
]
ALICE = User("alice", groups=("one",))
OPENED_FOR_FEW = [
    {"domain": "a.test", "policy": "two_factor", "query": [[{"key": "x"}]]},
    {"domain": "a.test", "policy": "two_factor", "subject": [["group:one", "group:two"]]},
    {"domain": "a.test", "policy": "two_factor", "networks": ["unheard-of"]},
    {"domain": "{user}.test", "policy": "two_factor"},
    {"domain_regex": "^a[.]test$", "policy": "two_factor"},
    {"domain": "a.test", "policy": "bypass", "query": [[{"key": "x"}]]},
    {"domain": "a.test", "policy": "bypass", "resources": ["^/x$"]},
]


@pytest.mark.parametrize("rule", SHUT)
def test_a_rule_that_is_not_understood_never_opens_what_it_shut(
    config: Path, rule: dict[str, Any], tmp_path: Path
) -> None:
    imported = after_import(config, tmp_path, rule, {"domain": "a.test", "policy": "bypass"})
    assert verdict(imported, "https://a.test/x") != "allow"


@pytest.mark.parametrize("rule", OPENED_FOR_FEW)
def test_a_rule_that_is_not_understood_opens_nothing_for_more_than_it_did(
    config: Path, rule: dict[str, Any], tmp_path: Path
) -> None:
    imported = after_import(config, tmp_path, rule, {"domain": "a.test", "policy": "deny"})
    assert verdict(imported, "https://a.test/x", who=ALICE) == "deny"


def after_import(config: Path, folder: Path, *rules: dict[str, Any]) -> Config:
    """The configuration that the importer makes of these rules, read as the gateway reads it."""
    file = folder / "configuration.yml"
    file.write_text(yaml.safe_dump({"access_control": {"default_policy": "deny", "rules": list(rules)}}))
    result = CliRunner().invoke(
        main, ["import", "authelia", "--configuration", str(file), "--config", str(config)]
    )
    assert isinstance(result.exception, SystemExit | None), result.exc_info
    imported = read_text(result.stdout, "imported.yaml", {}).config
    assert imported.routes
    return imported
