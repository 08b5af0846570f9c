"""What an administrator types for the OpenID provider."""

import json
import re
from pathlib import Path

from click.testing import CliRunner

from gateway.cli import main
from gateway.oidc.clients import secret_hash


def test_a_secret_comes_with_the_hash_that_the_configuration_takes() -> None:
    lines = CliRunner().invoke(main, ["oidc", "secret"]).output.splitlines()
    secret, digest = (line.split()[-1] for line in lines)
    assert secret_hash(secret) == digest
    assert len(secret) == 43
    assert re.fullmatch(r"sha256:[0-9a-f]{64}", digest)


def test_key_rotate_publishes_a_key_for_tokens_where_there_are_apps(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    base = f'storage: {{url: "sqlite:///{tmp_path}/gateway.db"}}\nsession: {{keys_file: "{tmp_path}/session.keys"}}\n'
    file.write_text(base)
    assert CliRunner().invoke(main, ["key", "rotate", "--config", str(file)]).exit_code == 0
    assert not (tmp_path / "oidc.keys").exists()
    client = '{id: app, auth: [none], redirect_uris: ["http://127.0.0.1/cb"]}'
    file.write_text(f"{base}oidc: {{clients: [{client}]}}\n")
    result = CliRunner().invoke(main, ["key", "rotate", "--config", str(file)])
    assert "new key for tokens" in result.output
    assert len(json.loads((tmp_path / "oidc.keys").read_text())["keys"]) == 2
