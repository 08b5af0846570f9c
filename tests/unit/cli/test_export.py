"""`auth-gateway export` as an operator uses it: whole files, parts of files, and which is too old."""

from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from gateway.cli import main
from gateway.cli.export import ENGINES
from gateway.clock import system_clock
from gateway.keyring import KeyRing

CONFIG = """
server: {{public_url: "https://app.test", trusted_proxies: [127.0.0.1/32]}}
storage: {{url: "sqlite:///{folder}/gateway.db"}}
session: {{keys_file: "{folder}/session.keys"}}
routes:
  - {{host: app.test, upstream: "http://127.0.0.1:9000", policy: {{require: {require}}}}}
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    KeyRing.load_or_create(tmp_path / "session.keys", system_clock)
    file = tmp_path / "config.yaml"
    file.write_text(CONFIG.format(folder=tmp_path, require="two_factor"))
    return file


@pytest.fixture
def export(config: Path) -> Callable[..., Result]:
    def invoke(*arguments: str) -> Result:
        result = CliRunner().invoke(main, ["export", *arguments, "--config", str(config)])
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exc_info
        return result

    return invoke


@pytest.mark.parametrize("engine", ENGINES)
def test_an_export_says_whether_it_is_older_than_the_configuration(
    engine: str, export: Callable[..., Result], config: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "out"
    written = export(
        engine, "--output", str(folder), "--listen", "127.0.0.1:8443", "--gateway", "127.0.0.1:9999"
    )
    assert written.exit_code == 0, written.output
    file = written.output.splitlines()[0]
    assert export(engine, "--check", file).output == f"{file}: as the configuration says\n"
    config.write_text(CONFIG.format(folder=tmp_path, require="deny").replace("app.test,", "other.test,"))
    stale = export(engine, "--check", file)
    assert (stale.exit_code, "older than the configuration" in stale.output) == (1, True)


def test_an_export_for_haproxy_is_older_once_keys_have_been_rotated(
    export: Callable[..., Result], tmp_path: Path
) -> None:
    file = export("haproxy", "--output", str(tmp_path / "out")).output.splitlines()[0]
    KeyRing(tmp_path / "session.keys", system_clock).rotate(system_clock())
    assert export("haproxy", "--check", file).exit_code == 1


def test_a_file_without_a_digest_counts_as_old(export: Callable[..., Result], tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("http {}\n")
    result = export("nginx", "--check", str(tmp_path / "mine"))
    assert (result.exit_code, "no digest in it" in result.output) == (1, True)
    assert export("nginx", "--check", str(tmp_path / "none")).exit_code == 2


def test_a_part_for_a_configuration_that_is_there_has_no_global_settings(
    export: Callable[..., Result],
) -> None:
    nginx, caddy = export("nginx", "--include").stdout, export("caddy", "--include").stdout
    assert "server_name app.test;" in nginx
    assert not {"http {", "events {", "pid ", "default_server"} & set(nginx.replace("\n", " \n").split("\n"))
    assert "worker_processes" not in nginx
    assert "default_server" not in nginx
    assert "https://app.test:443 {" in caddy
    assert "admin off" not in caddy
    assert export("envoy", "--include").exit_code == 2
