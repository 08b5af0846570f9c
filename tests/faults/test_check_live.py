"""`check --live` finds what `serve` would find, and `health` asks the listener itself."""

import asyncio
import socket
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result

from gateway.cli import main
from gateway.clock import system_clock
from gateway.keyring import KeyRing
from tests.rig import running_gateway
from tests.sending import write_certificate
from tests.waiting import free_port

Change = Callable[[Path, dict[str, Any]], object]


def configuration(folder: Path, **server: Any) -> dict[str, Any]:
    port = free_port()
    return {
        "server": {"listen": f"127.0.0.1:{port}", "public_url": f"http://127.0.0.1:{port}", **server},
        "session": {"keys_file": str(folder / "var" / "session.keys")},
        "storage": {"url": f"sqlite:///{folder}/gateway.db"},
        "routes": [{"host": "*", "path": "/", "upstream": "http://127.0.0.1:9"}],
    }


def written(folder: Path, config: dict[str, Any]) -> str:
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    return str(folder / "config.yaml")


def check(folder: Path, config: dict[str, Any]) -> Result:
    return CliRunner().invoke(main, ["check", "--live", "--config", written(folder, config)])


def no_folder(folder: Path, config: dict[str, Any]) -> None:
    (folder / "file").write_text("")
    config["session"]["keys_file"] = str(folder / "file" / "session.keys")


def with_keys(folder: Path, spoil: Callable[[Path], object]) -> None:
    path = folder / "var" / "session.keys"
    KeyRing.load_or_create(path, system_clock)
    spoil(path)


FAULTS: dict[str, tuple[Change, str]] = {
    "unwritable folder": (no_folder, "can't be written to"),
    "truncated keys": (
        lambda folder, _: with_keys(folder, lambda path: path.write_bytes(path.read_bytes()[:-40])),
        "this is not a key ring, or it is damaged",
    ),
    "open keys": (
        lambda folder, _: with_keys(folder, lambda path: path.chmod(0o644)),
        "every user of this machine can read it",
    ),
    "database away": (
        lambda _, config: config.update(
            storage={"url": f"postgresql://gateway@127.0.0.1:{free_port()}/gateway"}
        ),
        "the database does not answer",
    ),
    "no database": (
        lambda folder, config: (
            (folder / "gateway.db").write_bytes(b"no database at all, but a text" * 40),
            config,
        ),
        "storage.url",
    ),
    "Redis away": (
        lambda _, config: config["storage"].update(state_url=f"redis://127.0.0.1:{free_port()}/0"),
        "Redis does not answer",
    ),
}


def test_a_sound_configuration_that_can_serve_is_sound(tmp_path: Path) -> None:
    result = check(tmp_path, configuration(tmp_path))
    assert result.exit_code == 0, result.output
    assert "tried what serve needs" in result.output, "more was done than without --live"
    assert not (tmp_path / "gateway.db").exists(), "nothing is made"
    assert not (tmp_path / "var").exists()


@pytest.mark.parametrize("fault", FAULTS)
def test_what_would_keep_serve_from_starting_is_found(tmp_path: Path, fault: str) -> None:
    config = configuration(tmp_path)
    change, said = FAULTS[fault]
    change(tmp_path, config)
    result = check(tmp_path, config)
    assert result.exit_code == 2, result.output
    assert said in result.output
    assert "mend: " in result.output


def test_an_address_that_somebody_has_is_found(tmp_path: Path) -> None:
    config = configuration(tmp_path)
    with socket.socket() as other:
        other.bind(("127.0.0.1", int(config["server"]["listen"].rpartition(":")[2])))
        other.listen()
        other.settimeout(0)
        result = check(tmp_path, config)
    assert result.exit_code == 2
    assert "server.listen" in result.output


async def test_health_asks_a_gateway_that_speaks_tls_and_one_that_is_away_is_not_healthy(
    tmp_path: Path,
) -> None:
    certificate, key = write_certificate(tmp_path, "auth.example.com")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    async with running_gateway(tmp_path, ssl_context=context) as rig:
        config = configuration(tmp_path, tls={"cert_file": str(certificate), "key_file": str(key)})
        config["server"] |= {"listen": f"127.0.0.1:{rig.port}", "public_url": rig.config.server.public_url}
        config["server"]["public_url"] = config["server"]["public_url"].replace("http:", "https:")
        file = written(tmp_path, config)
        for words in (["health"], ["health", "--ready"]):
            result = await asyncio.to_thread(CliRunner().invoke, main, [*words, "--config", file])
            assert result.exit_code == 0, result.output
    result = await asyncio.to_thread(CliRunner().invoke, main, ["health", "--config", file])
    assert result.exit_code == 1
    assert "nothing answers" in result.output


def test_the_image_asks_with_that_command() -> None:
    dockerfile = (Path(__file__).parents[2] / "Dockerfile").read_text()
    assert 'CMD ["auth-gateway", "health"]' in dockerfile
